"""Protocols of the papers, network by network, and what is known of data sets.

Sources: Frankle & Carbin 2019, figure 2 and appendix G; Zhou et al. 2019 and
its code, which train in the same way.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tf_lottery.foundation.deviations import deviations
from tf_lottery.report.claims.catalogue import ITERATIONS, RATES, network_of
from tf_lottery.report.kinds import KINDS
from tf_lottery.report.plan_files import rule_of
from tf_lottery.report.tables import rounds

ROUNDS = 24
SEEDS = 5
DRAWS = 3
"""Of new initial weights for each ticket: Frankle & Carbin 2019, section 2."""

LEARNED_STEPS = {"LeNet": 440_000}
"""How long masks are learned, where that is known: 2,000 epochs."""

HIDDEN_RATE = 0.2
"""Of the survivors of hidden layers, a round."""

DATA_NOTES = {
    "578594f1fbcd5fdeb48e31a9f33f782e1530a43317d91a00b62756ded5682902": (
        "these CIFAR-10 images were once JPEG-compressed"
    ),
}
"""What is known of data sets, by the fingerprint of their examples."""


UNKNOWN = {
    "MLP-256-256": (
        "optimizer, batch size, iterations and rates are ours; the paper's are "
        "not known here"
    ),
}
"""What of a paper's protocol is not known, by network."""


class Deviations(NamedTuple):
    """How runs differ from what the papers did, in words.

    Args:
        method: Differences in what was done.
        amount: Differences in how much of it was done.
    """

    method: list[str]
    amount: list[str]


def deviations_of(plan: dict[str, Any], seeds: int) -> Deviations:
    """Returns how runs differ from what the papers did.

    Args:
        plan: The plan of one of the runs.
        seeds: How many seeds they have together.
    """
    method, amount = list(plan["deviations"]), []
    network, experiment = network_of(plan), plan["experiment"]
    kind = KINDS[plan["kind"]]
    if kind.ladder and network in ITERATIONS:
        steps, learning_rate = ITERATIONS[network]
        convolutions = [["conv", RATES[network]]] if network in RATES else []
        method += deviations(
            {
                "data": "mnist" if network == "LeNet" else "cifar10",
                "batch_size": 60,
                "dtype_policy": "float32",
                "optimizer": {
                    "class_name": "Adam",
                    "config": {"learning_rate": learning_rate},
                },
                "model": {"use_bias": True},
                "rates": [*convolutions, ["fc", 0.2], ["output", 0.1]],
                "scope": "layer",
                "rewind_step": None,
            },
            {**experiment, **plan["recipe"], "data": plan["data"]},
        )
        amount += deviations(
            {"steps": steps, "eval_every": 100}, plan["recipe"]
        )
        if len(plan["rounds"]) < ROUNDS:
            amount.append(f"{len(plan['rounds'])} rounds instead of {ROUNDS}")
        amount += _draws(plan["arms"])
        if not kind.retrained:
            amount.append(
                "best over rounds is the best round of the other seeds instead "
                "of the highest mean"
            )
    if network in UNKNOWN:
        amount.append(UNKNOWN[network])
    if kind.masks and not kind.ladder:
        amount.append(
            "one start of the logits instead of the best of several kept "
            "fractions"
        )
    if kind.masks and seeds < SEEDS:
        amount.append(f"{seeds} seeds instead of {SEEDS}")
    if plan["fingerprint"] in DATA_NOTES:
        amount.append(DATA_NOTES[plan["fingerprint"]])
    return Deviations(method, amount)


AT_THE_END = (
    "accuracy at the end",
    "training accuracy",
    "moved",
    "away from zero",
)
"""Metrics of what a training ends with, whatever its early stop."""


def decisive(
    plans: Sequence[dict[str, Any]], arm: str, last: int, metric: str
) -> list[str]:
    """Returns what of the protocol of runs changes what an arm tests.

    What such runs say is no verdict on the paper; see
    docs/reproduce/verdicts.md.

    Args:
        plans: The plans of the runs.
        arm: A line of the figure.
        last: The last of the rounds that are looked at; 0 is the dense network.
        metric: What is looked at; see `claim.Comparison`.
    """
    plan = plans[0]
    kind, network = KINDS[plan["kind"]], network_of(plan)
    steps = plan["recipe"]["steps"]
    if not kind.ladder:
        wanted = LEARNED_STEPS.get(network, steps)
        if kind.masks and steps != wanted:
            return [f"masks are learned for {steps:,} steps, not {wanted:,}"]
        return []
    own = [a for p in plans for a in p["arms"] if rounds.line_of(a) == arm]
    if not kind.retrained:
        wanted, _ = ITERATIONS.get(network, (steps, 0))
        if steps != wanted:
            return [
                f"the dense network behind the masks has {steps:,} iterations, "
                f"not {wanted:,}"
            ]
        return []
    wanted, _ = ITERATIONS.get(network, (steps, 0))
    if metric in AT_THE_END and steps != wanted:
        return [f"trainings end after {steps:,} iterations, not {wanted:,}"]
    rule = rule_of(plan, own[0]) if own else {}
    if rule.get("one_shot") or rule.get("peer"):  # each from the dense network
        return []
    # Merged runs have come to the places that they share on the same way.
    longest = max((p["rounds"] for p in plans), key=lambda r: r[-1])
    way = (0, *(number for number in longest if number <= last))
    steps_of = {b - a: (a, b) for a, b in itertools.pairwise(way)}
    widest = max(steps_of, default=1)
    if widest == 1:
        return []
    first, last = steps_of[widest]
    pruned = 100 * (1 - (1 - HIDDEN_RATE) ** widest)
    return [
        f"the step from round {first} to {last} prunes {pruned:.0f} % of the "
        f"hidden weights, not {100 * HIDDEN_RATE:.0f} %"
    ]


def _draws(arms: Iterable[str]) -> list[str]:
    """Returns which controls have fewer draws than the papers'."""
    count: dict[str, int] = {}
    for arm in arms:
        line = rounds.line_of(arm)
        if line != arm:
            count[line] = count.get(line, 0) + 1
    return [
        f"{n} {line} a ticket instead of {DRAWS}"
        for line, n in count.items()
        if n < DRAWS
    ]
