"""Records: what experiments yield, and what a run's files hold."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class Record(NamedTuple):
    """One measured number: a line of `metrics.csv`.

    Args:
        seed: The replicate.
        arm: The line of the figure or table.
        round: 0 is the first training.
        step: Training steps done when it was measured.
        split: "train", "validation" or "test"; for "remaining" the path of
            a kernel, or "all".
        metric: "loss" (nats), "accuracy" (fraction), "remaining" (fraction
            of the prunable weights kept), "seconds" (that a training took).
        value: The number.
    """

    seed: int
    arm: str
    round: int
    step: int
    split: str
    metric: str
    value: float


class Picture(NamedTuple):
    """Arrays that a figure needs, of one arm and seed.

    Args:
        seed: The replicate.
        arm: The line of the figure or table.
        arrays: By name.
    """

    seed: int
    arm: str
    arrays: Mapping[str, np.ndarray]
