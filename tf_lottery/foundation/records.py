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
        where: What it was measured on: the examples of "train", "validation"
            or "test"; or a kernel, by its path, or "all" kernels together.
        metric: On examples "loss" (nats), "accuracy" (fraction), whatever
            else a task measures, and on "train" the "seconds" that a training
            took. On kernels "remaining" (fraction of the prunable weights
            kept), "sign agreement" (fraction of the kept weights that
            ended with the sign they had started with), and the measures of
            `tf_lottery.rules.survivors`.
        value: The number.
    """

    seed: int
    arm: str
    round: int
    step: int
    where: str
    metric: str
    value: float


class Snapshot(NamedTuple):
    """Arrays that a figure needs, of one arm, seed and round.

    Args:
        seed: The replicate.
        arm: The line of the figure or table.
        round: 0 is the first training.
        arrays: Masks, histograms and the like, by name.
    """

    seed: int
    arm: str
    round: int
    arrays: Mapping[str, np.ndarray]
