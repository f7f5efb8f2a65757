"""Masks: Keras layers that map a kernel to the effective kernel.

A mask has the shape of a kernel and says which of its weights take part:

    FixedMask       a binary mask that pruning sets      (lottery tickets)
    BernoulliMask   each weight is kept with a learned probability
                                          (supermasks, Zhou et al. 2019)
    TopKMask        the k highest learned scores are kept
                                          (edge-popup, Ramanujan et al. 2020)

A masked layer (`tf_lottery.layers`) sends its kernel through its mask each
time it is called. The masks of the last two kinds are learned: gradients
reach their logits or scores straight through the binary mask, and the kernel
below them stays as it was initialised.

>>> import numpy as np
>>> mask = FixedMask()
>>> mask.build((2, 2))
>>> mask.assign(np.array([[1, 0], [1, 1]]))
>>> mask(np.array([[1.0, 2.0], [3.0, 4.0]], "float32")).numpy().tolist()
[[1.0, 0.0], [3.0, 4.0]]
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tf_lottery.masking import mask_draws
from tf_lottery.masking.highest import highest
from tf_lottery.masking.mask_draws import Array

DEFAULT_RATE = 0.2
"""Of the survivors, a round: Frankle & Carbin 2019, figure 2."""


class KernelMask(keras.layers.Layer):
    """What all masks share: a shape, and a place in a masked layer.

    Args:
        name: Part of the variables' paths; `fc1/kernel_mask/value`.
        **kwargs: As for any Keras layer.
    """

    learned = False
    """Whether gradients train the mask, and the kernel below it is frozen."""

    def __init__(self, name: str = "kernel_mask", **kwargs: Any) -> None:
        # Not autocast: a mask hands the kernel back in the dtype it came in,
        # and probabilities are compared in float32 under any dtype policy.
        super().__init__(name=name, autocast=False, **kwargs)

    def get_build_config(self) -> None:
        # Its layer builds it, also out of a file: its variables are then
        # named after the layer.
        return None

    def expect_shape(self, what: str, shape: Sequence[int]) -> None:
        """Raises ValueError unless `shape` is that of the mask's kernel."""
        if not self.built:
            raise ValueError(
                f"expected {what} for a mask that is built; build its layer "
                "first, or call the model once"
            )
        expected = tuple(self._build_shapes_dict["kernel_shape"])
        if tuple(shape) != expected:
            raise ValueError(
                f"expected {what} of shape {expected} for the mask "
                f"{self.path!r}, received shape {tuple(shape)}"
            )


@keras.saving.register_keras_serializable("tf_lottery")
class FixedMask(KernelMask):
    """Keeps the weights where `value` is true, and holds the others still.

    The effective kernel is `value * kernel + (1 - value) * frozen`. It starts
    as the kernel itself: all true, with `frozen` at zero.

    The kernel's gradient is exactly zero where it is pruned, and the effective
    weight there is `frozen` whatever the optimizer does to the raw kernel
    (momentum and weight decay do move it).

    Args:
        rate: Fraction of the survivors that a round of pruning removes here.
            The mask keeps it for those who prune, and makes no use of it.
        **kwargs: As for any Keras layer.

    Input shape: that of the kernel.
    Output shape: the same.

    References:
        Frankle & Carbin 2019, section 1: the mask m of f(x; m * theta).
        Zhou et al. 2019, section 4, for `frozen` other than zero.
    """

    def __init__(self, rate: float = DEFAULT_RATE, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate

    def build(self, kernel_shape: Sequence[int]) -> None:
        self.value = self.add_weight(
            shape=kernel_shape,
            initializer=_all_true,
            dtype="bool",
            trainable=False,
            name="value",
        )
        self.frozen = self.add_weight(
            shape=kernel_shape,
            initializer="zeros",
            trainable=False,
            autocast=False,
            name="frozen",
        )

    def call(self, kernel: Array) -> Array:
        # A selection, not a product: exact whatever the raw kernel holds.
        value = ops.convert_to_tensor(self.value)
        return ops.where(value, kernel, ops.cast(self.frozen, kernel.dtype))

    def assign(self, value: Array, frozen: Array | None = None) -> None:
        """Sets the mask.

        Args:
            value: 0 and 1, or booleans, of the kernel's shape; 1 is kept.
            frozen: What pruned weights are held at, of the kernel's shape;
                entries of kept weights are ignored. Zero if None.

        Raises:
            ValueError: A shape is not the kernel's, or `value` holds anything
                but 0 and 1.
        """
        value = np.asarray(value)
        self.expect_shape("a mask", value.shape)
        if not np.isin(value, (0, 1)).all():
            raise ValueError(
                f"expected only 0 and 1 in the mask {self.path!r}, "
                f"received {np.unique(value)[:5]}"
            )
        if frozen is None:
            frozen = np.zeros(value.shape)
        frozen = np.asarray(frozen)
        self.expect_shape("frozen values", frozen.shape)
        self.value.assign(value.astype(bool))
        self.frozen.assign(frozen)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}


@keras.saving.register_keras_serializable("tf_lottery")
class BernoulliMask(KernelMask):
    """Keeps each weight with the learned probability `sigmoid(logits)`.

    The effective kernel is `kernel * z`, with a fresh `z ~ Bernoulli(p)`,
    `p = sigmoid(logits)`, in every training step. The gradient passes straight
    through the draw: d/dlogits = upstream * kernel * p * (1 - p).

    With `rescale`, Dynamic Weight Rescaling, the kernel is also multiplied by
    `size / sum(z)`, so that its scale does not shrink with the mask; the
    gradient flows through that factor too.

    What is drawn is a function of `(seed, step)`: the same on every replica
    and after a resume. `step` counts training calls. Calls outside training
    (evaluation, `predict`, reading `layer.kernel`) leave it as it is and so
    repeat one mask of their own until the next training step, or until
    `step` is assigned.

    Args:
        rescale: Dynamic Weight Rescaling.
        initial_logit: Where all logits start; 0 keeps half of the weights.
        seed: Of the draws, in [0, 2**31). None takes one from Python's
            `random`, which `keras.utils.set_random_seed` sets.
        **kwargs: As for any Keras layer.

    Input shape: that of the kernel.
    Output shape: the same.

    References:
        Zhou et al. 2019, section 5 and its appendix on supermasks.
    """

    learned = True

    def __init__(
        self,
        rescale: bool = False,
        initial_logit: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rescale = rescale
        self.initial_logit = initial_logit
        self.seed = mask_draws.seed_or_any(seed)

    def build(self, kernel_shape: Sequence[int]) -> None:
        self.logits = self.add_weight(
            shape=kernel_shape,
            initializer=keras.initializers.Constant(self.initial_logit),
            dtype="float32",
            autocast=False,
            name="logits",
        )
        self.step = self.add_weight(
            shape=(),
            initializer="zeros",
            dtype="int32",
            trainable=False,
            aggregation="only_first_replica",
            name="step",
        )

    def call(self, kernel: Array, training: bool | None = None) -> Array:
        if training:
            step = self.step.value + 1
            self.step.assign(step)
        else:
            # Negative steps, so that evaluation never sees a training mask.
            step = -1 - self.step.value
        p = ops.sigmoid(self.logits)
        drawn = mask_draws.uniform(self.logits.shape, self.seed, step) < p
        z = _straight_through(ops.cast(drawn, "float32"), p)
        if self.rescale:
            # An empty mask stays zero: `maximum` keeps 0 / 0 out.
            z = z * (float(np.prod(z.shape)) / ops.maximum(ops.sum(z), 1.0))
        return kernel * ops.cast(z, kernel.dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rescale": self.rescale,
            "initial_logit": self.initial_logit,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable("tf_lottery")
class TopKMask(KernelMask):
    """Keeps the weights with the largest learned scores, by absolute value.

    The effective kernel is `kernel * z`, where `z` is 1 for exactly
    `floor(remaining * size + 1e-6)` weights (at least one) and 0 elsewhere;
    of equal scores the one that comes first is kept. The gradient passes
    straight through `z` to `abs(scores)`.

    Args:
        remaining: Fraction of the weights that is kept, in (0, 1].
        seed: Of the initial scores, in [0, 2**31); None as in `BernoulliMask`.
        **kwargs: As for any Keras layer.

    Input shape: that of the kernel.
    Output shape: the same.

    Raises:
        ValueError: `remaining` is not in (0, 1].

    References:
        Ramanujan et al. 2020, "What's Hidden in a Randomly Weighted Neural
        Network?", section 3 (edge-popup). Scores start as there, uniform
        within 1 / sqrt(fan_in).
    """

    learned = True

    def __init__(
        self,
        remaining: float = 0.5,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 < remaining <= 1:
            raise ValueError(
                f"expected `remaining` in (0, 1], received {remaining}"
            )
        self.remaining = remaining
        self.seed = mask_draws.seed_or_any(seed)

    def build(self, kernel_shape: Sequence[int]) -> None:
        self.scores = self.add_weight(
            shape=kernel_shape,
            initializer=keras.initializers.VarianceScaling(
                1 / 3, "fan_in", "uniform", seed=self.seed
            ),
            dtype="float32",
            autocast=False,
            name="scores",
        )

    def call(self, kernel: Array) -> Array:
        size = int(np.prod(self.scores.shape))
        kept = max(1, int(self.remaining * size + 1e-6))
        scores = ops.abs(ops.reshape(self.scores, (size,)))
        hard = highest(scores, kept)
        z = ops.reshape(_straight_through(hard, scores), self.scores.shape)
        return kernel * ops.cast(z, kernel.dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "remaining": self.remaining,
            "seed": self.seed,
        }


def fixed_mask(seed: int) -> FixedMask:
    """Returns a `FixedMask`; it draws nothing, so `seed` is not used.

    For places that build one mask a layer and hand each its seed.
    """
    del seed
    return FixedMask()


def _all_true(shape: Sequence[int], dtype: Any = None) -> Array:
    return ops.ones(shape, dtype=dtype)


def _straight_through(hard: Array, soft: Array) -> Array:
    """Returns exactly `hard`, with the gradient of `soft`."""
    # In this order because (soft - soft) is exactly zero: hard + soft - soft
    # would be off by a rounding error.
    return ops.stop_gradient(hard) + (soft - ops.stop_gradient(soft))
