"""Algorithms that a network can learn from a table: modular addition.

Networks that learn it with strong weight decay "grok": they know the training
pairs long before they know any other.

>>> task = ModularAddition(modulus=5, fraction=0.4)
>>> task.table()[:7].tolist()
[[0, 0, 0], [0, 1, 1], [0, 2, 2], [0, 3, 3], [0, 4, 4], [1, 0, 1], [1, 1, 2]]
>>> task.sizes
{'train': 10, 'validation': 7, 'test': 8}
"""

import hashlib
import pathlib
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tf_lottery.foundation import checks, memory, seeds
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.workloads.examples import Resident
from tf_lottery.workloads.prediction import Prediction
from tf_lottery.workloads.task import Shapes


@dataclass(frozen=True)
class ModularAddition(Prediction):
    """Learns `(a + b) mod modulus` from some of all pairs.

    Which pairs are for training is chosen once and for all seeds; of the
    others one half is for validation and one for testing.

    Args:
        modulus: How many numbers there are.
        fraction: Which part of the `modulus ** 2` pairs is for training, in
            (0, 1).

    Raises:
        InvalidValue: A field is of the wrong type or range.

    References:
        Power et al. 2022, "Grokking"; Nanda et al. 2023, "Progress measures
        for grokking via mechanistic interpretability" (modulus 113, 30 %).
    """

    modulus: int = 113
    fraction: float = 0.4

    def __post_init__(self) -> None:
        checks.positive_int("MODULUS", self.modulus)
        checks.fraction("FRACTION", self.fraction)
        if not all(self.sizes.values()):
            raise InvalidValue(
                "expected MODULUS and FRACTION that leave pairs to train, "
                f"validate and test on, received {self.modulus} and "
                f"{self.fraction}, which gives {self.sizes}"
            )

    @property
    def name(self) -> str:
        """The task with its modulus, "addition mod 113"."""
        return f"addition mod {self.modulus}"

    @property
    def sizes(self) -> dict[str, int]:
        """How many pairs each split has."""
        pairs = self.modulus**2
        train = int(self.fraction * pairs + 1e-6)
        validation = (pairs - train) // 2
        return {
            "train": train,
            "validation": validation,
            "test": pairs - train - validation,
        }

    def table(self) -> np.ndarray:
        """Returns a, b and their sum for all pairs, int32 `[pairs, 3]`."""
        a, b = np.divmod(np.arange(self.modulus**2), self.modulus)
        rows = np.stack([a, b, (a + b) % self.modulus], axis=1)
        return rows.astype(np.int32)

    def open(
        self,
        strategy: tf.distribute.Strategy,
        data_dir: str | None = None,
        cache: pathlib.Path | None = None,
    ) -> Resident:
        """Returns the pairs on the devices of a strategy.

        Args:
            strategy: Whose devices hold them.
            data_dir: Not used: the table is made here.
            cache: Not used: it takes no time.

        Raises:
            InvalidValue: They do not fit in memory.
        """
        del data_dir, cache
        pairs = self.modulus**2
        # Of int64 numbers, its columns and a table of three.
        memory.expect_room(
            f"the {pairs:,} pairs of MODULUS = {self.modulus}", pairs * 6 * 8
        )
        generator = seeds.generator(0, "modular addition")
        table = generator.permutation(self.table())
        return Resident(
            {"inputs": table[:, :2], "targets": table[:, 2]},
            self.sizes,
            Shapes((2,), self.modulus, "int32", self.modulus),
            hashlib.sha256(table.tobytes()).hexdigest(),
            strategy,
        )
