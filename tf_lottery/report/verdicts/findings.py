"""Findings: what our runs say to one comparison, with an interval over seeds.

    reproduced       the direction holds, the 95 % interval excludes no effect,
                     and the size is within the claim's range
    direction only   the direction holds, the rest does not
    not reproduced   it does not hold
    too few runs     fewer than three seeds, or a round or an arm is missing

The interval is Student's t over seeds: of the differences seed by seed where
both sides come from the same runs, Welch's of two independent sets where they
do not. Ratios are compared by their logarithms.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tf_lottery.report.claims.claim import DENSE, END, Comparison, Side
from tf_lottery.report.claims.paper_points import PaperPoint
from tf_lottery.report.tables.rounds import mean
from tf_lottery.report.verdicts import missing_runs
from tf_lottery.report.verdicts.intervals import (
    Interval,
    independent_interval,
    interval,
)
from tf_lottery.report.verdicts.missing_runs import SEEDS_NEEDED, Need
from tf_lottery.report.verdicts.run_collection import FigureRuns
from tf_lottery.report.verdicts.side_values import Missing, Values

REPRODUCED = "reproduced"
DIRECTION = "direction only"
NOT = "not reproduced"
TOO_FEW = "too few runs"
VERDICTS = (REPRODUCED, DIRECTION, NOT, TOO_FEW)


class Finding(NamedTuple):
    """What our runs say to one comparison.

    Args:
        comparison: The comparison.
        verdict: One of `VERDICTS`.
        effect: The difference, ratio or value, with its interval; None if
            there is no number.
        seeds: How many replicates there are.
        iterations: How long the trainings on the left side are.
        minutes: How long such a training took, mean; NaN if not known.
        figures: The runs of the left side, and of the right one if those are
            others; none if there are none.
        paper_point: The paper's number, if it has one.
        missing: What is missing, if anything.
        command: The command that makes what is missing.
    """

    comparison: Comparison
    verdict: str
    effect: Interval | None = None
    seeds: int = 0
    iterations: int = 0
    minutes: float = math.nan
    figures: tuple[FigureRuns, ...] = ()
    paper_point: PaperPoint | None = None
    missing: str = ""
    command: str = ""


def find(
    comparison: Comparison,
    network: str,
    chosen: Mapping[Need, FigureRuns | None],
) -> Finding:
    """Returns what runs say to a comparison.

    Args:
        comparison: The comparison.
        network: The network of the claim, for sides that name none.
        chosen: The runs to look at, by network and experiment; None if there
            are none.
    """

    def values(side: Side) -> Values:
        need = side.network or network, side.experiment
        return Values(comparison.metric, side, chosen[need], need)

    left, right = comparison.left, comparison.right
    ours = values(left)
    theirs = values(right) if isinstance(right, Side) else None
    sides = [ours.figure, theirs.figure if theirs else ours.figure]
    there = tuple(f for i, f in enumerate(sides) if f and f not in sides[:i])
    try:
        both = ours.places
        if theirs and theirs.side.place == left.place and not left.place.best:
            both &= theirs.places
            if not both:
                raise Missing(
                    "no round has both sides",
                    missing_runs.more(
                        ours.need, chosen[ours.need], left.arm, left.place
                    ),
                )
            ours, theirs = ours.only(both), theirs.only(both)
        effect, seeds = _effect(comparison, ours, theirs)
    except Missing as missing:
        return Finding(
            comparison,
            TOO_FEW,
            figures=there,
            missing=missing.what,
            command=missing.command,
        )
    finding = Finding(
        comparison,
        verdict(comparison, effect),
        effect,
        seeds=seeds,
        iterations=ours.iterations,
        minutes=mean(line.seconds for line in ours.lines) / 60,
        figures=there,
        paper_point=_paper_point(comparison, ours, theirs),
    )
    if seeds >= SEEDS_NEEDED:
        return finding
    fewer = ours
    if theirs and len(theirs.by_seed) < len(ours.by_seed):
        fewer = theirs
    return finding._replace(
        verdict=TOO_FEW,
        missing=f"{seeds} of at least {SEEDS_NEEDED} seeds are there",
        command=missing_runs.more(fewer.need, fewer.figure, fewer.side.arm),
    )


def _effect(
    comparison: Comparison, ours: Values, theirs: Values | None
) -> tuple[Interval | None, int]:
    """Returns the effect with its interval, and over how many seeds it is."""
    left = ours.by_seed
    if theirs is None:
        values = np.array(list(left.values()))
        return (interval(values) if left else None), len(left)
    right = theirs.by_seed
    paired = ours.figure is theirs.figure
    if paired:
        common = [seed for seed in left if seed in right]
        left = {seed: left[seed] for seed in common}
        right = {seed: right[seed] for seed in common}
    if not left or not right:
        return None, 0
    a, b = (np.array(list(side.values())) for side in (left, right))
    if comparison.form == "ratio":
        a, b = np.log(a), np.log(b)
    found = interval(a - b) if paired else independent_interval(a, b)
    if comparison.form == "ratio":
        found = Interval(*map(math.exp, found))
    return found, min(len(a), len(b))


def verdict(comparison: Comparison, effect: Interval | None) -> str:
    """Returns what an effect says to a comparison, if there are seeds enough.

    >>> from tf_lottery.report.claims.claim import END
    >>> better = Comparison(Side("supermask", "init", END), 0.0, size=(1, 3))
    >>> verdict(better, Interval(2.0, 0.5, 3.5))
    'reproduced'
    >>> verdict(better, Interval(0.5, 0.2, 0.8))
    'direction only'
    >>> verdict(better, Interval(2.0, -0.5, 4.5))
    'direction only'
    >>> verdict(better, Interval(-0.1, -0.5, 0.3))
    'not reproduced'
    """
    if effect is None:
        return TOO_FEW
    least, most = comparison.size
    fits = least <= effect.mean <= most
    if comparison.expect == "=":
        if least <= effect.low and effect.high <= most:
            return REPRODUCED
        return DIRECTION if fits else NOT
    nothing = 1.0 if comparison.form == "ratio" else 0.0
    if not isinstance(comparison.right, Side):
        nothing = comparison.right
    sign = 1 if comparison.expect == ">" else -1
    if sign * effect.mean <= sign * nothing:
        return NOT
    nearest = effect.low if sign > 0 else effect.high
    excluded = sign * nearest > sign * nothing
    return REPRODUCED if excluded and fits else DIRECTION


def _paper_point(
    comparison: Comparison, ours: Values, theirs: Values | None
) -> PaperPoint | None:
    """Returns the paper's number as a point of a figure.

    Its effect is put on our other side: 0.3 points over the dense network are
    drawn 0.3 points over ours.
    """
    paper, place, shown = comparison.paper, ours.side.place, ours
    if paper is None:
        return None
    if theirs is None:
        # The paper does not say where its best value is, or has no x axis.
        where = math.nan if place.best else ours.remaining
        known = place.best or place == END or place.round is not None
        if not known:
            return None
        return PaperPoint(comparison.metric, ours.side.arm, where, paper)
    if place.round is None:  # of a range, or a table
        return None
    ratio = comparison.form == "ratio"
    other = mean(theirs.by_seed.values())
    value = other * paper if ratio else other + paper
    if place == DENSE:  # what is compared is the other side
        own, shown = mean(ours.by_seed.values()), theirs
        value = own / paper if ratio else own - paper
    return PaperPoint(comparison.metric, shown.side.arm, shown.remaining, value)
