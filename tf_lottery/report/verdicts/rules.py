"""The rules of verdicts, as docs/reproduce/verdicts.md states them.

>>> from tf_lottery.report.claims.claim import END, Comparison, Side
>>> mask = Side("supermask", "init", END)
>>> better, as_much = Comparison(mask, mask), Comparison(mask, mask, paper=2.0)
>>> def of(comparison, mean, half):
...     return verdict(comparison, Interval(mean, mean - half, mean + half))
>>> of(better, 1.0, 0.5), of(better, 1.0, 1.5), of(better, -1.0, 0.5)
('reproduced', 'inconclusive', 'not reproduced')
>>> of(as_much, 1.8, 0.5), of(as_much, 1.8, 2.0), of(as_much, 0.5, 0.2)
('reproduced', 'inconclusive', 'not reproduced')
"""

import math

from tf_lottery.report.claims.claim import Comparison, Side
from tf_lottery.report.verdicts.intervals import Estimate, Interval

REPRODUCED = "reproduced"
INCONCLUSIVE = "inconclusive"
NOT = "not reproduced"
CANNOT = "cannot be judged"
TOO_FEW = "too few runs"
NOT_TESTED = "not tested"
VERDICTS = (REPRODUCED, NOT, INCONCLUSIVE, CANNOT, TOO_FEW, NOT_TESTED)
"""All verdicts, in the order of the pages."""

PAGE = (NOT, INCONCLUSIVE, CANNOT, REPRODUCED, TOO_FEW, NOT_TESTED)
"""The order of claims: the worst first, and last what has no number."""

WORST_FIRST = (NOT, CANNOT, TOO_FEW, INCONCLUSIVE, REPRODUCED)
"""Which verdict of several comparisons is that of their claim."""

SIGNIFICANT = 0.05

WIDEST = 0.1
"""How wide an accuracy's interval may be on either side, as a fraction of the
way from guessing to the paper's number."""


def verdict(comparison: Comparison, effect: Interval) -> str:
    """Returns what an interval says to a comparison, seeds enough provided.

    Args:
        comparison: With what it allows.
        effect: In the comparison's unit.
    """
    low, high = comparison.allowed
    if effect.high < low or effect.low > high:
        return NOT
    if comparison.is_direction:
        # An end of the interval that is no effect does not exclude that.
        inside = low < effect.low and effect.high < high
    elif comparison.expect in ("=", ">="):
        inside = low <= effect.low and effect.high <= high
    else:
        inside = _excludes_nothing(comparison, effect) and _is_narrow(
            comparison, effect
        )
    return REPRODUCED if inside else INCONCLUSIVE


def p_of(comparison: Comparison, estimate: Estimate) -> float:
    """Returns the p of the test that "reproduced" rests on.

    It is twice the one-sided p: 5 % is where the 95 % interval ends. Above 1
    it still tells which of two is further from the claim.

    Args:
        comparison: What is claimed.
        estimate: The effect; of a ratio, its logarithm.
    """
    low, high = comparison.allowed
    if comparison.expect == ">":
        low, high = comparison.nothing, math.inf
    elif comparison.expect == "<":
        low, high = -math.inf, comparison.nothing
    if comparison.form == "ratio":
        low = math.log(low) if low > 0 else -math.inf
        high = math.log(high)
    return 2 * max(estimate.p_above(low), estimate.p_below(high))


def _excludes_nothing(comparison: Comparison, effect: Interval) -> bool:
    if comparison.expect == ">":
        return effect.low > comparison.nothing
    return effect.high < comparison.nothing


def _is_narrow(comparison: Comparison, effect: Interval) -> bool:
    """Returns whether an accuracy alone is known well enough."""
    if isinstance(comparison.right, Side) or comparison.paper is None:
        return True
    way = abs(comparison.paper - comparison.nothing)
    return effect.high - effect.mean <= WIDEST * way
