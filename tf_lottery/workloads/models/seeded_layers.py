"""Masked layers whose randomness has a name: what architectures are made of."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from tf_lottery.foundation import seeds
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.masks import KernelMask
from tf_lottery.workloads.task import Shapes

Initializer = Mapping[str, Any]
"""As Keras serializes one: `{"class_name": ..., "config": {...}}`."""


def layer(
    layer_type: Callable[..., keras.Layer],
    *args: Any,
    name: str,
    kernel_mask: Callable[..., KernelMask],
    seed: int,
    initializer: Initializer | None = None,
    **kwargs: Any,
) -> keras.Layer:
    """Returns a masked layer, initialised from `(seed, name)`.

    Biases start at zero.

    Args:
        layer_type: Of `tf_lottery.layers`.
        *args: As for the layer.
        name: Of the layer; in the paths of its variables.
        kernel_mask: Called with `seed=` for the layer's mask.
        seed: Of the network.
        initializer: Of the kernel. None is Glorot normal, truncated at two
            standard deviations as in TensorFlow.
        **kwargs: As for the layer.

    References:
        Frankle & Carbin 2019, figure 2: Gaussian Glorot.
    """
    return layer_type(
        *args,
        name=name,
        kernel_initializer=new_initializer(
            initializer, seeds.integer(seed, "init", name)
        ),
        kernel_mask=kernel_mask(seed=seeds.integer(seed, "mask", name)),
        **kwargs,
    )


def new_initializer(
    initializer: Initializer | None, seed: int
) -> keras.initializers.Initializer:
    """Returns an initializer that draws from a seed.

    Args:
        initializer: As Keras serializes it; None is Glorot normal.
        seed: Of what it draws.

    Raises:
        InvalidValue: Keras does not know it, or one of its arguments.
    """
    if initializer is None:
        return keras.initializers.GlorotNormal(seed)
    try:
        name, config = initializer["class_name"], initializer["config"]
        return keras.initializers.get(
            {"class_name": name, "config": {**config, "seed": seed}}
        )
    except Exception as error:  # of Keras, by what is wrong
        raise InvalidValue(
            "expected an initializer as {'class_name': ..., 'config': {...}} "
            "with the name and arguments of a Keras initializer that draws, "
            f"received {initializer!r}: {error}"
        ) from error


def expect_images(network: str, shapes: Shapes, least: int) -> None:
    """Raises InvalidValue unless inputs are images of a size or larger.

    Args:
        network: Its name, for the message.
        shapes: What the network is built for.
        least: Pixels of the shorter side.
    """
    if len(shapes.inputs) != 3 or min(shapes.inputs[:2]) < least:
        raise InvalidValue(
            f"expected images (height, width, channels) of at least {least} x "
            f"{least} pixels for {network}, received inputs of shape "
            f"{shapes.inputs}"
        )
