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
        split: "train", "validation" or "test"; for "remaining" and "sign
            agreement" the path of a kernel, or "all".
        metric: "loss" (nats), "accuracy" (fraction), "remaining" (fraction
            of the prunable weights kept), "sign agreement" (fraction of the
            kept weights that ended with the sign they had started with),
            "seconds" (that a training took).
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
    """Arrays that a figure needs, of one arm, seed and round.

    Args:
        seed: The replicate.
        arm: The line of the figure or table.
        round: 0 is the first training.
        arrays: By name.
    """

    seed: int
    arm: str
    round: int
    arrays: Mapping[str, np.ndarray]
