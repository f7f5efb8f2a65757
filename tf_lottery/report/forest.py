"""The forest plot: each comparison an interval on one axis for all.

What a claim says lies at 1 and no effect at 0, whatever the unit: agreement is
where the interval is at the diamond. Of

    a number of the paper    1 is that number; of an accuracy alone, which is
                             far from no effect, the margin is a quarter
    alike, or no worse       1 is "the same", and the margin is a quarter
    a direction              1 is the end of the interval that is further from
                             no effect

Ratios are placed by their logarithms.
"""

import math
from typing import NamedTuple

from tf_lottery.report.claims.claim import Comparison, Side
from tf_lottery.report.verdicts import wording
from tf_lottery.report.verdicts.findings import Finding

WIDTH = 210
"""Of the plot, in pixels."""

LEFT, RIGHT = -0.75, 2.25
"""The ends of the axis; what is beyond has an arrow there."""

MARGIN = 0.25
"""A margin on the axis, where it is the unit."""


class Forest(NamedTuple):
    """A row of the plot, in pixels from its left.

    Args:
        low: Where our interval begins.
        high: Where it ends.
        mean: Where our number is.
        below: Whether the interval goes on to the left.
        above: Whether it goes on to the right.
        nothing: Where no effect is; None if that is out of sight.
        paper: Where the paper is; None if it says no more than more or less.
        rerun: Where an independent rerun is; None if there is none.
        allowed: From where to where the claim is true.
        others: Where the other rounds of a range are.
        title: All of that in words.
    """

    low: float
    high: float
    mean: float
    below: bool
    above: bool
    nothing: float | None
    paper: float | None
    rerun: float | None
    allowed: tuple[float, float]
    others: tuple[float, ...]
    title: str


def forest(finding: Finding) -> Forest | None:
    """Returns the row of a finding; None if it has no number."""
    what, effect = finding.comparison, finding.effect
    if effect is None:
        return None
    at_nothing, unit = _scale(finding)

    def place(value: float) -> float:
        return at_nothing + (_height(what, value) - _zero(what)) / unit

    ends = place(effect.low), place(effect.high)
    if what.expect == "<":
        ends = ends[::-1]
    allowed = sorted(map(place, what.allowed))
    nothing = place(what.nothing)
    paper: float | None = 1.0
    if what.is_direction:
        paper = None
    elif what.expect in ("=", ">="):
        nothing = math.nan
    return Forest(
        low=_pixel(ends[0]),
        high=_pixel(ends[1]),
        mean=_pixel(place(effect.mean)),
        below=ends[0] < LEFT,
        above=ends[1] > RIGHT,
        nothing=_pixel(nothing) if LEFT <= nothing <= RIGHT else None,
        paper=None if paper is None else _pixel(paper),
        rerun=None if what.rerun is None else _pixel(place(what.rerun)),
        allowed=(_pixel(allowed[0]), _pixel(allowed[1])),
        others=tuple(
            _pixel(place(r.effect.mean))
            for r in finding.rounds
            if r.effect != effect
        ),
        title=_title(finding),
    )


def _scale(finding: Finding) -> tuple[float, float]:
    """Returns where no effect is on the axis, and how much is 1 on it."""
    what, effect = finding.comparison, finding.effect
    zero = _zero(what)
    if what.margin is not None:
        alike = what.expect in ("=", ">=")
        middle = what.nothing if alike or what.paper is None else what.paper
        if alike or not isinstance(what.right, Side):
            near = middle * (1 + what.margin)
            if what.form != "ratio":
                near = middle + what.margin
            unit = (_height(what, near) - _height(what, middle)) / MARGIN
            return 1 - (_height(what, middle) - zero) / unit, unit
        return 0.0, _height(what, middle) - zero
    assert effect is not None
    known = [x for x in effect if math.isfinite(x) and x > 0] or [1.0]
    if what.form != "ratio":
        known = [x for x in effect if math.isfinite(x)]
    unit = max(abs(_height(what, x) - zero) for x in known) or 1.0
    return 0.0, -unit if what.expect == "<" else unit


def _height(what: Comparison, value: float) -> float:
    if what.form != "ratio":
        return value
    if value <= 0:
        return -math.inf
    return math.log(value)


def _zero(what: Comparison) -> float:
    return _height(what, what.nothing)


def _pixel(place: float) -> float:
    within = min(max(place, LEFT), RIGHT)
    return round((within - LEFT) / (RIGHT - LEFT) * WIDTH, 1)


def _title(finding: Finding) -> str:
    what, effect = finding.comparison, finding.effect
    assert effect is not None
    words = [
        f"{wording.comparison(what)}: ours {wording.number(what, effect.mean)}",
    ]
    if found := wording.interval(what, effect):
        words.append(f"95 % interval {found}")
    words.append(f"the paper: {wording.paper(what)}")
    if what.rerun is not None:
        words.append(f"a rerun by others: {wording.rerun(what)}")
    words.append(f"allowed: {wording.expected(what)}")
    return "; ".join(words)
