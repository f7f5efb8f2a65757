"""From tensorflow-model-optimization: a Keras 2 model, pruned, in Keras 3.

    masked = from_tfmot(pruned_tf_keras_model)

What that library prunes is a model of tf_keras, Keras 2. Keras itself reads
what tf_keras writes into HDF5 files, and this takes the masks along.
"""

import json
import pathlib
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import keras
import numpy as np

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.conversion import keep_dense, mask_model, survey
from tf_lottery.masking.kernels import masked_kernels
from tf_lottery.masking.masks import DEFAULT_RATE

WRAPPER = "PruneLowMagnitude"
"""What tensorflow-model-optimization wraps a pruned layer in."""

SEPARABLE = (
    *("groups", "kernel_initializer"),
    *("kernel_regularizer", "kernel_constraint"),
)
RENAMED_OR_GONE: Mapping[str, tuple[str, ...]] = {
    "DepthwiseConv1D": ("groups",),
    "DepthwiseConv2D": ("groups",),
    "SeparableConv1D": SEPARABLE,
    "SeparableConv2D": SEPARABLE,
    "RNN": ("time_major",),
    "SimpleRNN": ("time_major",),
    "LSTM": ("time_major",),
    "GRU": ("time_major",),
}
"""What Keras 2 writes of a layer and Keras 3 refuses to read. All of it is at
one value, or says nothing."""


def from_tfmot(
    model: Any,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    verbose: bool = True,
) -> keras.Model:
    """Returns a masked Keras 3 model with a pruned tf_keras model's weights.

    Args:
        model: A Sequential or functional model of tf_keras, as
            `prune_low_magnitude` wrapped it; or as `strip_pruning` unwrapped
            it, whose kernels are then masked where they are exactly zero.
        custom_objects: Classes of Keras 3 by the names of those in the model
            that are not Keras' own.
        verbose: As for `mask_model`.

    Raises:
        InvalidValue: It is no model of tf_keras, has nothing that is pruned,
            or cannot be read by Keras 3.
    """
    kind = f"{type(model).__module__}.{type(model).__name__}"
    if not hasattr(model, "layers") or isinstance(model, keras.Model):
        raise InvalidValue(
            "expected a tf_keras model that tensorflow-model-optimization has "
            f"pruned, received {kind}"
        )
    masks = _masks(model)
    if masks:
        from tensorflow_model_optimization.sparsity import keras as tfmot

        model = tfmot.strip_pruning(model)
    converted = _converted(model, custom_objects)
    kernels = [w for w in survey(converted) if not w.why]
    if not masks:
        for w in kernels:
            value = keras.ops.convert_to_numpy(w.variable)
            if not value.all():
                masks[w.path] = value != 0
    by_path = _by_path(masks, {w.path: w.variable for w in kernels})
    dense = keep_dense(w.path for w in kernels if w.path not in by_path)
    mask_model(converted, [*dense, (".", DEFAULT_RATE)], verbose=verbose)
    for path, kernel in masked_kernels(converted).items():
        kernel.mask.assign(by_path[path])
    return converted


def _masks(model: Any) -> dict[str, np.ndarray]:
    """Returns the masks of wrapped layers by `<layer>/<variable>`."""
    found = {}
    for layer in _wrapped(model):
        for variable, mask, _ in layer.pruning_vars:
            # As in "lstm/lstm_cell/recurrent_kernel:0".
            name = variable.name.rpartition("/")[2].partition(":")[0]
            found[f"{layer.layer.name}/{name}"] = mask.numpy() != 0
    return found


def _wrapped(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if type(layer).__name__ == WRAPPER:
            yield layer
        elif hasattr(layer, "layers"):
            yield from _wrapped(layer)


def _converted(
    model: Any, custom_objects: Mapping[str, Any] | None
) -> keras.Model:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.h5"
        try:
            with warnings.catch_warnings():
                # Of the old format, which is what both can read.
                warnings.simplefilter("ignore", UserWarning)
                model.save(path, save_format="h5", include_optimizer=False)
            _mend(path)
            return keras.models.load_model(
                path, custom_objects=custom_objects, compile=False
            )
        except (NotImplementedError, TypeError, ValueError) as error:
            raise InvalidValue(
                "expected a Sequential or functional model of layers that "
                f"Keras 2 and 3 have in common, received {model.name!r}: "
                f"{error}"
            ) from error


def _mend(path: pathlib.Path) -> None:
    """Takes out of a file what Keras 3 would stumble over."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        todo = [config]
        while todo:
            layer = todo.pop()
            inner = layer["config"]
            for name in RENAMED_OR_GONE.get(layer["class_name"], ()):
                inner.pop(name, None)
            todo += inner.get("layers", [])
            todo += [inner[n] for n in ("layer", "cell") if n in inner]
        file.attrs["model_config"] = json.dumps(config)


def _by_path(
    masks: Mapping[str, np.ndarray], kernels: Mapping[str, keras.Variable]
) -> dict[str, np.ndarray]:
    """Returns the masks by the paths that kernels have in Keras 3."""
    found = {}
    for name, mask in masks.items():
        layer, _, last = name.rpartition("/")
        paths = [
            path
            for path, kernel in kernels.items()
            if f"/{layer}/" in f"/{path}/"
            and path.rpartition("/")[2] == last
            and tuple(kernel.shape) == mask.shape
        ]
        if len(paths) != 1:
            raise InvalidValue(
                f"expected one kernel for the mask of {name}, of shape "
                f"{mask.shape}, received {', '.join(paths) or 'none'}"
            )
        found[paths[0]] = mask
    if not found:
        raise InvalidValue(
            "expected a model that tensorflow-model-optimization has pruned, "
            "received one without wrapped layers and without zeros"
        )
    return found
