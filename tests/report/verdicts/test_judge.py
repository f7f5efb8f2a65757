"""Every claim gets every verdict, on runs that are made for it."""

import math
import shlex

import numpy as np
import pytest
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
from tf_lottery.report.verdicts import intervals, judge

CLAIMS = {c.key: c for c in ALL_CLAIMS if c.comparisons}
BASE = {
    "accuracy": 50.0,
    "accuracy at the end": 50.0,
    "training accuracy": 99.0,
    "stop": 5000.0,
    "kept": 50.0,
}
FIELD = {
    "accuracy": "test_accuracy_at_stop",
    "accuracy at the end": "test_accuracy",
    "training accuracy": "train_accuracy",
    "stop": "stop_step",
    "kept": "remaining",
}
SEEDS = 3
SPREAD = {0: 1.0, 1: -1.0, 2: 0.0}


def nothing(comparison):
    if not isinstance(comparison.right, Side):
        return comparison.right
    return 1.0 if comparison.form == "ratio" else 0.0


def fitting(comparison):
    """An effect that has the direction and the size."""
    low, high = comparison.size
    zero = nothing(comparison)
    if comparison.expect == ">":
        low = max(low, zero)
    elif comparison.expect == "<":
        high = min(high, zero)
    if math.isinf(low) and math.isinf(high):
        return zero
    if math.isinf(high):
        return low + 1.0
    if math.isinf(low):
        return high / 2 if comparison.form == "ratio" else high - 1.0
    return (low + high) / 2


def failing(comparison):
    """An effect of the other direction, or far from alike."""
    low, high = comparison.size
    zero = nothing(comparison)
    if comparison.expect == "=":
        return low - 1.0 if math.isinf(high) else high + 1.0
    if comparison.form == "ratio":
        return 0.5 if comparison.expect == ">" else 2.0
    return zero - 5.0 if comparison.expect == ">" else zero + 5.0


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
            left = (comparison.left, comparison.metric)
            right = (comparison.right, comparison.metric)
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
            key = comparison.right, comparison.metric
            values[key] = BASE[comparison.metric]
    return values


def remaining(place):
    if place == DENSE:
        return 1.0
    low, high = max(place.low, 0.2), min(place.high, 90)
    return math.sqrt(low * high) / 100


def runs(claim, effects, seeds=SEEDS, spread=0.0):
    """Figures for a claim; `spread` is that of the first left side."""
    cells = {}
    noisy = claim.comparisons[0].left, claim.comparisons[0].metric
    for (side, metric), value in solve(claim, effects).items():
        network = side.network or claim.network
        kind = EXPERIMENTS[side.experiment]
        for seed in range(seeds):
            own = spread * SPREAD[seed] if (side, metric) == noisy else 0.0
            if metric == "stop":
                number = value * math.exp(own)
            else:
                number = (value + 100 * own) / 100
            where = network, side.experiment, kind
            places = cells.setdefault(where, {})
            key = seed, side.arm, side.place
            places.setdefault(key, {})[FIELD[metric]] = number
            if kind == "supermask" and metric == "accuracy":
                places[key]["test_accuracy"] = number
    found = []
    for (network, experiment, kind), places in cells.items():
        numbers = {DENSE: 0}
        lines = []
        for (seed, arm, place), fields in places.items():
            number = numbers.setdefault(place, len(numbers))
            if kind == "supermask":
                number = 0
            fields = {"remaining": remaining(place), **fields}
            lines.append(line(seed, arm, number, **fields))
        found.append(figure(lines, network=network, kind=kind, name=experiment))
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
    assert verdict(good, spread=2.0) == "direction only"
    assert verdict(bad) == "not reproduced"
    assert verdict(good, seeds=2) == "too few runs"
    [nothing_there] = judge.judge([claim], [])
    assert nothing_there.verdict == "too few runs"
    assert all("gin/" in f.command for f in nothing_there.findings)


def test_a_claim_without_a_comparison_waits_for_an_experiment():
    claim = Claim("X", "A paper", "here", "So it is.", "LeNet", "notes", ())
    [judgement] = judge.judge([claim], [])
    assert (judgement.verdict, judgement.findings) == ("too few runs", ())


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
    return figure(lines, **fields)


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
    [finding] = judged(comparison, figure(lines)).findings
    logs = np.log([0.5, 1.0, 0.25])
    assert finding.effect.mean == pytest.approx(math.exp(logs.mean()))
    low, high = stats.t.interval(0.95, 2, logs.mean(), stats.sem(logs))
    assert finding.effect.low == pytest.approx(math.exp(low))
    assert finding.effect.high == pytest.approx(math.exp(high))
    assert finding.verdict == "direction only"


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


def test_intervals_of_hardly_any_values():
    assert intervals.interval(np.array([2.0])) == (2.0, -math.inf, math.inf)
    assert intervals.interval(np.full(3, 2.0)) == (2.0, 2.0, 2.0)
    one, many = np.array([1.0]), np.array([2.0, 2.0])
    assert math.isinf(intervals.independent_interval(one, many).low)
    assert intervals.independent_interval(many, many) == (0, 0, 0)


def test_of_a_range_the_mean_over_its_rounds_counts():
    side = Side("mask_criteria", "ticket", between(10, 60))
    lines = [
        line(seed, "ticket", number, value, remaining=part)
        for seed in range(3)
        for number, part, value in (
            (0, 1.0, 0.9),
            (3, 0.5, 0.8),
            (7, 0.2, 0.6),
            (9, 0.05, 0.1),
        )
    ]
    [finding] = judged(Comparison(side, 10.0), figure(lines)).findings
    assert finding.effect.mean == pytest.approx(70)


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
    [finding] = judged(Comparison(side, 10.0), figure(lines)).findings
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
        "ROUNDS": "(3, 7, 9)",
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
