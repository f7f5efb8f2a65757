"""Passes: what becomes of the channels in each kind of Keras layer.

`PASSES` has a function for each kind; see `shrinking.parts`, which
has those of layers with weights. Here are the others:

    one by one      activations but softmax, dropout, pooling, padding,
                    cropping, upsampling
    united          Add, Subtract, Multiply, Average, Maximum, Minimum, and
                    `x + y` and the like between tensors
    put together    Concatenate, Flatten; Reshape that keeps the last axis

Only what `PASSES` has is known. A subclass may do anything, and is not.

>>> layers.Dense in PASSES, layers.LayerNormalization in PASSES
(True, False)
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from tf_lottery.compression.shrinking.channels import Channels, not_zero
from tf_lottery.compression.shrinking.parts import (
    ELEMENTWISE,
    Found,
    Part,
    filter_each,
    make_channels,
    normalize,
    on_last_axis,
    to_numpy,
)
from tf_lottery.masking.layers import TRANSPOSED

Pass = Callable[[Found, Any, Sequence[Channels]], Channels | None]


def elementwise(
    found: Found, node: Any, inputs: Sequence[Channels]
) -> Channels | None:
    """Passes what treats entries one by one, of one tensor or several."""
    first, *others = inputs
    if not _activates_elementwise(node.operation):
        return None
    passed = _elementwise(node, inputs)
    if passed is not None:
        for other in others:
            found.wiring.unite(first, other)
    return passed


def keep(
    found: Found, node: Any, inputs: Sequence[Channels]
) -> Channels | None:
    """Passes what leaves a dead channel's value as it is."""
    [read] = inputs
    return read if on_last_axis(node.operation) else None


def keep_zeros(
    found: Found, node: Any, inputs: Sequence[Channels]
) -> Channels | None:
    """Passes what may bring in zeros at the borders."""
    layer = node.operation
    [read] = inputs
    if not on_last_axis(layer):
        return None
    if getattr(layer, "padding", None) == "valid":  # of pooling
        return read
    lost = ~read.vary & (read.values != 0)
    found.wiring.note(read.ids[lost], not_zero(layer.name))
    return Channels(read.ids, np.where(lost, np.nan, read.values))


def flatten(
    found: Found, node: Any, inputs: Sequence[Channels]
) -> Channels | None:
    """Passes Flatten: each channel comes once for each place."""
    [read] = inputs
    flat = node.outputs[0].shape[-1]
    if flat is None or not on_last_axis(node.operation):
        return None
    times = flat // len(read.ids)
    return Channels(np.tile(read.ids, times), np.tile(read.values, times))


def reshape(
    found: Found, node: Any, inputs: Sequence[Channels]
) -> Channels | None:
    """Passes a Reshape that keeps the last axis."""
    [read] = inputs
    if node.outputs[0].shape[-1] != len(read.ids):
        return None
    layer = node.operation
    found.parts[id(layer)] = Part(layer, read, read, {}, "target_shape")
    return read


def concatenate(
    found: Found, node: Any, inputs: Sequence[Channels]
) -> Channels | None:
    """Passes a concatenation, along the channels or along another axis."""
    rank = len(node.outputs[0].shape)
    first, *others = inputs
    if node.operation.axis in (-1, rank - 1):
        return Channels(
            np.concatenate([channels.ids for channels in inputs]),
            np.concatenate([channels.values for channels in inputs]),
        )
    values = first.values
    for other in others:
        found.wiring.unite(first, other)
        values = np.where(values == other.values, values, np.nan)
    return Channels(first.ids, values)


def _elementwise(
    node: Any, inputs: Sequence[Channels], **options: Any
) -> Channels | None:
    """Returns the channels behind an operation, by trying it on the values."""
    first = inputs[0]
    count = len(first.ids)
    if any(len(channels.ids) != count for channels in inputs):
        return None
    tried = {}
    for tensor, channels in zip(node.input_tensors, inputs, strict=True):
        if not keras.backend.is_float_dtype(tensor.dtype):
            return None
        shape = (1,) * (len(tensor.shape) - 1) + (count,)
        values = np.where(channels.vary, 1, channels.values).reshape(shape)
        tried[id(tensor)] = ops.convert_to_tensor(values, tensor.dtype)
    args, kwargs = node.arguments.fill_in(tried)
    values = to_numpy(node.operation(*args, **{**kwargs, **options}))
    if values.size != count:
        return None
    vary = np.any([channels.vary for channels in inputs], 0)
    values = np.where(vary, np.nan, values.ravel().astype(np.float64))
    if type(node.operation) in PRODUCTS:
        zero = np.any([channels.values == 0 for channels in inputs], 0)
        values = np.where(zero, 0, values)
    return Channels(first.ids, values)


def _activates_elementwise(layer: Any) -> bool:
    return getattr(layer, "activation", None) in (None, *ELEMENTWISE)


def _classes(*names: str) -> list[type]:
    """Returns the layers of these names; older versions lack some."""
    return [getattr(layers, name) for name in names if hasattr(layers, name)]


def _operation(function: Callable[..., Any], count: int) -> type:
    """Returns the class that stands for a function in a functional model."""
    tensors = [keras.KerasTensor((1, 1)) for _ in range(count)]
    return type(function(*tensors)._keras_history.operation)


PRODUCTS = {layers.Multiply, _operation(ops.multiply, 2)}

ONCE = {make_channels, filter_each, normalize, reshape}
"""Of layers that have a size: it would have to fit all their calls."""

PASSES: Mapping[type, Pass] = {
    **dict.fromkeys(
        [
            layers.Dense,
            layers.Conv1D,
            layers.Conv2D,
            layers.Conv3D,
            *TRANSPOSED,
        ],
        make_channels,
    ),
    **dict.fromkeys(
        [layers.DepthwiseConv1D, layers.DepthwiseConv2D], filter_each
    ),
    layers.BatchNormalization: normalize,
    **dict.fromkeys(
        [
            *_classes("Activation", "ReLU", "LeakyReLU", "ELU"),
            *_classes("Add", "Subtract", "Multiply", "Average"),
            *_classes("Maximum", "Minimum"),
            *(
                _operation(function, 2)
                for function in (
                    *(ops.add, ops.subtract, ops.multiply),
                    *(ops.maximum, ops.minimum),
                )
            ),
            *(
                _operation(function, 1)
                for function in (
                    *(ops.relu, ops.relu6, ops.silu, ops.gelu, ops.elu),
                    *(ops.sigmoid, ops.hard_sigmoid, ops.hard_silu, ops.tanh),
                )
            ),
        ],
        elementwise,
    ),
    **dict.fromkeys(
        _classes(
            *("Dropout", "SpatialDropout1D", "SpatialDropout2D"),
            *("SpatialDropout3D", "GaussianDropout", "GaussianNoise"),
            *("AlphaDropout", "ActivityRegularization", "Identity"),
            *("MaxPooling1D", "MaxPooling2D", "MaxPooling3D"),
            *("GlobalMaxPooling1D", "GlobalMaxPooling2D"),
            *("GlobalMaxPooling3D", "GlobalAveragePooling1D"),
            *("GlobalAveragePooling2D", "GlobalAveragePooling3D"),
            *("Cropping1D", "Cropping2D", "Cropping3D"),
            *("UpSampling1D", "UpSampling2D", "UpSampling3D"),
        ),
        keep,
    ),
    **dict.fromkeys(
        _classes(
            *("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"),
            *("AveragePooling1D", "AveragePooling2D", "AveragePooling3D"),
        ),
        keep_zeros,
    ),
    layers.Flatten: flatten,
    layers.Reshape: reshape,
    layers.Concatenate: concatenate,
}
