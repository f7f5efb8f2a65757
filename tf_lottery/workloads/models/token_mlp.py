"""A dense network on tokens: a vector for each, then layers with ReLU.

>>> from tf_lottery.masking.masks import fixed_mask
>>> shapes = Shapes((2,), outputs=5, dtype="int32", tokens=5)
>>> model = TokenMlp(width=3, hidden=(4,))(shapes, fixed_mask, seed=0)
>>> [tuple(w.shape) for w in model.trainable_weights]
[(5, 3), (6, 4), (4,), (4, 5), (5,)]
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import keras

from tf_lottery.foundation import checks, memory, seeds
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.layers import MaskedDense
from tf_lottery.masking.masks import KernelMask
from tf_lottery.workloads.models import seeded_layers
from tf_lottery.workloads.task import Shapes


@dataclass(frozen=True)
class TokenMlp:
    """Builds a network of an embedding and masked dense layers.

    The vectors of an example's tokens are put one after another. The embedding
    is no kernel and has no mask.

    Args:
        width: Numbers in the vector of a token.
        hidden: Units of the hidden layers.

    Raises:
        InvalidValue: A field is of the wrong type.
    """

    width: int = 100
    hidden: tuple[int, ...] = (200, 200)

    def __post_init__(self) -> None:
        checks.positive_int("TokenMlp.width", self.width)
        checks.sequence("TokenMlp.hidden", self.hidden)
        for units in self.hidden:
            checks.positive_int("TokenMlp.hidden", units)

    def __call__(
        self,
        shapes: Shapes,
        kernel_mask: Callable[..., KernelMask],
        seed: int,
    ) -> keras.Model:
        """Returns the network, from tokens to logits.

        Args:
            shapes: How many tokens an example has, how many different ones
                there are, and how many logits.
            kernel_mask: Called with `seed=` for each layer's mask.
            seed: Of the initial weights and of the masks.

        Raises:
            InvalidValue: The task's inputs are no tokens, or it does not fit
                in memory.
        """
        if shapes.tokens is None:
            raise InvalidValue(
                "expected a task of tokens for TokenMlp, received one with "
                f"inputs of {shapes.dtype} {shapes.inputs}"
            )
        memory.expect_room(
            f"the vectors of TokenMlp.width = {self.width}",
            shapes.tokens * self.width * memory.FLOAT,
        )
        inputs = math.prod(shapes.inputs) * self.width
        memory.expect_room_for_layers(
            "TokenMlp.hidden", [inputs, *self.hidden, shapes.outputs]
        )
        dense = functools.partial(
            seeded_layers.layer,
            MaskedDense,
            kernel_mask=kernel_mask,
            seed=seed,
        )
        tokens = keras.Input(shapes.inputs, dtype=shapes.dtype, name="tokens")
        x = keras.layers.Embedding(
            shapes.tokens,
            self.width,
            embeddings_initializer=keras.initializers.RandomUniform(
                seed=seeds.integer(seed, "init", "embedding")
            ),
            name="embedding",
        )(tokens)
        x = keras.layers.Flatten(name="flatten")(x)
        for i, units in enumerate(self.hidden, start=1):
            x = dense(units, name=f"fc{i}", activation="relu")(x)
        logits = dense(shapes.outputs, name="output")(x)
        return keras.Model(tokens, logits, name="token_mlp")
