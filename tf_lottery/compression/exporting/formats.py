"""Formats: a model in a file that is opened again and run.

    keras         `model.keras`: loaded by `keras.models.load_model`
    saved_model   a folder for TensorFlow Serving and `tf.saved_model.load`
    tflite        `model.tflite`: for phones and small devices; in `tflite`

Each is written for inference, without the optimizer, and takes batches of any
size. What is opened is a function without arguments that runs the file on a
sample, so the formats can be compared.

>>> import pathlib, tempfile
>>> from tf_lottery.compression.exporting.samples import sample_for
>>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
>>> with tempfile.TemporaryDirectory() as folder:
...     path = pathlib.Path(folder) / "model.keras"
...     note = KERAS.write(model, path, sample_for(model))
...     run = KERAS.open(path, model, sample_for(model))
>>> run()["output_0"].shape
(1, 3)
"""

import inspect
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.compression.exporting.samples import Sample
from tf_lottery.masking.composites import inner_layers

Outputs = dict[str, np.ndarray]
Runner = Callable[[], Outputs]


class Format(NamedTuple):
    """A way to store a model.

    Args:
        file: Name of the file or folder.
        write: Writes a model to a path, for inputs like those of a sample,
            and returns what a reader should know of it, or "".
        open: Returns what runs the file on a sample. The model is the one
            that was written; only its layers' classes are asked for.
        portable: Whether any Keras backend can write it.
    """

    file: str
    write: Callable[[keras.Model, pathlib.Path, Sample], str]
    open: Callable[[pathlib.Path, keras.Model, Sample], Runner]
    portable: bool = False


def named_outputs(outputs: Any) -> Outputs:
    """Returns a model's outputs by the names that a SavedModel gives them."""
    if not isinstance(outputs, Mapping) or any(
        keras.tree.is_nested(value) for value in outputs.values()
    ):
        leaves = keras.tree.flatten(outputs)
        outputs = {f"output_{i}": leaf for i, leaf in enumerate(leaves)}
    return {
        name: keras.ops.convert_to_numpy(value)
        for name, value in outputs.items()
    }


def reason(error: Exception) -> str:
    """Returns in one line why a model could not be written or run."""
    text = str(error).strip() or type(error).__name__
    # Of the converter's pages of locations, the operation is of interest.
    operation = re.search(r"'tf\.[^\n]*", text)
    line = operation.group() if operation else text.splitlines()[0]
    return line if len(line) <= 200 else f"{line[:197]}..."


def _write_keras(model: keras.Model, path: pathlib.Path, sample: Sample) -> str:
    del sample
    model.save(path)
    if model.compiled:
        # The optimizer's state would be twice the weights. A copy that was
        # never compiled has none.
        _load_keras(path, model).save(path)
    return ""


def _open_keras(
    path: pathlib.Path, model: keras.Model, sample: Sample
) -> Runner:
    loaded = _load_keras(path, model)
    return lambda: named_outputs(loaded.predict_on_batch(sample.inputs))


def _load_keras(path: pathlib.Path, model: keras.Model) -> keras.Model:
    layers = inner_layers(model)
    activations = [getattr(layer, "activation", None) for layer in layers]
    things: list[Any] = [type(layer) for layer in layers]
    things += [a for a in activations if inspect.isfunction(a)]
    own = {
        thing.__name__: thing
        for thing in things
        if not thing.__module__.startswith("keras.")
    }
    # Lambdas are no danger in a file that was written a moment ago.
    return keras.models.load_model(
        path, custom_objects=own, compile=False, safe_mode=False
    )


def write_saved_model(
    model: keras.Model, path: pathlib.Path, sample: Sample
) -> str:
    """Writes a SavedModel; as `Format.write`."""
    arrays = keras.tree.flatten(sample.inputs)
    specs = [
        tf.TensorSpec(shape, tf.as_dtype(array.dtype), name)
        for shape, array, name in zip(
            sample.shapes, arrays, sample.names, strict=True
        )
    ]
    signature = [keras.tree.pack_sequence_as(sample.inputs, specs)]
    archive = keras.export.ExportArchive()
    # `model.export` tracks the model itself, and then stores each weight
    # twice: once as Keras' variable and once as TensorFlow's. Within a module
    # it is searched for lookup tables only.
    module = tf.Module()
    module.model = model
    archive.track(module)
    archive.add_endpoint("serve", model.__call__, input_signature=signature)
    archive.write_out(str(path), verbose=False)
    return ""


def _open_saved_model(
    path: pathlib.Path, model: keras.Model, sample: Sample
) -> Runner:
    del model
    loaded = tf.saved_model.load(str(path))
    inputs = {name: tf.constant(a) for name, a in sample.named().items()}

    def run() -> Outputs:
        outputs = loaded.signatures["serving_default"](**inputs)
        return {name: value.numpy() for name, value in outputs.items()}

    return run


def matrices(model: keras.Model) -> list[keras.Variable]:
    """Returns the weights of two or more axes: kernels, embeddings."""
    return [
        variable
        for variable in model.weights
        if len(variable.shape) >= 2
        and "float" in keras.backend.standardize_dtype(variable.dtype)
    ]


def remaining(model: keras.Model) -> float:
    """Returns the fraction of the weights in `matrices` that are not zero."""
    total = kept = 0
    for variable in matrices(model):
        array = keras.ops.convert_to_numpy(variable)
        total += array.size
        kept += int(np.count_nonzero(array))
    return kept / total if total else 1.0


KERAS = Format("model.keras", _write_keras, _open_keras, portable=True)
SAVED_MODEL = Format("saved_model", write_saved_model, _open_saved_model)
