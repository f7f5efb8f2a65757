"""Wording: comparisons and what came of them, in words and numbers."""

import math

from tf_lottery.report.claims.claim import DENSE, Comparison, Place, Side
from tf_lottery.report.verdicts.findings import Finding
from tf_lottery.report.verdicts.intervals import Interval

NONE = "–"
METRICS = {
    "accuracy": "accuracy",
    "accuracy at the end": "accuracy at the end",
    "training accuracy": "training accuracy",
    "stop": "early stop",
    "near zero": "initial weights near zero",
    "moved": "way of kept weights over that of pruned ones",
    "away from zero": "kept weights that moved away from zero",
    "uneven in": "unevenness of incoming connections",
    "uneven out": "unevenness of outgoing connections",
}
TIMES = ("moved", "uneven in", "uneven out")
"""Metrics that are ratios by themselves."""


def place(where: Place) -> str:
    """Returns a place on the x axis in words.

    >>> from tf_lottery.report.claims.claim import BEST, at, between
    >>> place(DENSE), place(at(21.07, 7)), place(between(0, 22)), place(BEST)
    ('dense', 'at 21.1 %', 'up to 22 %', 'at best')
    """
    if where == DENSE:
        return "dense"
    if where.best:
        return "at best"
    if where.percent is not None:
        return f"at {where.percent:.3g} %"
    if where.low == 0:
        return f"up to {where.high:g} %" if where.high < 99 else ""
    if where.high >= 99:
        return f"from {where.low:g} %"
    return f"{where.low:g} to {where.high:g} %"


def side(one: Side) -> str:
    """Returns what a side is: an arm and a place."""
    if one.place == DENSE:
        return "dense network"
    of = f"of {one.layer}" if one.layer else None
    names = (one.network, one.arm, place(one.place), of)
    text = " ".join(name for name in names if name)
    return f"{METRICS[one.metric]}: {text}" if one.metric else text


def comparison(what: Comparison) -> str:
    """Returns what is compared.

    >>> from tf_lottery.report.claims.claim import at
    >>> ticket = Side("lottery_tickets", "winning ticket", at(21.07, 7))
    >>> dense = Side("lottery_tickets", "winning ticket", DENSE)
    >>> comparison(Comparison(ticket, dense, "stop", "<", "ratio"))
    'early stop: winning ticket at 21.1 % ÷ dense network'
    """
    text = side(what.left)
    if not what.left.metric:
        text = f"{METRICS[what.metric]}: {text}"
    if isinstance(what.right, Side):
        sign = "÷" if what.form == "ratio" else "−"
        text += f" {sign} {side(what.right)}"
    return text


def number(what: Comparison, value: float) -> str:
    """Returns a value with its unit.

    >>> from tf_lottery.report.claims.claim import END
    >>> one = Side("supermask", "init", END)
    >>> number(Comparison(one, one), 0.456), number(Comparison(one, 10.0), 95.3)
    ('+0.46 points', '95.30 %')
    """
    if not isinstance(what.right, Side):
        unit = "times" if what.metric in TIMES else "%"
        return f"{value:.2f} {unit}"
    if what.form == "ratio":
        return f"{value:.2f} times"
    return f"{value:+.2f} points"


def interval(what: Comparison, effect: Interval | None) -> str:
    """Returns where an effect lies, without its unit."""
    if effect is None or math.isinf(effect.high):
        return ""
    signed = isinstance(what.right, Side) and what.form != "ratio"
    low, high = (
        f"{value:{'+' if signed else ''}.2f}"
        for value in (effect.low, effect.high)
    )
    return f"{low} to {high}"


def paper(what: Comparison) -> str:
    """Returns the paper's number, or what it says without one."""
    if what.expect == "=":
        alike = isinstance(what.right, Side)
        return "alike" if alike else number(what, what.nothing)
    if what.expect == ">=":
        return "no worse"
    if what.paper is not None:
        return number(what, what.paper)
    return "more" if what.expect == ">" else "less"


def rerun(what: Comparison) -> str:
    """Returns what an independent rerun has in place of the paper's number."""
    return "" if what.rerun is None else number(what, what.rerun)


def margin(what: Comparison) -> str:
    """Returns the margin with its unit, empty of a direction.

    >>> from tf_lottery.report.claims.claim import END
    >>> one = Side("supermask", "init", END)
    >>> margin(Comparison(one, one, paper=1.0)), margin(Comparison(one, one))
    ('0.25 points', '')
    >>> margin(Comparison(one, one, "stop", "<", "ratio", paper=0.5))
    '10 %'
    """
    if what.margin is None:
        return ""
    if what.form == "ratio":
        return f"{100 * what.margin:g} %"
    return f"{what.margin:g} points"


def expected(what: Comparison) -> str:
    """Returns between which effects the claim is true.

    >>> from tf_lottery.report.claims.claim import END
    >>> one = Side("supermask", "init", END)
    >>> expected(Comparison(one, one, paper=1.0))
    '0.75 to 1.25'
    >>> expected(Comparison(one, one))
    'more than 0'
    """
    low, high = what.allowed
    if what.is_direction:
        word = "more" if what.expect == ">" else "less"
        return f"{word} than {what.nothing:g}"
    if math.isinf(high):
        return f"{low:.3g} or more"
    return f"{low:.3g} to {high:.3g}"


def p_value(p: float | None) -> str:
    """Returns a p in words.

    >>> p_value(0.0004), p_value(0.034), p_value(None)
    ('p < 0.001', 'p = 0.034', '')
    """
    if p is None:
        return ""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def where(finding: Finding) -> str:
    """Returns which of several rounds is shown, empty of one."""
    shown = finding.shown
    if shown is None:
        return ""
    return (
        f"of {len(finding.rounds)} rounds the one with {shown.remaining:.3g} "
        "%, which supports it least"
    )


def difference(finding: Finding) -> str:
    """Returns ours less the paper's, in the unit of both."""
    if finding.effect is None or finding.comparison.paper is None:
        return NONE
    return f"{finding.effect.mean - finding.comparison.paper:+.2f}"
