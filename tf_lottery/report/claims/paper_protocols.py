"""Protocols of the papers, network by network, and what is known of data sets.

Sources: Frankle & Carbin 2019, figure 2 and appendix G; Zhou et al. 2019 and
its code, which train in the same way.
"""

from typing import Any, NamedTuple

from tf_lottery.foundation.deviations import deviations
from tf_lottery.report.claims.catalogue import ITERATIONS, RATES, network_of
from tf_lottery.report.kinds import KINDS

ROUNDS = 24
SEEDS = 5

DATA_NOTES = {
    "578594f1fbcd5fdeb48e31a9f33f782e1530a43317d91a00b62756ded5682902": (
        "these CIFAR-10 images were once JPEG-compressed"
    ),
}
"""What is known of data sets, by the fingerprint of their examples."""


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
    if kind.masks and seeds < SEEDS:
        amount.append(f"{seeds} seeds instead of {SEEDS}")
    if plan["fingerprint"] in DATA_NOTES:
        amount.append(DATA_NOTES[plan["fingerprint"]])
    return Deviations(method, amount)
