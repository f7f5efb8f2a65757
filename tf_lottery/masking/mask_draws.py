"""Draws: random numbers of masks, as a function of (seed, step).

>>> a, b, c = (uniform((), seed=1, step=step) for step in (7, 7, 8))
>>> bool(a == b), bool(a == c)
(True, False)
"""

import functools
import random
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

Array = Any  # a tensor of the Keras backend in use, or a NumPy array


def seed_or_any(seed: int | None) -> int:
    """Returns the seed, or one from Python's `random` if it is None.

    Raises:
        ValueError: It is not in [0, 2**31).
    """
    if seed is None:
        return random.randrange(2**31)
    if not 0 <= seed < 2**31:
        raise ValueError(f"expected `seed` in [0, 2**31), received {seed}")
    return seed


class _DrawnSeed(keras.random.SeedGenerator):
    """Hands `keras.random` a seed that the caller computed."""

    def __init__(self, seed: Array) -> None:
        self._seed = seed  # and no state: it is used once

    def next(self, ordered: bool = True) -> Array:
        return self._seed


def uniform(shape: Sequence[int], seed: Array, step: Array) -> Array:
    """Returns float32 draws from [0, 1) as a function of `(seed, step)`."""
    pair = ops.stack([ops.cast(seed, "int32"), ops.cast(step, "int32")])
    if keras.backend.backend() == "tensorflow":
        return _threefry_uniform(tuple(shape), pair)
    return keras.random.uniform(
        shape, dtype="float32", seed=_DrawnSeed(ops.cast(pair, "uint32"))
    )


def _threefry_uniform(shape: tuple[int, ...], pair: Array) -> Array:
    # keras.random takes TensorFlow's default generator, Philox, which XLA on
    # a CPU runs at a tenth of the speed of Threefry and which made up half of
    # a training step. Threefry exists in XLA only, hence the compiled call;
    # it also gives the same draws inside and outside of a compiled step.
    return _threefry(shape)(pair)


@functools.cache
def _threefry(shape: tuple[int, ...]) -> Callable[[Array], Array]:
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def draw(pair: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_uniform(shape, pair, alg="threefry")

    return draw
