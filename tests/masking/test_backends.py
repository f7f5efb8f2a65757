"""Layers, masks and masked models under Keras' other backends, if installed."""

import importlib.util
import os
import subprocess
import sys

import pytest
from conftest import ROOT

LAYERS = ["tests/masking/test_masks.py", "tests/masking/test_layers.py"]
MODELS = ["tests/masking/test_conversion.py"]
SALIENCY = [
    f"tests/compression/test_saliency.py::test_the_{name}"
    for name in (
        "gradient_of_a_linear_model",
        "hessian_times_the_gradient_of_a_linear_model",
        "flow_is_the_product_of_absolute_matrices",
    )
]
# What is Keras' own code for several layers is compiled once only.
FEW = "not Conv1D and not Conv3D and not shared and not nested and not own"


@pytest.mark.slow  # processes of their own, and every layer compiles anew
@pytest.mark.parametrize(
    ("backend", "tests"),
    [
        ("jax", [*LAYERS, *SALIENCY]),
        ("jax", MODELS),
        ("torch", [*LAYERS, *MODELS]),
    ],
    ids=["layers under JAX", "models under JAX", "PyTorch"],
)
def test_another_backend(backend, tests):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider"),
            *tests,
            # PyTorch compiles nothing.
            *(("-k", FEW) if backend == "jax" else ()),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            # Most of the time is compilation.
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
