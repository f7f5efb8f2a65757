"""Tasks: what a network learns, as a value.

A task says which examples there are and what is right and wrong about what a
network makes of them. Everything that trains knows this interface alone, so a
new task is one class, in a module of your own:

    @dataclass(frozen=True)
    class Parity(Task):
        bits: int = 8

        def open(self, strategy, data_dir=None, cache=None):
            ...                          # examples in memory or on disk
        def losses(self, model, batch, training, draw):
            ...                          # a loss and a score an example

What a training step sees is a function of (seed, step) alone, whatever was
trained before and on however many devices: examples come by number from the
source, and randomness comes from `Draw`.
"""

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import keras
import tensorflow as tf

from tf_lottery.masking import mask_draws

Batch = dict[str, tf.Tensor]
"""Some examples: arrays by name, one row an example."""

SPLITS = ("train", "validation", "test")


class DataError(Exception):
    """A data set is not there, or is not what was asked for."""


class Shapes(NamedTuple):
    """What a network must know of a task.

    Args:
        inputs: Shape of one example's inputs.
        outputs: How many numbers the network gives for an example.
        dtype: Of the inputs, as the network gets them.
        tokens: How many different ones there are, of inputs that are whole
            numbers from 0 on. None of others.
    """

    inputs: tuple[int, ...]
    outputs: int
    dtype: str = "float32"
    tokens: int | None = None


class Draw(NamedTuple):
    """The randomness of one training step.

    Args:
        seed: Of the training, int32.
        step: How many steps went before, int32.
        places: Where in the whole batch the examples at hand are, int32
            `[n]`: a replica has a part of them.
        batch_size: Examples in the whole batch.
    """

    seed: tf.Tensor
    step: tf.Tensor
    places: tf.Tensor
    batch_size: int

    def uniform(self, *shape: int) -> tf.Tensor:
        """Returns draws from [0, 1), float32 `[n, *shape]`.

        They are the same on one device and on several. A second call with the
        same shape gives the same numbers: ask once for all that is needed.
        """
        every = mask_draws.uniform(
            (self.batch_size, *shape), self.seed, self.step
        )
        return tf.gather(every, self.places)


class Source(Protocol):
    """The examples of a task, opened for the devices of a strategy.

    `examples.Resident` and `examples.Streamed` are the two kinds there are.
    """

    sizes: Mapping[str, int]
    """How many examples each of `SPLITS` has."""
    shapes: Shapes
    """What a network must know."""
    fingerprint: str
    """Tells these examples from any others; part of a training's identity."""


class Task:
    """What is learned; subclasses are frozen dataclasses.

    Their fields are a part of the identity of every training, so they say all
    that decides which examples there are.
    """

    score = "accuracy"
    """The metric that the mean of the scores is."""

    @property
    def name(self) -> str:
        """What is learned, in a few words, for titles and tables."""
        return type(self).__name__

    def open(
        self,
        strategy: tf.distribute.Strategy,
        data_dir: str | None = None,
        cache: pathlib.Path | None = None,
    ) -> Any:
        """Returns the examples where a training can reach them.

        Args:
            strategy: Whose devices hold them, if they are held in memory.
            data_dir: Where data sets are.
            cache: A folder for what takes long to read; None keeps nothing.

        Returns:
            A `Source`.
        """
        raise NotImplementedError

    def losses(
        self,
        model: keras.Model,
        batch: Batch,
        training: bool,
        draw: Draw | None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the loss and the score of each example, float32 `[n]` both.

        Args:
            model: The network.
            batch: Of n examples, as the source gives them.
            training: Whether the network learns from it.
            draw: The randomness of a training step. None in an evaluation.
        """
        raise NotImplementedError

    def metrics(self, loss: float, score: float) -> dict[str, float]:
        """Returns what is written down of some examples, by metric.

        Args:
            loss: Mean over the examples.
            score: The mean of their scores.
        """
        return {"loss": loss, self.score: score}
