"""Findings: what our runs say to one comparison, with an interval over seeds.

The interval is Student's t over seeds: of the differences seed by seed where
both sides come from the same runs, Welch's of two independent sets where they
do not. Ratios are compared by their logarithms. `rules` makes verdicts of them.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tf_lottery.report.claims.claim import DENSE, END, Comparison, Side
from tf_lottery.report.claims.paper_points import PaperPoint
from tf_lottery.report.tables.rounds import mean
from tf_lottery.report.verdicts import missing_runs, rules
from tf_lottery.report.verdicts.intervals import (
    CONFIDENCE,
    Estimate,
    Interval,
    estimate,
    independent_estimate,
)
from tf_lottery.report.verdicts.missing_runs import SEEDS_NEEDED, Need
from tf_lottery.report.verdicts.rules import CANNOT, NOT, REPRODUCED
from tf_lottery.report.verdicts.run_collection import FigureRuns
from tf_lottery.report.verdicts.side_values import Missing, Values


class RoundFinding(NamedTuple):
    """What our runs say to a comparison in one round.

    Args:
        remaining: Per cent of the weights on the left side.
        verdict: One of `rules.VERDICTS`.
        effect: The difference, ratio or value, with its interval.
        p: See `rules.p_of`.
        seeds: How many replicates there are.
        against: Whether it excludes the claim also if it is one of many rounds.
    """

    remaining: float
    verdict: str
    effect: Interval
    p: float
    seeds: int
    against: bool


class Finding(NamedTuple):
    """What our runs say to one comparison.

    Args:
        comparison: The comparison.
        verdict: One of `rules.VERDICTS`.
        effect: The difference, ratio or value, with its interval; None if
            there is no number. Of several rounds, of that which supports the
            claim least.
        p: Of the same, at most 1; None if there is no number.
        seeds: How many replicates there are.
        iterations: How long the trainings on the left side are.
        minutes: How long such a training took, mean; NaN if not known.
        figures: The runs of the left side, and of the right one if those are
            others; none if there are none.
        paper_point: The paper's number, if it has one.
        missing: What is missing or stands in the way, if anything.
        command: The command that makes what is missing.
        rounds: All rounds that were compared, from many weights to few.
        note: What was left out, if anything.
    """

    comparison: Comparison
    verdict: str
    effect: Interval | None = None
    p: float | None = None
    seeds: int = 0
    iterations: int = 0
    minutes: float = math.nan
    figures: tuple[FigureRuns, ...] = ()
    paper_point: PaperPoint | None = None
    missing: str = ""
    command: str = ""
    rounds: tuple[RoundFinding, ...] = ()
    note: str = ""

    @property
    def shown(self) -> RoundFinding | None:
        """The round whose effect is shown, if there are several."""
        if len(self.rounds) < 2:
            return None
        return next(r for r in self.rounds if r.effect == self.effect)


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
        metric = side.metric or comparison.metric
        return Values(metric, side, chosen[need], need)

    ours = values(comparison.left)
    right = comparison.right
    theirs = values(right) if isinstance(right, Side) else None
    sides = [side for side in (ours, theirs) if side]
    there = tuple(dict.fromkeys(s.figure for s in sides if s.figure))
    try:
        rounds, note = _rounds(ours, theirs)
        found = tuple(_find(comparison, *pair) for pair in rounds)
    except Missing as missing:
        return Finding(
            comparison,
            missing.verdict,
            figures=there,
            missing=missing.what,
            command=missing.command,
        )
    least = max(found, key=lambda r: r.p)
    finding = Finding(
        comparison,
        _verdict(found),
        least.effect,
        p=min(1.0, least.p),
        seeds=min(r.seeds for r in found),
        iterations=ours.iterations,
        minutes=mean(line.seconds for line in ours.lines) / 60,
        figures=there,
        paper_point=_paper_point(comparison, ours, theirs),
        rounds=found,
        note=note,
    )
    for obstacle in _obstacles(finding, sides):
        return finding._replace(
            verdict=obstacle.verdict,
            p=None,
            missing=obstacle.what,
            command=obstacle.command,
        )
    return finding


def _rounds(
    ours: Values, theirs: Values | None
) -> tuple[list[tuple[Values, Values | None]], str]:
    """Returns the sides of each round that is compared, and what is left out.

    Raises:
        Missing: No round is left.
    """
    place = ours.side.place
    # Of a range, a round is held against the same round.
    together = (
        theirs is not None
        and theirs.side.place == place
        and place.round is None
        and not place.best
    )
    places = ours.places
    if together:
        assert theirs is not None
        places &= theirs.places
        if not places:
            raise Missing(
                "no round has both sides",
                missing_runs.more(ours.need, ours.figure, ours.side.arm, place),
            )
    censored = ours.censored
    if theirs is not None:
        # Beside a place of its own, every round is held against this one.
        censored |= theirs.censored if together else frozenset()
        if not together and theirs.censored:
            censored = places
    if places <= censored:
        raise Missing(
            "a stop is at the last iteration: the trainings are too short",
            missing_runs.new(ours.need),
            CANNOT,
        )
    left_out = sorted(places & censored)
    note = ""
    if left_out:
        note = (
            "left out, as a stop is at the last iteration: round "
            f"{', '.join(map(str, left_out))}"
        )
    places -= censored
    one = place.best or not ours.has_rounds
    groups = [places] if one else [frozenset({r}) for r in sorted(places)]
    pairs = []
    for group in groups:
        other = theirs.only(group) if theirs and together else theirs
        pairs.append((ours.only(group, len(groups)), other))
    return pairs, note


def _find(
    comparison: Comparison, ours: Values, theirs: Values | None
) -> RoundFinding:
    """Returns what one round says.

    Raises:
        Missing: No seed has both sides.
    """
    known, seeds = _estimate(comparison, ours, theirs)

    def effect(confidence: float) -> Interval:
        found = known.interval(confidence)
        if comparison.form == "ratio":
            found = Interval(*map(math.exp, found))
        return found

    of_many = 1 - (1 - CONFIDENCE) / ours.count
    return RoundFinding(
        ours.remaining,
        rules.verdict(comparison, effect(CONFIDENCE)),
        effect(CONFIDENCE),
        rules.p_of(comparison, known),
        seeds,
        rules.verdict(comparison, effect(of_many)) == NOT,
    )


def _verdict(rounds: tuple[RoundFinding, ...]) -> str:
    """Returns the verdict over the rounds of a range, or of the only one."""
    if any(r.against for r in rounds):
        return NOT
    if all(r.verdict == REPRODUCED for r in rounds):
        return REPRODUCED
    return rules.INCONCLUSIVE


def _obstacles(finding: Finding, sides: list[Values]) -> list[Missing]:
    """Returns why runs must not decide what their numbers seem to say."""
    found = []
    for side in sides:
        # How long a mask was learned matters where it is held against the
        # paper's accuracy, and not between two of ours.
        spared = not side.has_rounds and finding.comparison.paper is None
        if not spared and (decisive := side.decisive):
            command = missing_runs.new(side.need)
            found.append(Missing("; ".join(decisive), command, CANNOT))
    if finding.seeds < SEEDS_NEEDED:
        fewest = min(sides, key=lambda side: len(side.by_seed))
        found.append(
            Missing(
                f"{finding.seeds} of at least {SEEDS_NEEDED} seeds are there",
                missing_runs.more(fewest.need, fewest.figure, fewest.side.arm),
            )
        )
    if finding.verdict != NOT:
        found += [side.absent for side in sides if side.absent]
    return found


def _estimate(
    comparison: Comparison, ours: Values, theirs: Values | None
) -> tuple[Estimate, int]:
    """Returns the effect, of a ratio its logarithm, and over how many seeds."""
    left = ours.by_seed
    right = theirs.by_seed if theirs else None
    paired = theirs is not None and ours.figure is theirs.figure
    if right is not None and paired:
        common = [seed for seed in left if seed in right]
        left = {seed: left[seed] for seed in common}
        right = {seed: right[seed] for seed in common}
    if not left or (right is not None and not right):
        raise Missing(
            f"0 of at least {SEEDS_NEEDED} seeds are there",
            missing_runs.more(ours.need, ours.figure, ours.side.arm),
        )
    if right is None:
        return estimate(np.array(list(left.values()))), len(left)
    a, b = (np.array(list(side.values())) for side in (left, right))
    if comparison.form == "ratio":
        a, b = np.log(a), np.log(b)
    known = estimate(a - b) if paired else independent_estimate(a, b)
    return known, min(len(a), len(b))


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
