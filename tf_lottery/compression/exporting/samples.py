"""Samples: a batch of inputs for a model, with a name for each input.

>>> import keras
>>> left = keras.Input((4,), name="left")
>>> right = keras.Input((2,), name="right")
>>> both = keras.layers.Concatenate()([left, right])
>>> model = keras.Model([left, right], keras.layers.Dense(3)(both))
>>> {name: array.shape for name, array in sample_for(model).named().items()}
{'left': (1, 4), 'right': (1, 2)}
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np

from tf_lottery.foundation.checks import InvalidValue


class Sample(NamedTuple):
    """A batch of inputs.

    Args:
        inputs: What the model is called with: an array `[batch, ...]`, or a
            list, tuple or dict of them.
        shapes: Of the inputs in the order in which Keras flattens them; an
            axis that may have any length is None, the batch always.
        names: Of the inputs, in that order.
    """

    inputs: Any
    shapes: list[tuple[int | None, ...]]
    names: list[str]

    @property
    def batch(self) -> int:
        """How many examples it has."""
        return len(keras.tree.flatten(self.inputs)[0])

    def named(self) -> dict[str, np.ndarray]:
        """Returns the inputs by name."""
        arrays = keras.tree.flatten(self.inputs)
        return dict(zip(self.names, arrays, strict=True))


def sample_for(model: keras.Model, inputs: Any = None) -> Sample:
    """Returns a batch that a model can be called with.

    Args:
        model: A built model.
        inputs: The batch; None draws one example, normal numbers or, for
            integers and booleans, 0 and 1.

    Raises:
        InvalidValue: `inputs` does not fit the model; or it is None and the
            model does not say what it takes, or has axes of any length.
    """
    expected = _symbolic(model)
    if inputs is None:
        inputs = _draw(model, expected)
    if expected is not None:
        inputs = _as_expected(inputs, expected)
        names = [tensor.name for tensor in keras.tree.flatten(expected)]
        shapes = [tensor.shape for tensor in keras.tree.flatten(expected)]
    else:
        inputs = keras.tree.map_structure(_as_array, inputs)
        names = _names(inputs)
        shapes = [array.shape for array in keras.tree.flatten(inputs)]
    shapes = [(None, *shape[1:]) for shape in shapes]
    if not all(len(array) for array in keras.tree.flatten(inputs)):
        raise InvalidValue("expected a sample of examples, received none")
    return Sample(inputs, shapes, _distinct(names))


def _symbolic(model: keras.Model) -> Any:
    """Returns the inputs a model was made with; None if it is subclassed."""
    if not hasattr(model, "inputs"):
        return None
    if isinstance(model, keras.Sequential):
        return model.inputs[0]
    # Keras wraps lists and dicts that a layer holds.
    return _plain(model.input)


def _plain(structure: Any) -> Any:
    if isinstance(structure, Mapping):
        return {name: _plain(value) for name, value in structure.items()}
    if isinstance(structure, list | tuple):
        return [_plain(value) for value in structure]
    return structure


def _draw(model: keras.Model, expected: Any) -> Any:
    if expected is None:
        raise InvalidValue(
            "expected a sample, since a model of a class of your own does not "
            "say what it takes, received None; pass a batch of its inputs"
        )
    rng = np.random.default_rng(0)

    def draw(tensor: Any) -> np.ndarray:
        if None in tensor.shape[1:] or tensor.dtype == "string":
            raise InvalidValue(
                f"expected a sample, since {tensor.name!r} of {model.name} is "
                f"{_text(tensor)}, received None; pass a batch of its inputs"
            )
        shape = (tensor.shape[0] or 1, *tensor.shape[1:])
        if "float" in tensor.dtype:
            return rng.normal(size=shape)
        return rng.integers(0, 2, shape)

    return keras.tree.map_structure(draw, expected)


def _as_expected(inputs: Any, expected: Any) -> Any:
    tensors = keras.tree.flatten(expected)
    if isinstance(inputs, Mapping) and not isinstance(expected, Mapping):
        # By name, as `fit` takes them.
        named = [inputs[t.name] for t in tensors if t.name in inputs]
        arrays = named if len(named) == len(inputs) else []
    elif isinstance(expected, Mapping):
        same = isinstance(inputs, Mapping) and inputs.keys() == expected.keys()
        arrays = keras.tree.flatten(dict(inputs)) if same else []
    elif isinstance(inputs, list | tuple):
        arrays = keras.tree.flatten(inputs)
    else:
        arrays = [inputs]
    if len(arrays) != len(tensors):
        listed = ", ".join(f"{t.name!r} of {_text(t)}" for t in tensors)
        what = "1 array"
        if isinstance(inputs, Mapping):
            what = f"a dict with {', '.join(map(repr, inputs)) or 'nothing'}"
        elif isinstance(inputs, list | tuple):
            what = f"a {type(inputs).__name__} of {len(inputs)}"
        raise InvalidValue(
            f"expected a sample with the inputs {listed}, received {what}"
        )
    arrays = [_as_array(array) for array in arrays]
    for tensor, array in zip(tensors, arrays, strict=True):
        fits = len(array.shape) == len(tensor.shape) and all(
            length in (None, given)
            for length, given in zip(tensor.shape, array.shape, strict=True)
        )
        if not fits:
            raise InvalidValue(
                f"expected a sample with {tensor.name!r} of {_text(tensor)}, "
                f"received shape {array.shape}"
            )
    arrays = [
        array if tensor.dtype == "string" else array.astype(tensor.dtype)
        for tensor, array in zip(tensors, arrays, strict=True)
    ]
    return keras.tree.pack_sequence_as(expected, arrays)


def _as_array(values: Any) -> np.ndarray:
    array = np.asarray(keras.ops.convert_to_numpy(values))
    if array.dtype.kind in "SU":
        # TensorFlow has objects for texts, which are of any length.
        array = array.astype(object)
    if not array.shape:
        raise InvalidValue(
            f"expected a sample of arrays [batch, ...], received {values!r}"
        )
    if array.dtype == np.float64:
        array = array.astype(keras.config.floatx())
    return array


def _names(inputs: Any) -> list[str]:
    if isinstance(inputs, Mapping) and not any(
        keras.tree.is_nested(value) for value in inputs.values()
    ):
        # In the order in which Keras flattens a dict.
        return keras.tree.flatten({name: name for name in inputs})
    count = len(keras.tree.flatten(inputs))
    return [f"input_{i}" for i in range(count)] if count > 1 else ["inputs"]


def _distinct(names: list[str]) -> list[str]:
    """Returns names that a SavedModel can have for its arguments."""
    names = [re.sub(r"\W", "_", name) for name in names]
    if len(set(names)) == len(names):
        return names
    return [f"{name}_{i}" for i, name in enumerate(names)]


def _text(tensor: Any) -> str:
    return f"shape {tuple(tensor.shape)} and dtype {tensor.dtype}"
