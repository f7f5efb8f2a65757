"""Every claim gets every verdict, on runs that are made for it."""

import math
import shlex

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reporting import figure, line
from scipy import stats

from tf_lottery.report.claims.catalogue import EXPERIMENTS
from tf_lottery.report.claims.claim import (
    BEST,
    DENSE,
    END,
    Claim,
    Comparison,
    Side,
    at,
    between,
)
from tf_lottery.report.claims.papers import CLAIMS as ALL_CLAIMS
from tf_lottery.report.tables.survivors_table import Survivors
from tf_lottery.report.verdicts import intervals, judge, rules

CLAIMS = {c.key: c for c in ALL_CLAIMS if c.comparisons}
LADDER = tuple(range(1, 25))
BASE = {
    "accuracy": 50.0,
    "accuracy at the end": 50.0,
    "training accuracy": 99.0,
    "stop": 5000.0,
    "near zero": 40.0,
    "uneven in": 1.0,
}
FIELD = {
    "accuracy": "test_accuracy_at_stop",
    "accuracy at the end": "test_accuracy",
    "training accuracy": "train_accuracy",
    "stop": "stop_step",
}
KEPT = {
    "near zero": "near_zero",
    "moved": "moved",
    "away from zero": "away_from_zero",
    "uneven in": "uneven_in",
    "uneven out": "uneven_out",
}
RATIOS = ("moved", "uneven in", "uneven out")
SEEDS = 3
SPREAD = {0: 1.0, 1: -1.0, 2: 0.0}
LONG = 10**9
"""Iterations, so that no stop is at the last."""


def true_figure(lines, kind="rounds", **fields):
    """Runs by the papers' protocol."""
    if kind == "supermask":
        fields = {"recipe": {"steps": 440_000}, **fields}
    return figure(lines, kind=kind, rounds=LADDER, **fields)


def fitting(comparison):
    """An effect that the claim allows."""
    if comparison.paper is not None:
        return comparison.paper
    if not comparison.is_direction:
        return comparison.nothing
    if comparison.form == "ratio":
        return 2.0 if comparison.expect == ">" else 0.5
    return comparison.nothing + (1.0 if comparison.expect == ">" else -1.0)


def failing(comparison):
    """An effect of the other direction, or far from alike."""
    zero = comparison.nothing
    if comparison.form == "ratio":
        return 0.5 if comparison.expect == ">" else 2.0
    return zero + (9.0 if comparison.expect in ("<", "=") else -9.0)


def keys(comparison):
    """Both sides, each with its metric."""
    left, right = comparison.left, comparison.right
    own = right.metric if isinstance(right, Side) else None
    return (
        (left, left.metric or comparison.metric),
        (right, own or comparison.metric),
    )


def solve(claim, effects):
    """Values of all sides so that each comparison has its effect."""
    values = {}

    def combine(comparison, value, effect, back):
        if comparison.form == "ratio":
            return value / effect if back else value * effect
        return value - effect if back else value + effect

    todo = list(zip(claim.comparisons, effects, strict=True))
    while todo:
        for item in todo:
            comparison, effect = item
            left, right = keys(comparison)
            if not isinstance(comparison.right, Side):
                assert left not in values
                values[left] = effect
            elif right in values:
                assert left not in values
                values[left] = combine(comparison, values[right], effect, False)
            elif left in values:
                values[right] = combine(comparison, values[left], effect, True)
            else:
                continue
            todo.remove(item)
            break
        else:  # begin somewhere
            comparison = todo[0][0]
            _, key = keys(comparison)
            values[key] = BASE[key[1]]
    return values


SURVIVORS = Survivors(0, "", 0, "", *[math.nan] * 5)


def remaining(place):
    if place == DENSE:
        return 1.0
    # So low that no other round is in the place.
    return max(place.low * 1.01, 0.2) / 100


def runs(claim, effects, seeds=SEEDS, spread=0.0):
    """Figures for a claim; `spread` is that of the first left side."""
    cells = {}
    kept = {}
    noisy, _ = keys(claim.comparisons[0])
    for (side, metric), value in solve(claim, effects).items():
        network = side.network or claim.network
        kind = EXPERIMENTS[side.experiment]
        for seed in range(seeds):
            own = spread * SPREAD[seed] if (side, metric) == noisy else 0.0
            if metric in ("stop", *RATIOS):
                number = value * math.exp(own / 10)
            else:
                number = (value + 100 * own) / 100
            where = network, side.experiment, kind
            places = cells.setdefault(where, {})
            key = seed, side.arm, side.place
            if metric in KEPT:
                places.setdefault(key, {})
                layers = kept.setdefault(key, {})
                row = layers.setdefault(side.layer or "all", {})
                row[KEPT[metric]] = number
                continue
            places.setdefault(key, {})[FIELD[metric]] = number
            if kind == "supermask" and metric == "accuracy":
                places[key]["test_accuracy"] = number
    found = []
    for (network, experiment, kind), places in cells.items():
        numbers = {DENSE: 0}
        lines, rows = [], {}
        for (seed, arm, place), fields in places.items():
            number = numbers.setdefault(place, len(numbers))
            if kind == "supermask":
                number = 0
            fields = {"remaining": remaining(place), "steps": LONG, **fields}
            lines.append(line(seed, arm, number, **fields))
            for layer, measured in kept.get((seed, arm, place), {}).items():
                rows[arm, seed, number, layer] = SURVIVORS._replace(**measured)
        one = true_figure(lines, kind, network=network, name=experiment)
        one.survivors = rows
        found.append(one)
    return found


@pytest.mark.parametrize("key", CLAIMS)
def test_each_verdict_of_each_claim(key):
    claim = CLAIMS[key]
    good = [fitting(c) for c in claim.comparisons]
    bad = [failing(claim.comparisons[0]), *good[1:]]

    def verdict(effects, **options):
        [judgement] = judge.judge([claim], runs(claim, effects, **options))
        assert len(judgement.findings) == len(claim.comparisons)
        return judgement.verdict

    assert verdict(good) == "reproduced"
    assert verdict(good, spread=20.0) == "inconclusive"
    assert verdict(bad) == "not reproduced"
    assert verdict(good, seeds=2) == "too few runs"
    [nothing_there] = judge.judge([claim], [])
    assert nothing_there.verdict == "too few runs"
    assert all("gin/" in f.command for f in nothing_there.findings)


def test_a_claim_without_a_comparison_waits_for_an_experiment():
    claim = Claim("X", "A paper", "here", "So it is.", "LeNet", "notes", ())
    [judgement] = judge.judge([claim], [])
    assert (judgement.verdict, judgement.findings) == ("not tested", ())


TICKET = Side("lottery_tickets", "ticket", at(50, 3))
DENSE_SIDE = Side("lottery_tickets", "ticket", DENSE)


def judged(comparison, *figures):
    claim = Claim("X", "A paper", "", "", "LeNet", "notes", (comparison,))
    return judge.judge([claim], figures)[0]


def tickets(accuracies, dense, **fields):
    lines = [
        line(seed, "ticket", number, value, remaining=0.5 if number else 1.0)
        for number, values in ((3, accuracies), (0, dense))
        for seed, value in enumerate(values)
    ]
    return true_figure(lines, **fields)


def test_seeds_are_paired():
    ours, dense = [0.91, 0.81, 0.71, 0.62], [0.90, 0.80, 0.70, 0.60]
    [finding] = judged(
        Comparison(TICKET, DENSE_SIDE, paper=1.5), tickets(ours, dense)
    ).findings
    expected = stats.ttest_rel(ours, dense).confidence_interval(0.95)
    assert finding.effect.mean == pytest.approx(1.25)
    assert finding.effect.low == pytest.approx(100 * expected.low)
    assert finding.effect.high == pytest.approx(100 * expected.high)
    assert finding.verdict == "reproduced"
    assert finding.p == pytest.approx(stats.ttest_rel(ours, dense).pvalue)
    assert (finding.seeds, finding.iterations) == (4, 50_000)
    assert finding.minutes == 1
    # The paper's 1.5 points, put on our dense network.
    assert finding.paper_point.value == pytest.approx(75 + 1.5)
    assert finding.paper_point.remaining == pytest.approx(50)


def test_a_seed_without_its_other_side_does_not_count():
    lines = tickets([0.9, 0.8, 0.7, 0.6], [0.9, 0.8, 0.7])
    [finding] = judged(Comparison(TICKET, DENSE_SIDE), lines).findings
    assert finding.seeds == 3


def test_ratios_are_compared_by_logarithm():
    comparison = Comparison(TICKET, DENSE_SIDE, "stop", "<", "ratio")
    lines = [
        line(seed, "ticket", number, stop_step=stop, remaining=part)
        for number, part, stops in (
            (3, 0.5, (100, 200, 100)),
            (0, 1.0, (200, 200, 400)),
        )
        for seed, stop in enumerate(stops)
    ]
    [finding] = judged(comparison, true_figure(lines)).findings
    logs = np.log([0.5, 1.0, 0.25])
    assert finding.effect.mean == pytest.approx(math.exp(logs.mean()))
    low, high = stats.t.interval(0.95, 2, logs.mean(), stats.sem(logs))
    assert finding.effect.low == pytest.approx(math.exp(low))
    assert finding.effect.high == pytest.approx(math.exp(high))
    assert finding.verdict == "inconclusive"


def test_runs_of_other_experiments_are_compared_as_independent_sets():
    learned = Side("supermask", "init", END)
    ours = [0.95, 0.94, 0.96]
    mask = figure(
        [line(seed, "init", 0, value) for seed, value in enumerate(ours)],
        kind="supermask",
    )
    dense = tickets([0.5] * 4, [0.90, 0.91, 0.92, 0.93])
    [finding] = judged(Comparison(learned, DENSE_SIDE), mask, dense).findings
    welch = stats.ttest_ind(ours, [0.90, 0.91, 0.92, 0.93], equal_var=False)
    expected = welch.confidence_interval(0.95)
    assert finding.effect.low == pytest.approx(100 * expected.low)
    assert finding.effect.high == pytest.approx(100 * expected.high)


def test_estimates_of_hardly_any_values():
    one, many = np.array([1.0]), np.array([2.0, 2.0])
    known = intervals.estimate(np.array([2.0]))
    assert known.interval() == (2.0, -math.inf, math.inf)
    assert known.p_above(-9) == 0.5
    known = intervals.estimate(np.full(3, 2.0))
    assert known.interval() == (2.0, 2.0, 2.0)
    assert (known.p_above(1), known.p_above(2), known.p_below(3)) == (0, 1, 0)
    known = intervals.independent_estimate(one, many)
    assert math.isinf(known.interval().low)
    assert intervals.independent_estimate(many, many).interval() == (0, 0, 0)


def test_p_is_that_of_the_t_test():
    values = np.array([0.3, 0.1, 0.4, -0.1])
    known = intervals.estimate(values)
    for value in (-0.2, 0.0, 0.5):
        test = stats.ttest_1samp(values, value, alternative="greater")
        assert known.p_above(value) == pytest.approx(test.pvalue)
        assert known.p_below(value) == pytest.approx(1 - test.pvalue)


@given(
    st.lists(st.floats(-5, 5), min_size=3, max_size=6),
    st.sampled_from([">", "<", "=", ">="]),
)
def test_p_is_5_percent_where_the_interval_ends(values, expect):
    mask = Side("supermask", "init", END)
    comparison = Comparison(mask, mask, expect=expect)
    known = intervals.estimate(np.array(values))
    p = rules.p_of(comparison, known)
    verdict = rules.verdict(comparison, known.interval())
    if abs(p - 0.05) > 1e-9 and known.error > 1e-9:
        assert (verdict == "reproduced") == (p < 0.05)


def ladder(values, arm="ticket", experiment="mask_criteria"):
    """A figure of rounds 1, 2, ... with a list of values a seed for each."""
    lines = [
        line(seed, arm, number, value, remaining=0.8**number)
        for number, of_round in enumerate(values, 1)
        for seed, value in enumerate(of_round)
    ]
    return true_figure(lines, name=experiment)


def of_ladder(*values, low=10, **fields):
    """The finding of accuracies, round by round, against 50 %."""
    side = Side("mask_criteria", "ticket", between(low, 99))
    comparison = Comparison(side, 50.0, **fields)
    return judged(comparison, ladder(values)).findings[0]


GOOD, BAD, WIDE = (0.6, 0.61, 0.62), (0.3, 0.31, 0.32), (0.4, 0.5, 0.7)


def test_each_round_of_a_range_is_compared():
    fine = of_ladder(GOOD, GOOD, low=63)
    assert (fine.verdict, len(fine.rounds)) == ("reproduced", 2)
    torn = of_ladder(GOOD, WIDE, low=63)
    assert torn.verdict == "inconclusive"
    assert torn.effect.mean == pytest.approx(160 / 3)
    assert torn.shown.remaining == pytest.approx(64)
    assert torn.p > 0.05
    assert of_ladder(GOOD, BAD, low=63).verdict == "not reproduced"


def test_one_round_of_many_must_be_further_off_to_count_against_a_claim():
    below = (0.455, 0.465, 0.475)
    assert of_ladder(below, low=79).verdict == "not reproduced"
    assert of_ladder(below, GOOD, GOOD, GOOD, low=40).verdict == "inconclusive"


def test_a_range_whose_lower_rounds_are_missing_has_too_few_runs():
    finding = of_ladder(GOOD, GOOD)
    assert finding.verdict == "too few runs"
    assert finding.missing == "round 3 of 10 to 99 % is missing"
    assert "ROUNDS" in finding.command
    assert of_ladder(GOOD, BAD).verdict == "not reproduced"


def test_a_range_with_gaps_has_too_few_runs():
    lines = [
        line(seed, "ticket", number, 0.6, remaining=0.8**number)
        for seed in range(3)
        for number in (1, 2, 5, 6)
    ]
    side = Side("lottery_tickets", "ticket", between(20, 85))
    figure = true_figure(lines)
    figure.plan["experiment"]["rules"]["ticket"] = {"one_shot": True}
    [finding] = judged(Comparison(side, 50.0), figure).findings
    assert finding.verdict == "too few runs"
    assert finding.missing == "round 3, 4, 7 of 20 to 85 % is missing"
    side = side._replace(place=between(60, 85))
    assert judged(Comparison(side, 50.0), figure).verdict == "reproduced"


def test_stops_at_the_last_iteration_do_not_count():
    def stops(*values):
        lines = [
            line(seed, "ticket", number, stop_step=stop, remaining=0.8**number)
            for number, stop in enumerate(values)
            for seed in range(3)
        ]
        place = between(50, 99)
        ticket = Side("lottery_tickets", "ticket", place)
        comparison = Comparison(ticket, DENSE_SIDE, "stop", ">", "ratio")
        return judged(comparison, true_figure(lines)).findings[0]

    found = stops(100, 200, 50_000, 400)
    assert found.verdict == "reproduced"
    assert [round(r.remaining) for r in found.rounds] == [80, 51]
    assert found.note == "left out, as a stop is at the last iteration: round 2"
    for none in (stops(100, 50_000, 50_000, 50_000), stops(50_000, 1, 2, 3)):
        assert none.verdict == "cannot be judged"
        assert "last iteration" in none.missing


def test_an_accuracy_alone_must_be_known_well():
    side = Side("heuristic_supermask", "mask", BEST)

    def verdict(*values):
        lines = [
            line(seed, "mask", 1, value, remaining=0.5, steps=0)
            for seed, value in enumerate(values)
        ]
        comparison = Comparison(side, 10.0, paper=60.0)
        return judged(comparison, true_figure(lines, kind="untrained")).verdict

    assert verdict(0.59, 0.6, 0.61) == "reproduced"
    assert verdict(0.5, 0.6, 0.7) == "inconclusive"
    assert verdict(0.5, 0.51, 0.52) == "not reproduced"


def test_runs_that_change_what_is_tested_decide_nothing():
    comparison = Comparison(TICKET, DENSE_SIDE)
    good = [0.9] * 3, [0.8] * 3
    gaps = tickets(*good)
    gaps.plan["rounds"] = [1, 3, 4]
    found = judged(comparison, gaps)
    assert found.verdict == "cannot be judged"
    [finding] = found.findings
    assert finding.missing == (
        "the step from round 1 to 3 prunes 36 % of the hidden weights, not 20 %"
    )
    assert "gin/lottery_tickets.gin" in finding.command
    # Only up to the place that is looked at.
    later = tickets(*good)
    later.plan["rounds"] = [1, 2, 3, 9]
    assert judged(comparison, later).verdict == "reproduced"
    # What was pruned at once came there at once.
    gaps.plan["experiment"]["rules"]["ticket"] = {"one_shot": True}
    assert judged(comparison, gaps).verdict == "reproduced"
    # Others that may decide do so.
    gaps.plan["experiment"]["rules"]["ticket"] = {}
    assert judged(comparison, gaps, tickets(*good)).verdict == "reproduced"
    dense = Comparison(DENSE_SIDE, 10.0, paper=80.0)
    assert judged(dense, gaps).verdict == "reproduced"


@pytest.mark.parametrize(
    "kind, steps, said",
    [
        ("untrained", 15_000, "the dense network behind the masks has 15,000"),
        ("supermask", 44_000, "masks are learned for 44,000 steps"),
    ],
)
def test_masks_of_other_lengths_decide_nothing(kind, steps, said):
    experiment = {"untrained": "heuristic_supermask"}.get(kind, kind)
    place = BEST if kind == "untrained" else END
    number = int(place == BEST)
    lines = [line(s, "mask", number, 0.5, steps=LONG) for s in range(3)]
    comparison = Comparison(Side(experiment, "mask", place), 10.0, paper=50.0)
    assert judged(comparison, true_figure(lines, kind)).verdict == "reproduced"
    recipe = {"steps": steps}
    [finding] = judged(
        comparison, true_figure(lines, kind, recipe=recipe)
    ).findings
    assert finding.verdict == "cannot be judged"
    assert finding.missing.startswith(said)
    # Two masks that were learned alike can be compared.
    alone = Comparison(comparison.left, comparison.left, expect="=")
    short = judged(alone, true_figure(lines, kind, recipe=recipe))
    spared = kind == "supermask"
    assert (short.verdict == "reproduced") == spared


def test_what_is_reproduced_is_so_among_all_claims_of_its_paper():
    comparison = Comparison(TICKET, DENSE_SIDE)
    barely = tickets([0.906, 0.911, 0.92, 0.908], [0.9] * 4)

    def verdicts(*papers):
        claims = [
            Claim(str(i), paper, "", "", "LeNet", "notes", (comparison,))
            for i, paper in enumerate(papers)
        ]
        return judge.judge(claims, [barely])

    [alone] = verdicts("a")
    assert alone.verdict == "reproduced"
    assert alone.corrected == alone.p == alone.findings[0].p
    one, two, other = verdicts("a", "a", "b")
    assert one.verdict == two.verdict == "inconclusive"
    assert one.corrected == pytest.approx(2 * alone.p)
    assert one.findings[0].verdict == "reproduced"
    assert other.verdict == "reproduced"


def test_both_sides_of_a_range_are_of_the_same_rounds():
    lines = [
        line(seed, arm, number, value, remaining=part)
        for seed in range(3)
        for arm, number, part, value in (
            ("one", 3, 0.5, 0.9),
            ("one", 7, 0.2, 0.1),
            ("two", 3, 0.5, 0.8),
        )
    ]
    here = between(10, 60)
    comparison = Comparison(
        Side("mask_criteria", "one", here), Side("mask_criteria", "two", here)
    )
    [finding] = judged(comparison, figure(lines)).findings
    assert finding.effect.mean == pytest.approx(10)
    alone = [x for x in lines if x.arm == "two" or x.round == 7]
    [finding] = judged(comparison, figure(alone)).findings
    assert finding.verdict == "too few runs"


def test_the_best_round_is_that_of_the_highest_mean():
    side = Side("heuristic_supermask", "mask", BEST)
    # The highest single value is in a round whose mean is lower.
    accuracies = {1: (0.9, 0.1, 0.2), 2: (0.6, 0.6, 0.7)}
    lines = [
        line(seed, "mask", number, value, remaining=0.5, steps=0)
        for number, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    [finding] = judged(
        Comparison(side, 10.0), figure(lines, kind="untrained")
    ).findings
    # By the other two seeds, round 2 is best for each but the first.
    assert finding.effect.mean == pytest.approx(100 * 1.9 / 3)
    assert finding.iterations == 50_000  # of the dense network


def test_the_best_of_many_rounds_is_not_chosen_by_what_it_is_tested_on():
    generator = np.random.default_rng(0)
    side = Side("lottery_tickets", "ticket", BEST)
    above = 0
    for _ in range(100):
        accuracies = 0.9 + 0.001 * generator.standard_normal((5, 25))
        lines = [
            line(seed, "ticket", number, value, remaining=0.99**number)
            for (seed, number), value in np.ndenumerate(accuracies)
        ]
        comparison = Comparison(side, DENSE_SIDE)
        [finding] = judged(comparison, figure(lines)).findings
        above += finding.effect.low > 0
    # 2.5 are expected; with the seeds' own best round there are 15.
    assert above <= 8


def test_repetitions_are_no_replicates():
    lines = [
        line(seed, f"reinit #{draw}", 3, value, remaining=0.5)
        for seed in range(2)
        for draw, value in ((1, 0.7), (2, 0.8))
    ]
    side = Side("lottery_tickets", "reinit", at(50, 3))
    [finding] = judged(Comparison(side, 10.0), true_figure(lines)).findings
    assert finding.seeds == 2
    assert finding.effect.mean == pytest.approx(75)
    assert finding.verdict == "too few runs"
    assert finding.missing == "2 of at least 3 seeds are there"


def test_a_seed_with_a_round_more_takes_nothing_from_the_others():
    lines = [
        line(seed, "ticket", number, remaining=0.8**number)
        for seed in range(4)
        for number in (3, 7, 9)
        if seed == 3 or number != 9
    ]
    side = Side("mask_criteria", "ticket", between(10, 60))
    [finding] = judged(Comparison(side, 10.0), figure(lines)).findings
    assert finding.seeds == 4


def test_unfinished_trainings_do_not_count():
    lines = [
        line(seed, "ticket", 3, remaining=0.5, steps=50_000 - (seed == 2))
        for seed in range(3)
    ]
    side = Side("lottery_tickets", "ticket", at(50, 3))
    [finding] = judged(Comparison(side, 10.0), figure(lines)).findings
    assert finding.seeds == 2


def words(command):
    """The words of a printed command, bindings by name."""
    found = shlex.split(command)
    assert found[:3] == ["python", "-m", "tf_lottery.main"]
    options = dict(
        word.split("=", 1) for word in found[3:] if "bind" not in word
    )
    macros = [word.split("=", 1)[1] for word in found if "bindings" in word]
    return options, dict(macro.split(" = ") for macro in macros)


def test_what_is_missing_is_said_with_the_command_that_makes_it():
    lines = tickets([0.9] * 3, [0.8] * 3)
    there = Comparison(Side("lottery_tickets", "ticket", at(13.52, 9)), 10.0)
    [finding] = judged(there, lines).findings
    assert finding.missing == "round 9 (13.5 %) of 'ticket' is missing"
    options, macros = words(finding.command)
    assert options == {"--gin_file": "runs/x/config.gin"}
    assert macros == {
        "ARMS": "('ticket',)",
        "SEEDS": "3",
        "ROUNDS": str(LADDER[:9]),
    }
    lacking = Comparison(TICKET, Side("lottery_tickets", "reinit", at(50, 3)))
    rules = lines.plan["experiment"]["rules"]
    rules |= {"reinit #1": {}, "reinit #2": {}}
    [finding] = judged(lacking, lines).findings
    assert finding.missing == "the arm 'reinit' is missing"
    _, macros = words(finding.command)
    assert macros == {"ARMS": "('ticket', 'reinit #1')", "SEEDS": "3"}


def test_a_command_leads_to_the_folder_whose_store_it_is():
    lines = tickets([0.9], [0.8], folder="/my work/runs/x")
    [finding] = judged(Comparison(TICKET, 10.0), lines).findings
    options, _ = words(finding.command)
    assert options == {
        "--workdir": "/my work",
        "--gin_file": "/my work/runs/x/config.gin",
    }


def test_marks_are_where_the_paper_has_points():
    lines = tickets([0.9] * 3, [0.8] * 3)

    def mark(left, right, **fields):
        comparison = Comparison(left, right, paper=5.0, **fields)
        return judged(comparison, lines).findings[0].paper_point

    assert mark(TICKET, DENSE_SIDE)[1:] == ("ticket", 50.0, 85.0)
    assert mark(DENSE_SIDE, TICKET)[1:] == ("ticket", 50.0, 75.0)
    assert mark(TICKET, 10.0)[1:] == ("ticket", 50.0, 5.0)
    ranged = TICKET._replace(place=between(10, 60))
    assert mark(ranged, DENSE_SIDE) is None
    assert mark(ranged, 10.0) is None
    best = mark(TICKET._replace(place=BEST), 10.0)
    assert math.isnan(best.remaining) and best.value == 5.0


def test_the_closest_protocol_counts_that_has_enough_runs():
    comparison = Comparison(TICKET, DENSE_SIDE)
    good, bad = ([0.9] * 3, [0.8] * 3), ([0.7] * 3, [0.8] * 3)
    short = tickets(*bad, recipe={"steps": 15_000})
    full = tickets(*good)
    assert judged(comparison, short, full).verdict == "reproduced"
    [other] = judged(comparison, short, full).others
    assert other.verdict == "not reproduced"
    assert "steps 15,000 instead of 50,000" in other.deviations
    few = tickets([0.9], [0.8])
    assert judged(comparison, short, few).verdict == "not reproduced"
    digits = tickets(*good, data="mnist_5k")
    assert judged(comparison, digits, short).verdict == "not reproduced"
    everywhere = tickets(*good)
    everywhere.plan["experiment"]["scope"] = "global"
    assert judged(comparison, everywhere, short).verdict == "not reproduced"
    assert "scope global instead of layer" in everywhere.deviations


def test_deviations_of_both_sides_are_known():
    learned = Side("supermask", "init", END)
    mask = figure([line(s, "init") for s in range(3)], kind="supermask")
    short = {"steps": 15_000}
    dense = tickets([0.5] * 3, [0.9, 0.91, 0.92], recipe=short)
    judgement = judged(Comparison(learned, DENSE_SIDE), mask, dense)
    assert "steps 15,000 instead of 50,000" in judgement.deviations


def test_of_many_protocols_each_is_tried_once():
    learned = Side("supermask", "init", END)
    masks = [
        figure([line(s, "init") for s in range(3)], kind="supermask")
        for _ in range(5)
    ]
    dense = [tickets([0.5] * 3, [0.9] * 3) for _ in range(4)]
    judgement = judged(Comparison(learned, DENSE_SIDE), *masks, *dense)
    assert len(judgement.others) == 4 + 3
