"""Lottery tickets and supermasks, reproduced in TensorFlow and Keras 3.

To find tickets in a model of your own:

    from tf_lottery import export, find_ticket, mask_model, shrink

To reproduce a paper: `python -m tf_lottery.main --help`.

Importing the package is quick: nothing below it is loaded until it is named.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "BernoulliMask": "masks",
    "ConstantSchedule": "schedules",
    "FixedMask": "masks",
    "Forgetting": "tickets",
    "GradualPruning": "gradual",
    "PolynomialSchedule": "schedules",
    "Ticket": "tickets",
    "TopKMask": "masks",
    "apply_ticket": "applying",
    "export": "exporting.export",
    "find_ticket": "search",
    "from_tfmot": "tfmot",
    "mask_model": "conversion",
    "masked_kernels": "variables",
    "prune_model": "one_shot",
    "shrink": "shrinking.shrink",
    "silence_pruned_channels": "shrinking.shrink",
    "strip_masks": "conversion",
}
"""Where what the package exports is found."""

_ROOMS = ("actions", "budgets", "criteria", "layers", "masks")
"""Modules that are exported as they are."""

__all__ = [*_HOMES, *_ROOMS]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        home = importlib.import_module(f"tf_lottery.{_HOMES[name]}")
        return getattr(home, name)
    if name in _ROOMS:
        return importlib.import_module(f"tf_lottery.{name}")
    raise AttributeError(f"module 'tf_lottery' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
