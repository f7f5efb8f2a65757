"""Claims: what a paper says, as data that can be held against our runs.

A claim is a sentence of a paper and one or more comparisons that must all hold
for it. A comparison has two sides, each a number a seed, and says what is
expected of them:

    ">"  the left side is larger (as a difference or a ratio), and by how much
    "<"  it is smaller
    "="  they are so alike that the whole interval lies within `size`

How sure the paper's number is: "abstract" and "quoted" were read in the paper
or quoted from it, "submission" in an earlier version of it, "notes" in notes
about it; "recalled" was read nowhere.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

INFINITE = math.inf
SOURCES = {
    "abstract": "the paper's abstract",
    "quoted": "quoted from the paper",
    "submission": "the paper's submission",
    "notes": "notes on the paper",
    "recalled": "recalled, not verified",
}
CHANCE = 10.0
"""Per cent accuracy of guessing one of ten classes."""


class Place(NamedTuple):
    """Where on the x axis, in per cent of the weights remaining.

    Of a range, values are means over the rounds within. If `best`, the round
    counts that is best in the other seeds: chosen by the seed's own values, the
    best of many rounds would be too good.

    Args:
        low: The lower end.
        high: The upper end.
        best: Whether only the round counts that is best in the other seeds.
        round: The number of the round of the papers' ladder, if the place is
            one.
        percent: The per cent of weights that this round has.
    """

    low: float
    high: float
    best: bool = False
    round: int | None = None
    percent: float | None = None


def at(percent: float, round: int) -> Place:
    """Returns the place of a round: a tenth more or less is the same place."""
    return Place(percent / 1.1, percent * 1.1, round=round, percent=percent)


def between(low: float, high: float) -> Place:
    """Returns the place of all rounds from low to high."""
    return Place(low, high)


DENSE = Place(100, 100, round=0, percent=100)
BEST = Place(0, 99, best=True)
END = Place(0, 100)
"""The place of experiments without rounds."""


class Side(NamedTuple):
    """One side of a comparison.

    Args:
        experiment: A key of `EXPERIMENTS`; runs of its kind that have the arm
            count, whatever their name.
        arm: A line of the figure: without the "#1" of repetitions, whose mean
            counts for a seed.
        place: Where on the x axis.
        network: The network, if it is not the claim's.
    """

    experiment: str
    arm: str
    place: Place
    network: str | None = None


@dataclass(frozen=True)
class Comparison:
    """What is expected of two numbers.

    Args:
        left: One side.
        right: The other side, or a number.
        metric: "accuracy" (per cent: at early stop; of learned masks at
            the end; of untrained networks as they are), "accuracy at the
            end", "training accuracy", "stop" (iteration of early stop), "kept"
            (per cent of the weights).
        expect: ">", "<" or "="; see the module.
        form: "difference", in points, or "ratio". With a number on the right
            the left side itself is shown.
        paper: What the paper has: a difference, a ratio or a value. None if
            it has no number.
        size: Ours counts as the paper's between these.
    """

    left: Side
    right: Side | float
    metric: str = "accuracy"
    expect: str = ">"
    form: str = "difference"
    paper: float | None = None
    size: tuple[float, float] = (-INFINITE, INFINITE)


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper.

    Args:
        key: By which pages and tables refer to it.
        paper: Authors and year.
        where: Section, figure or table.
        statement: In our words.
        network: "LeNet", "Conv-2", "Conv-4" or "Conv-6".
        source: A key of `SOURCES`.
        comparisons: What must hold; none if no experiment here can show it.
        note: What else a reader must know.
    """

    key: str
    paper: str
    where: str
    statement: str
    network: str
    source: str
    comparisons: tuple[Comparison, ...]
    note: str = ""
