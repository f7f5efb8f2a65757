"""Parts: layers whose weights belong to channels, and what they do to those.

    new channels    Dense, Conv1D, Conv2D, Conv3D and their transposes
    one by one      BatchNormalization, depthwise convolutions

Each is a pass: a function of what is found so far, a node of the graph (a
layer and the tensors it was called with) and the channels it gets. It returns
those of the node's output, or None if it cannot tell, and notes down which
weights go with which channels. `shrinking.passes` has those of the
layers that have no weights.

A channel is dead if its weights are pruned, or read nothing but dead ones.
What is made of dead channels is known, as here by a depthwise convolution:

>>> layer = layers.DepthwiseConv1D(1, bias_initializer="ones")
>>> x = keras.Input((8, 2))
>>> node = keras.Model(x, layer(x)).layers[1]._inbound_nodes[0]
>>> found = Found()
>>> read = found.wiring.new(np.array([0.0, np.nan]))
>>> filter_each(found, node, [read]).values.tolist()
[1.0, nan]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import activations, layers, ops

from tf_lottery.compression.shrinking.channels import Channels, Wiring, not_zero
from tf_lottery.masking.layers import TRANSPOSED, Masked
from tf_lottery.masking.masks import FixedMask

_NAMES = (
    *("celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid"),
    *("hard_silu", "hard_tanh", "leaky_relu", "linear", "log_sigmoid"),
    *("mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink"),
    *("softplus", "softsign", "sparse_plus", "squareplus", "tanh"),
    *("tanh_shrink", "threshold"),
)
ELEMENTWISE = [
    getattr(activations, name) for name in _NAMES if hasattr(activations, name)
]
"""Activations that treat channels one by one."""


@dataclass(frozen=True, eq=False)
class Part:
    """A layer whose weights or size go with the channels.

    Args:
        layer: Itself.
        inputs: That it gets, `[I]`.
        outputs: That it makes or hands on, `[O]`.
        axes: By attribute, which axis of a variable is its inputs and which
            its outputs; None if there is none.
        size: The entry of its configuration that counts its outputs, or "".
        kernel: The effective kernel, `[..., I, O]`, if it makes channels.
    """

    layer: Any
    inputs: Channels
    outputs: Channels
    axes: Mapping[str, tuple[int | None, int | None]]
    size: str = ""
    kernel: Any = None


@dataclass(frozen=True, eq=False)
class Found:
    """What a walk through a model found.

    Args:
        silence: Whether to set the bias of pruned channels to 0 on the way,
            and batch normalisation so that dead channels are 0 behind it.
        wiring: How the channels hang together.
        parts: By the id of the layer.
    """

    silence: bool = False
    wiring: Wiring = field(default_factory=Wiring)
    parts: dict[int, Part] = field(default_factory=dict)


def make_channels(
    found: Found, node: Any, inputs: Sequence[Channels]
) -> Channels | None:
    """Passes a dense layer or convolution: its channels are new."""
    layer = node.operation
    if not on_last_axis(layer) or getattr(layer, "groups", 1) != 1:
        return None
    if _replaced(layer):
        return None
    [read] = inputs
    kernel, pruned = _kernel(layer)
    spatial = tuple(range(kernel.ndim - 2))
    linked = ~pruned.all(spatial)
    if found.silence:
        _silence(layer, ~pruned.all((*spatial, -2)))
    padded = _pads_zeros(layer) & (read.values != 0)  # and so is NaN
    reads = linked & (read.vary | padded)[:, None]
    values = np.nan_to_num(read.values) @ total(kernel)
    if layer.use_bias:
        values = values + to_numpy(layer.bias)
    known = layer.activation in ELEMENTWISE
    if known:
        values = _activated(layer, values)
    dead = ~reads.any(0) & known
    made = found.wiring.new(np.where(dead, values, np.nan))
    if not known:
        found.wiring.need(made, f"the activation of {layer.name} needs all")
    found.wiring.read(read, made, reads, layer.name)
    transposed = isinstance(layer, TRANSPOSED)
    found.parts[id(layer)] = Part(
        layer,
        read,
        made,
        {"kernel": (-1, -2) if transposed else (-2, -1), "bias": (None, -1)},
        "units" if isinstance(layer, layers.Dense) else "filters",
        kernel,
    )
    return made


def filter_each(
    found: Found, node: Any, inputs: Sequence[Channels]
) -> Channels | None:
    """Passes a depthwise convolution: it makes some of each channel."""
    layer = node.operation
    if not on_last_axis(layer) or layer.activation not in ELEMENTWISE:
        return None
    [read] = inputs
    kernel, pruned = _kernel(layer)  # [..., C, multiplier]
    spatial = tuple(range(kernel.ndim - 2))
    each = kernel.shape[-1]
    ids, before = np.repeat(read.ids, each), np.repeat(read.values, each)
    linked = ~pruned.all(spatial).ravel()
    if found.silence:
        _silence(layer, linked)
    values = np.where(linked, before, 0) * total(kernel).ravel()
    if layer.use_bias:
        values = values + to_numpy(layer.bias)
    values = _activated(layer, values)
    lost = linked & _pads_zeros(layer) & (before != 0)  # NaN is not 0
    dead = ~lost & (~np.isnan(before) | ~linked)
    passed = Channels(ids, np.where(dead, values, np.nan))
    found.wiring.note(ids[lost & ~np.isnan(before)], not_zero(layer.name))
    found.parts[id(layer)] = Part(
        layer, read, passed, {"kernel": (-2, None), "bias": (None, -1)}
    )
    return passed


def normalize(
    found: Found, node: Any, inputs: Sequence[Channels]
) -> Channels | None:
    """Passes batch normalisation, which does as in evaluation."""
    layer = node.operation
    [read] = inputs
    if layer.axis not in (-1, len(node.outputs[0].shape) - 1):
        return None
    if found.silence:
        if layer.center:
            layer.beta.assign(np.where(read.vary, to_numpy(layer.beta), 0))
        mean = to_numpy(layer.moving_mean)
        layer.moving_mean.assign(np.where(read.vary, mean, read.values))
    deviation = np.sqrt(to_numpy(layer.moving_variance) + layer.epsilon)
    values = (read.values - to_numpy(layer.moving_mean)) / deviation
    if layer.scale:
        values = values * to_numpy(layer.gamma)
    if layer.center:
        values = values + to_numpy(layer.beta)
    passed = Channels(read.ids, values)
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    axes = {name: (None, -1) for name in names}
    found.parts[id(layer)] = Part(layer, read, passed, axes)
    return passed


def _silence(layer: Any, linked: Any) -> None:
    """Sets the bias of outputs that have no weights to 0; `[O]`."""
    if isinstance(layer, Masked) and layer.use_bias:  # type: ignore[attr-defined]
        layer.bias.assign(to_numpy(layer.bias) * linked)  # type: ignore[attr-defined]


def _activated(layer: keras.Layer, values: np.ndarray) -> np.ndarray:
    tensor = ops.convert_to_tensor(values, layer.variable_dtype)
    return to_numpy(layer.activation(tensor))


def total(kernel: np.ndarray) -> np.ndarray:
    """Returns what a kernel makes of ones, `[I, O]`, without borders."""
    return kernel.sum(tuple(range(kernel.ndim - 2)), dtype=np.float64)


def _kernel(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns the effective kernel `[..., I, O]`, and where it is pruned.

    A weight that is zero by chance, or at the start of a training, is not
    pruned; one that is frozen at another value than zero is not either.
    """
    kernel = to_numpy(layer.kernel)
    pruned = np.zeros(kernel.shape, bool)
    if isinstance(layer, Masked):
        pruned = kernel == 0
        if isinstance(layer.kernel_mask, FixedMask):
            pruned &= ~to_numpy(layer.kernel_mask.value)
    if isinstance(layer, TRANSPOSED):
        kernel, pruned = kernel.swapaxes(-1, -2), pruned.swapaxes(-1, -2)
    return kernel, pruned


def _pads_zeros(layer: Any) -> bool:
    """Returns whether what a layer reads differs at the borders."""
    if isinstance(layer, layers.Dense):
        return False
    if isinstance(layer, TRANSPOSED):
        # Fewer weights reach the borders, and with strides not all places.
        return True
    return layer.padding != "valid" and max(layer.kernel_size) > 1


def on_last_axis(layer: Any) -> bool:
    """Returns whether a layer's channels are on the last axis."""
    return getattr(layer, "data_format", None) != "channels_first"


def _replaced(layer: Any) -> bool:
    """Returns whether a layer computes with something else than its kernel."""
    lora = getattr(layer, "lora_enabled", False)
    return lora or getattr(layer, "quantization_mode", None) is not None


def to_numpy(tensor: Any) -> np.ndarray:
    """Returns a variable or tensor as an array."""
    return ops.convert_to_numpy(tensor)
