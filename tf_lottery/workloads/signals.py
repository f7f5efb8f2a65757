"""MNIST-1D: signals of 40 numbers that look like digits, made by a formula.

The package mnist1d makes 4,000 signals to train on and 1,000 to test on, with
no download; a training takes seconds. A tenth of the first is for validation.

>>> Signals(arrange="flipped").name
'mnist1d, flipped'
"""

import functools
import hashlib
import pathlib
import random
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tf_lottery.foundation import checks, seeds
from tf_lottery.workloads.examples import Resident
from tf_lottery.workloads.prediction import Prediction
from tf_lottery.workloads.task import DataError, Shapes

ARRANGEMENTS = ("flipped", "shuffled")
SIZES = {"train": 3600, "validation": 400, "test": 1000}
"""How many signals each split has."""


@dataclass(frozen=True)
class Signals(Prediction):
    """Learns which of ten digits a signal was made from.

    Args:
        arrange: "flipped" reverses the signals in time; "shuffled" puts their
            40 numbers into another order, one for all signals and seeds. None
            leaves them as they are.

    Raises:
        InvalidValue: `arrange` is none of these.

    References:
        Greydanus & Kobak 2024, "Scaling Down Deep Learning with MNIST-1D".
    """

    arrange: str | None = None

    def __post_init__(self) -> None:
        if self.arrange is not None:
            checks.one_of("Signals.arrange", self.arrange, ARRANGEMENTS)

    @property
    def name(self) -> str:
        """The name of the data set, and how it is arranged."""
        return ", ".join(filter(None, ["mnist1d", self.arrange]))

    def open(
        self,
        strategy: tf.distribute.Strategy,
        data_dir: str | None = None,
        cache: pathlib.Path | None = None,
    ) -> Resident:
        """Returns the signals on the devices of a strategy.

        Their mean is 0 and their standard deviation 1, over all numbers of
        all signals, as the package leaves them.

        Args:
            strategy: Whose devices hold them.
            data_dir: Not used: they are made here.
            cache: Not used: it takes two seconds, once a process.

        Raises:
            DataError: The package mnist1d is not installed.
        """
        del data_dir, cache
        inputs, targets = _made()
        if self.arrange == "flipped":
            inputs = inputs[:, ::-1]
        elif self.arrange == "shuffled":
            order = seeds.generator(0, "shuffled signals").permutation(40)
            inputs = inputs[:, order]
        inputs = np.ascontiguousarray(inputs)
        return Resident(
            {"inputs": inputs, "targets": targets},
            SIZES,
            Shapes((40,), 10),
            hashlib.sha256(inputs.tobytes() + targets.tobytes()).hexdigest(),
            strategy,
        )


@functools.cache  # two seconds
def _made() -> tuple[np.ndarray, np.ndarray]:
    """Returns float32 signals `[5000, 40]` and int32 digits `[5000]`."""
    try:
        # Here, since it imports pyplot, which takes a while.
        from mnist1d import data
    except ModuleNotFoundError as error:
        raise DataError(
            "expected the package mnist1d, which makes the signals of "
            f"MNIST-1D: pip install mnist1d ({error})"
        ) from error
    # It seeds the generators of the whole process.
    before = np.random.get_state(), random.getstate()
    try:
        # Not get_dataset, which downloads. They come in a random order, so
        # the last ones of the training split serve for validation.
        made = data.make_dataset(data.get_dataset_args())
    finally:
        np.random.set_state(before[0])
        random.setstate(before[1])
    inputs = np.concatenate([made["x"], made["x_test"]])
    targets = np.concatenate([made["y"], made["y_test"]])
    return inputs.astype(np.float32), targets.astype(np.int32)
