"""The layers under the other backends of Keras that are installed."""

import importlib.util
import os
import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.mark.slow  # a process of its own, and every layer compiles anew
def test_layers_under_jax():
    if importlib.util.find_spec("jax") is None:
        pytest.skip("JAX is not installed")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "tests/test_masks.py",
            "tests/test_layers.py",
            # Convolutions of one and three dimensions are Conv2D's code, and
            # every one compiles anew.
            "-k",
            "not Conv1D and not Conv3D",
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            # Most of the time is compilation.
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
