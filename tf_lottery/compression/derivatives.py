"""Derivatives: of any number that a masked model gives, by its kernels.

`saliency` is made of these pieces: the kernels and their values, one function
that differentiates on whatever backend Keras runs on, and two ways to have a
model compute something else for a while. Nothing of it changes a model.

>>> [found] = derivative(lambda values: values[0] ** 2, [ops.ones(())])
>>> float(found)
2.0
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.kernels import (
    all_layers,
    expect_model,
    expected_kernels,
)
from tf_lottery.masking.layers import MaskedKernel

Tensor = Any
Activation = Callable[[Tensor], Tensor]

WITH_ACTIVATION = (
    *(keras.layers.Dense, keras.layers.EinsumDense, keras.layers.Activation),
    *(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D),
)


def expect_kernels(model: keras.Model) -> dict[str, MaskedKernel]:
    """Returns the masked kernels by path.

    Raises:
        InvalidValue: There are none, or the model is not built.
    """
    expect_model(model)
    if not model.built:
        raise InvalidValue(
            "expected a model that is built, received one that is not; call "
            "it once on a batch"
        )
    return expected_kernels(model)


def raw_values(kernels: dict[str, MaskedKernel]) -> list[Tensor]:
    """Returns the kernels below their masks."""
    return [ops.convert_to_tensor(k.variable.value) for k in kernels.values()]


def by_path(
    kernels: dict[str, MaskedKernel], arrays: Sequence[Tensor]
) -> dict[str, np.ndarray]:
    """Returns arrays by the paths of their kernels."""
    named = zip(kernels, arrays, strict=True)
    return {path: ops.convert_to_numpy(array) for path, array in named}


def derivative(
    function: Callable[[Sequence[Tensor]], Tensor], values: Sequence[Tensor]
) -> Sequence[Tensor]:
    """Returns the derivatives of a number by each of some tensors.

    Args:
        function: From the tensors to the number; may itself differentiate.
        values: Where.

    Raises:
        InvalidValue: Keras runs on another backend than TensorFlow or JAX.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.grad(function)(list(values))
    if backend != "tensorflow":
        raise InvalidValue(
            "expected Keras on TensorFlow or JAX for derivatives, received "
            f"the backend {backend}"
        )
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        result = function(values)
    zero = tf.UnconnectedGradients.ZERO
    return tape.gradient(result, values, unconnected_gradients=zero)


@contextmanager
def other_activations(
    model: keras.Model, change: Callable[[Activation], Activation]
) -> Iterator[bool]:
    """Changes the activations of a model's last layers for a while.

    Args:
        model: Whose.
        change: From an activation to another one.

    Yields:
        Whether all last layers have one; else nothing is changed.

    Raises:
        InvalidValue: The model ends in a layer `Softmax`.
    """
    layers = _last_layers(model)
    if any(isinstance(layer, keras.layers.Softmax) for layer in layers):
        raise InvalidValue(
            "expected a model that ends in logits or in a layer with an "
            "activation, received one that ends in a layer Softmax"
        )
    inside = bool(layers) and all(
        isinstance(layer, WITH_ACTIVATION) for layer in layers
    )
    before = [(layer, layer.activation) for layer in layers if inside]
    try:
        for layer, activation in before:
            layer.activation = change(activation)
        yield inside
    finally:
        for layer, activation in before:
            layer.activation = activation


def _last_layers(model: keras.Model) -> list[keras.Layer]:
    """Returns the layers that make the outputs, as far as Keras knows them."""
    if isinstance(model, keras.Sequential):
        last = model.layers[-1:]
    else:
        names = set(getattr(model, "output_names", None) or ())
        last = [layer for layer in model.layers if layer.name in names]
    found = []
    for layer in last:
        nested = isinstance(layer, keras.Model)
        found += _last_layers(layer) if nested else [layer]
    return found


@contextmanager
def computing_in(model: keras.Model, dtype: str) -> Iterator[None]:
    """Has all layers of a model compute in a type of float for a while."""
    layers = all_layers(model)
    # Keras' setter of `dtype_policy` cannot put a map of policies back.
    before = [(layer, layer._dtype_policy) for layer in layers]
    policy = keras.DTypePolicy(dtype)
    try:
        for layer in layers:
            layer._dtype_policy = policy
        yield
    finally:
        for layer, own in before:
            layer._dtype_policy = own
