"""Protocols of the papers, network by network, and what is known of data sets.

Sources: Frankle & Carbin 2019, figure 2 and appendix G; Zhou et al. 2019 and
its code, which train likewise.
"""

from typing import Any

from tf_lottery.protocol import deviations

NETWORKS: dict[str, dict[str, Any]] = {
    "LeNet": {"call": "tf_lottery.models.lenet.LeNet", "hidden": [300, 100]},
    "Conv-2": {"call": "tf_lottery.models.conv.Conv", "blocks": 1},
    "Conv-4": {"call": "tf_lottery.models.conv.Conv", "blocks": 2},
    "Conv-6": {"call": "tf_lottery.models.conv.Conv", "blocks": 3},
}
"""Fields of a recipe's model, in canonical form."""

ITERATIONS = {
    "LeNet": (50_000, 1.2e-3),
    "Conv-2": (20_000, 2e-4),
    "Conv-4": (25_000, 3e-4),
    "Conv-6": (30_000, 3e-4),
}
"""And the learning rate."""

ROUNDS = 24
SEEDS = 5

DATA_NOTES = {
    "578594f1fbcd5fdeb48e31a9f33f782e1530a43317d91a00b62756ded5682902": (
        "these CIFAR-10 images were once JPEG-compressed"
    ),
}
"""By fingerprint of the images."""


def network_of(plan: dict[str, Any]) -> str:
    """Returns the name of the network that a plan trains."""
    model = plan["recipe"]["model"]
    for name, fields in NETWORKS.items():
        if all(model.get(key) == value for key, value in fields.items()):
            return name
    return str(model.get("call", "?")).rpartition(".")[2]


def deviations_of(plan: dict[str, Any], seeds: int, places: int) -> list[str]:
    """Returns how runs differ from what the papers did.

    Args:
        plan: Of one of the runs.
        seeds: How many there are.
        places: How many rounds there are after the dense one.
    """
    found = list(plan["deviations"])
    network = network_of(plan)
    if plan["rounds"] and network in ITERATIONS:
        steps, rate = ITERATIONS[network]
        paper = {
            "data": "mnist" if network == "LeNet" else "cifar10",
            "steps": steps,
            "batch_size": 60,
            "eval_every": 100,
            "dtype_policy": "float32",
            "optimizer": {
                "class_name": "Adam",
                "config": {"learning_rate": rate},
            },
        }
        actual = {**plan["recipe"], "data": plan["data"]}
        found += deviations(paper, actual)
        if places < ROUNDS:
            found.append(f"{places} rounds instead of {ROUNDS}")
    if seeds < SEEDS:
        found.append(f"{seeds} seeds instead of {SEEDS}")
    if plan.get("fingerprint") in DATA_NOTES:
        found.append(DATA_NOTES[plan["fingerprint"]])
    return found
