"""Between a model and arrays: read a state out, load one in.

The keys are Keras' variable paths (`fc1/kernel`, `fc1/kernel_mask/logits`),
so what is stored can be read without the model that wrote it.
"""

from collections.abc import Iterator

import keras
import numpy as np

from tf_lottery.layers import Masked
from tf_lottery.masks import BernoulliMask
from tf_lottery.tickets import Arrays, Ticket


def all_layers(model: keras.Model) -> list[keras.Layer]:
    """Returns the layers of a model, nested ones too, in order."""
    # Keras' public `model.layers` stops at the first level.
    return list(model._flatten_layers())


def masked_layers(model: keras.Model) -> Iterator[Masked]:
    """Yields the masked layers of a model, nested ones too, in order."""
    for layer in all_layers(model):
        if isinstance(layer, Masked):
            yield layer


def bernoulli_masks(model: keras.Model) -> list[BernoulliMask]:
    """Returns the masks of a model that are drawn at random."""
    masks = (layer.kernel_mask for layer in masked_layers(model))
    return [mask for mask in masks if isinstance(mask, BernoulliMask)]


def read_state(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns every variable of the model by its path."""
    return {
        v.path: keras.ops.convert_to_numpy(v) for v in _by_path(model).values()
    }


def read_ticket(model: keras.Model) -> Ticket:
    """Returns the model's present state as the start of a training."""
    state = read_state(model)
    kernels = [layer.raw_kernel.path for layer in masked_layers(model)]
    weights = {path: state.pop(path) for path in kernels}
    return Ticket(weights=weights, state=state)


def load_state(model: keras.Model, state: Arrays) -> None:
    """Sets every variable of the model.

    Raises:
        ValueError: `state` lacks a variable of the model, has one too many,
            or has one of another shape.
    """
    variables = _by_path(model)
    if variables.keys() != state.keys():
        raise ValueError(
            f"expected a state with the variables {sorted(variables)}, "
            f"received {sorted(state)}"
        )
    for path, variable in variables.items():
        if tuple(variable.shape) != state[path].shape:
            raise ValueError(
                f"expected {path} of shape {tuple(variable.shape)}, "
                f"received shape {state[path].shape}"
            )
    for path, variable in variables.items():
        variable.assign(state[path])


def effective_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns the masked kernels by path, as the layers use them."""
    return {
        layer.raw_kernel.path: keras.ops.convert_to_numpy(layer.kernel)
        for layer in masked_layers(model)
    }


def _by_path(model: keras.Model) -> dict[str, keras.Variable]:
    variables = {v.path: v for v in model.weights}
    if len(variables) != len(model.weights):
        paths = [v.path for v in model.weights]
        twice = sorted({path for path in paths if paths.count(path) > 1})
        raise ValueError(
            f"expected every variable to have a path of its own, received "
            f"twice: {twice}. Give the layers different names"
        )
    return variables
