"""Examples: which ones a step sees, as a function of (seed, step) alone.

An epoch is a permutation of the training examples, cut into whole batches;
what is left over is dropped, and the next epoch has a permutation of its own.
No iterator keeps a position, so a training can be resumed at any step.

`Resident` holds all examples on the device, and a batch is a row of numbers:
nothing but those travels while a training runs. `Streamed` reads them from
disk as they are needed, for sets that do not fit.
"""

import functools
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from tf_lottery.foundation import seeds
from tf_lottery.workloads.task import SPLITS, Batch, Shapes


class Resident:
    """Arrays on the device, or on each device of a strategy.

    Args:
        arrays: By name, the splits one after another: `[train | validation |
            test]`, one row an example.
        sizes: How many examples each split has.
        shapes: What a network must know of them.
        fingerprint: Tells them from any others.
        strategy: Whose devices hold them.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        sizes: Mapping[str, int],
        shapes: Shapes,
        fingerprint: str,
        strategy: tf.distribute.Strategy,
    ) -> None:
        self.sizes, self.shapes = sizes, shapes
        self.fingerprint = fingerprint
        with strategy.scope():
            self._arrays = {
                name: tf.Variable(array, trainable=False)
                for name, array in arrays.items()
            }

    def start(self, split: str) -> int:
        """Returns the number of the first example of a split."""
        before = SPLITS[: SPLITS.index(split)]
        return sum(self.sizes[name] for name in before)

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns all examples as they are held, by name."""
        return {name: v.numpy() for name, v in self._arrays.items()}

    def rows(
        self, seed: int, batch_size: int, step: int, count: int
    ) -> np.ndarray:
        """Returns the examples of `count` steps from `step` on.

        Returns:
            Their numbers, int32 `[count, batch_size]`.
        """
        return batch_rows(seed, batch_size, step, count, self.sizes["train"])

    def take(self, rows: tf.Tensor) -> Batch:
        """Returns the examples of some numbers, as they are held."""
        return {
            name: tf.gather(variable, rows)
            for name, variable in self._arrays.items()
        }


class Streamed:
    """Examples on disk; subclasses read them.

    Args:
        sizes: How many examples each split has.
        shapes: What a network must know of them.
        fingerprint: Tells them from any others.
    """

    def __init__(
        self, sizes: Mapping[str, int], shapes: Shapes, fingerprint: str
    ) -> None:
        self.sizes, self.shapes = sizes, shapes
        self.fingerprint = fingerprint

    def batches(self, seed: int, batch_size: int, step: int) -> Iterator[Batch]:
        """Yields the training batches from `step` on, without end."""
        raise NotImplementedError

    def split(self, name: str, batch_size: int) -> Iterator[Batch]:
        """Yields a split once, in batches; the last may be smaller."""
        raise NotImplementedError


def batch_rows(
    seed: int, batch_size: int, step: int, count: int, examples: int
) -> np.ndarray:
    """Returns which of `examples` training examples some steps see.

    Returns:
        Their numbers, int32 `[count, batch_size]`.
    """
    per_epoch = examples // batch_size
    return np.stack(
        [
            _permutation(seed, s // per_epoch, examples)[
                s % per_epoch * batch_size :
            ][:batch_size]
            for s in range(step, step + count)
        ]
    )


@functools.lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    order = seeds.generator(seed, "order", epoch).permutation(n)
    return order.astype(np.int32)
