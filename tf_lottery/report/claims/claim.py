"""Claims: what a paper says, as data that can be held against our runs.

A claim is a sentence of a paper and one or more comparisons that must all hold
for it. A comparison has two sides, each a number a seed, and says what is
expected of them:

    ">"   the left side is larger, as a difference or a ratio; with the paper's
          number, it is as much larger as the paper has
    "<"   it is smaller
    "="   they are alike, within a margin
    ">="  the left side is no worse, but for a margin

How sure the paper's number is: "abstract" and "quoted" were read in the paper
or quoted from it, "submission" in an earlier version of it, "notes" in notes
about it; "recalled" was read nowhere.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

SOURCES = {
    "abstract": "the paper's abstract",
    "quoted": "quoted from the paper",
    "submission": "the paper's submission",
    "notes": "notes on the paper",
    "recalled": "recalled, not verified",
}
CHANCE = 10.0
"""Per cent accuracy of guessing one of ten classes."""

POINTS = 0.25
"""The margin of accuracies where the paper's spread is not known."""

TIMES = 0.1
"""The margin of ratios, as a fraction of them."""

UNKNOWN_SPREAD = "the paper's spread is not known"


class Place(NamedTuple):
    """Where on the x axis, in per cent of the weights remaining.

    If `best`, the round counts that is best in the other seeds: chosen by the
    seed's own values, the best of many rounds would be too good.

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
        metric: What of it is compared, if not the comparison's metric.
        layer: The path of the kernel that it is of, if it is of one.
    """

    experiment: str
    arm: str
    place: Place
    network: str | None = None
    metric: str | None = None
    layer: str | None = None


@dataclass(frozen=True)
class Comparison:
    """What is expected of two numbers.

    Args:
        left: One side. Of a range of places, each is compared.
        right: The other side; or a number, "no effect" of the left side alone
            or, if they are to be alike, what it is to be.
        metric: "accuracy" (per cent: at early stop; of learned masks at
            the end; of untrained networks as they are), "accuracy at the
            end", "training accuracy", "stop" (iteration of early stop), or
            one of `tf_lottery.rules.survivors`, whose fractions are in per
            cent.
        expect: ">", "<", "=" or ">="; see the module.
        form: "difference", in points, or "ratio". With a number on the right
            the left side itself is shown.
        paper: What the paper has: a difference, a ratio or a value. None if
            it has no number.
        margin: How far from the paper's number, from nothing or from `right`
            is still the same, in the unit of the accuracy or as a fraction of
            a ratio. None is `POINTS` or `TIMES`; directions have none.
        reason: Why that margin.
        rerun: What an independent rerun of the paper has in place of `paper`.
    """

    left: Side
    right: Side | float
    metric: str = "accuracy"
    expect: str = ">"
    form: str = "difference"
    paper: float | None = None
    margin: float | None = None
    reason: str = UNKNOWN_SPREAD
    rerun: float | None = None

    def __post_init__(self) -> None:
        if self.margin is None and not self.is_direction:
            margin = TIMES if self.form == "ratio" else POINTS
            object.__setattr__(self, "margin", margin)

    @property
    def is_direction(self) -> bool:
        """Whether only the sign of the effect is claimed."""
        return self.expect in ("<", ">") and self.paper is None

    @property
    def nothing(self) -> float:
        """The effect if there is none, in the comparison's unit."""
        if isinstance(self.right, Side):
            return 1.0 if self.form == "ratio" else 0.0
        return self.right

    @property
    def allowed(self) -> tuple[float, float]:
        """Between which effects the claim is true."""
        if self.margin is None:
            ends = (self.nothing, math.inf)
            return ends if self.expect == ">" else (-math.inf, self.nothing)
        middle = self.nothing
        if self.paper is not None and self.expect in ("<", ">"):
            middle = self.paper
        if self.form == "ratio":
            low, high = middle / (1 + self.margin), middle * (1 + self.margin)
        else:
            low, high = middle - self.margin, middle + self.margin
        return (low, math.inf) if self.expect == ">=" else (low, high)


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper.

    Args:
        key: By which pages and tables refer to it.
        paper: Authors and year.
        where: Section, figure or table.
        statement: In our words.
        network: A key of `catalogue.NETWORKS`.
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
