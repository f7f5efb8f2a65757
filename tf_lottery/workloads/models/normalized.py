"""Convolutions with batch normalisation: what deep networks are made of."""

from collections.abc import Callable
from typing import Any

import keras

from tf_lottery.masking.layers import MaskedConv2D
from tf_lottery.workloads.models import seeded_layers

MOMENTUM = 0.9
"""Of moving statistics: what a step leaves of them."""

EPSILON = 1e-5


def convolution(
    x: Any, name: str, channels: int, activation: bool = True, **layer: Any
) -> Any:
    """Returns a masked convolution, normalised, of a tensor.

    It has no bias, as normalisation has one. Statistics are those of the whole
    batch on any number of replicas; the moving ones are named `<name>_norm/...`
    and are a part of the network's state.

    Args:
        x: The tensor, `[n, height, width, channels]`.
        name: Of the convolution.
        channels: That it gives.
        activation: Whether a ReLU comes last.
        **layer: As for `seeded_layers.layer`.
    """
    x = seeded_layers.layer(
        *(MaskedConv2D, channels),
        **{"kernel_size": 3, "padding": "same", **layer},
        name=name,
        use_bias=False,
    )(x)
    x = keras.layers.BatchNormalization(
        momentum=MOMENTUM,
        epsilon=EPSILON,
        synchronized=True,
        name=f"{name}_norm",
    )(x)
    if not activation:
        return x
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def masked(
    kernel_mask: Callable[..., Any],
    seed: int,
    initializer: seeded_layers.Initializer | None,
) -> dict[str, Any]:
    """Returns what all layers of a network share, for `convolution`."""
    return {
        "kernel_mask": kernel_mask,
        "seed": seed,
        "initializer": initializer,
    }
