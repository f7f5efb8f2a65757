"""Points: the numbers of the papers, as parts of our figures."""

from collections.abc import Callable
from typing import NamedTuple


class PaperPoint(NamedTuple):
    """What a paper has, as a point of one of our figures.

    Args:
        metric: "accuracy", "stop", "accuracy at the end" or "training
            accuracy".
        arm: The line it belongs to.
        remaining: Per cent of the weights; NaN if the paper does not say.
        value: On the y axis.
    """

    metric: str
    arm: str
    remaining: float
    value: float


Link = Callable[[str, int], str]
"""From an arm and a round to what its point links to."""
