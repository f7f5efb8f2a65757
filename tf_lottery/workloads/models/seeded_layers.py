"""Masked layers whose randomness has a name: what architectures are made of."""

from collections.abc import Callable
from typing import Any

import keras

from tf_lottery.foundation import seeds
from tf_lottery.masking.masks import KernelMask


def layer(
    layer_type: Callable[..., keras.Layer],
    *args: Any,
    name: str,
    kernel_mask: Callable[..., KernelMask],
    seed: int,
    **kwargs: Any,
) -> keras.Layer:
    """Returns a masked layer, initialised from `(seed, name)`.

    Kernels start Glorot normal (truncated at two standard deviations, as in
    TensorFlow), biases at zero.

    Args:
        layer_type: Of `tf_lottery.layers`.
        *args: As for the layer.
        name: Of the layer; in the paths of its variables.
        kernel_mask: Called with `seed=` for the layer's mask.
        seed: Of the network.
        **kwargs: As for the layer.

    References:
        Frankle & Carbin 2019, figure 2: Gaussian Glorot.
    """
    return layer_type(
        *args,
        name=name,
        kernel_initializer=keras.initializers.GlorotNormal(
            seeds.integer(seed, "init", name)
        ),
        kernel_mask=kernel_mask(seed=seeds.integer(seed, "mask", name)),
        **kwargs,
    )
