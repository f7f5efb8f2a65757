"""Rows of the forest plot: where things are on the common axis."""

import math

import pytest

from tf_lottery.report import forest
from tf_lottery.report.claims.claim import BEST, Comparison, Side
from tf_lottery.report.verdicts.findings import Finding, RoundFinding
from tf_lottery.report.verdicts.intervals import Interval

SIDE = Side("lottery_tickets", "ticket", BEST)


def pixel(place):
    left, right = forest.LEFT, forest.RIGHT
    return pytest.approx(
        (place - left) / (right - left) * forest.WIDTH, abs=0.1
    )


def row(mean, low, high, right=SIDE, rounds=(), **fields):
    comparison = Comparison(SIDE, right, **fields)
    effect = Interval(mean, low, high)
    found = Finding(comparison, "reproduced", effect, rounds=rounds)
    return forest.forest(found)


def test_a_number_of_the_paper_is_at_1_and_no_effect_at_0():
    found = row(1.5, 1.0, 2.0, paper=2.0, rerun=1.0)
    assert (found.nothing, found.paper) == (pixel(0), pixel(1))
    assert (found.low, found.mean, found.high) == tuple(
        map(pixel, (0.5, 0.75, 1.0))
    )
    assert found.rerun == pixel(0.5)
    assert found.allowed == (pixel(1.75 / 2), pixel(2.25 / 2))
    assert not found.below and not found.above
    for expected in ("+1.50 points", "+1.00 to +2.00", "rerun by others"):
        assert expected in found.title


def test_ratios_are_placed_by_their_logarithms():
    found = row(
        *(0.5, 0.25, 1.0), metric="stop", expect="<", form="ratio", paper=0.25
    )
    assert (found.low, found.mean, found.high) == tuple(map(pixel, (0, 0.5, 1)))
    assert (found.nothing, found.paper) == (pixel(0), pixel(1))


def test_alike_is_at_1_with_its_margin_as_the_unit():
    found = row(0.1, -0.1, 0.3, expect="=", margin=0.2)
    assert (found.nothing, found.paper) == (None, pixel(1))
    assert found.allowed == (pixel(0.75), pixel(1.25))
    assert found.mean == pixel(1.125)


def test_an_accuracy_alone_is_seen_beside_its_margin():
    found = row(97.9, 97.6, 98.2, right=10.0, paper=97.7)
    assert (found.nothing, found.paper) == (None, pixel(1))
    assert found.mean == pixel(1 + 0.2 * forest.MARGIN / 0.25)


@pytest.mark.parametrize("expect, sign", [(">", 1), ("<", -1)])
def test_a_direction_has_its_side_on_the_right(expect, sign):
    found = row(sign * 2.0, *sorted((sign * 1.0, sign * 3.0)), expect=expect)
    assert (found.nothing, found.paper) == (pixel(0), None)
    assert (found.low, found.mean) == (pixel(1 / 3), pixel(2 / 3))
    assert found.allowed == (pixel(0), forest.WIDTH)


def test_what_is_beyond_the_axis_has_an_arrow():
    found = row(9.0, -9.0, math.inf, paper=1.0)
    assert found.below and found.above
    assert (found.low, found.high) == (0, forest.WIDTH)
    assert row(1.0, -math.inf, math.inf).mean == pixel(1)


def test_the_other_rounds_of_a_range_are_shown():
    effects = [Interval(x, x - 1, x + 1) for x in (2.0, 1.0)]
    rounds = tuple(
        RoundFinding(50.0, "reproduced", effect, 0.1, 3, False)
        for effect in effects
    )
    found = row(1.0, 0.0, 2.0, rounds=rounds)
    assert found.others == (pixel(1.0),)


def test_without_a_number_there_is_no_row():
    comparison = Comparison(SIDE, SIDE)
    assert forest.forest(Finding(comparison, "too few runs")) is None
