"""TFLite: the one format that stores zeros in less room.

The converter's `EXPERIMENTAL_SPARSITY` keeps of a kernel the weights that are
not zero, and an index for each. It is used where it is smaller and whole.

>>> import tempfile
>>> from tf_lottery.compression.exporting.samples import sample_for
>>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64)])
>>> _ = model.layers[0].kernel.assign(keras.ops.eye(64))
>>> with tempfile.TemporaryDirectory() as folder:
...     path = pathlib.Path(folder) / "model.tflite"
...     note = TFLITE.write(model, path, sample_for(model))
...     path.stat().st_size < 4 * 64 * 64
True
"""

import pathlib
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.compression.exporting.formats import (
    Format,
    Runner,
    matrices,
    remaining,
    write_saved_model,
)
from tf_lottery.compression.exporting.samples import Sample
from tf_lottery.masking.composites import inner_layers


def _write(model: keras.Model, path: pathlib.Path, sample: Sample) -> str:
    note = ""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        saved = pathlib.Path(folder)
        with _in_float32(model):
            write_saved_model(model, saved, sample)
        data = None
        if remaining(model) < 1:
            sparse = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
            data = _convert(saved, optimizations=sparse)
            cut = _cut_kernels(data)
            if cut:
                data = None
                note = (
                    "its zeros are stored as they are, since the converter's "
                    "sparse encoding would drop weights of kernels of "
                    f"{' and '.join(cut)}, whose inputs are no multiple of 4"
                )
        # With few zeros the encoding, an index for each weight that is kept,
        # takes more room than it saves.
        if data is None or len(data) > _dense_bytes(model):
            dense = _convert(saved, optimizations=[])
            data = min(data or dense, dense, key=len)
    path.write_bytes(data)
    return note


def _cut_kernels(data: bytes) -> list[str]:
    """Returns the shapes of kernels that a TFLite file has not as a whole.

    Of dense layers with very few weights the converter encodes blocks of four
    inputs, and drops the inputs that are left over at the end: TensorFlow 2.21
    does, and says nothing.
    """
    cut = []
    for tensor in _interpreter(data).get_tensor_details():
        sparsity = tensor["sparsity_parameters"]
        if not sparsity:
            continue
        axes = sparsity["block_map"]
        shape = [int(length) for length in tensor["shape"]]
        # The last ones are the axes of a block.
        blocks = sparsity["dim_metadata"][len(shape) :]
        if any(
            shape[axis] % block["dense_size"]
            for axis, block in zip(axes, blocks, strict=True)
        ):
            # TFLite has outputs before inputs.
            cut.append(" x ".join(map(str, reversed(shape))))
    return cut


def _convert(saved: pathlib.Path, *, optimizations: list[Any]) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved))
    converter.optimizations = optimizations
    return converter.convert()


def _dense_bytes(model: keras.Model) -> int:
    """Returns what the weights take at the least, four bytes each."""
    return 4 * sum(int(np.prod(v.shape)) for v in matrices(model))


def _open(path: pathlib.Path, model: keras.Model, sample: Sample) -> Runner:
    del model
    runner = _interpreter(path.read_bytes()).get_signature_runner()
    inputs = sample.named()
    return lambda: runner(**inputs)


def _interpreter(data: bytes) -> Any:
    with warnings.catch_warnings():
        # TensorFlow has it until another package is to take its place.
        warnings.filterwarnings("ignore", ".*tf.lite.Interpreter is deprecated")
        return tf.lite.Interpreter(model_content=data)


@contextmanager
def _in_float32(model: keras.Model) -> Iterator[None]:
    """Has layers of mixed precision compute in float32, as their weights are.

    TFLite has no products of bfloat16 or float16 matrices.
    """
    policies = [
        (layer, layer.dtype_policy)
        for layer in inner_layers(model)
        if layer.dtype_policy.name in ("mixed_bfloat16", "mixed_float16")
    ]
    for layer, _ in policies:
        layer.dtype_policy = "float32"
    try:
        yield
    finally:
        for layer, policy in policies:
            layer.dtype_policy = policy


TFLITE = Format("model.tflite", _write, _open)
