"""Lottery tickets and supermasks, reproduced in TensorFlow and Keras 3.

To find tickets in a model of your own:

    from tf_lottery import export
    from tf_lottery import find_ticket
    from tf_lottery import mask_model
    from tf_lottery import shrink

To reproduce a paper: `python -m tf_lottery.main --help`.

Importing the package is quick: nothing below it is loaded until it is named.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tf_lottery.compression.apply_ticket import apply_ticket as apply_ticket
    from tf_lottery.compression.exporting.export import export as export
    from tf_lottery.compression.find_ticket import find_ticket as find_ticket
    from tf_lottery.compression.from_tfmot import from_tfmot as from_tfmot
    from tf_lottery.compression.gradual_pruning import (
        GradualPruning as GradualPruning,
    )
    from tf_lottery.compression.prune_model import prune_model as prune_model
    from tf_lottery.compression.pruning_schedules import (
        ConstantSchedule as ConstantSchedule,
    )
    from tf_lottery.compression.pruning_schedules import (
        PolynomialSchedule as PolynomialSchedule,
    )
    from tf_lottery.compression.shrinking.shrink import shrink as shrink
    from tf_lottery.compression.shrinking.shrink import (
        silence_pruned_channels as silence_pruned_channels,
    )
    from tf_lottery.masking import layers as layers
    from tf_lottery.masking import masks as masks
    from tf_lottery.masking.conversion import mask_model as mask_model
    from tf_lottery.masking.conversion import strip_masks as strip_masks
    from tf_lottery.masking.kernels import masked_kernels as masked_kernels
    from tf_lottery.masking.masks import BernoulliMask as BernoulliMask
    from tf_lottery.masking.masks import FixedMask as FixedMask
    from tf_lottery.masking.masks import TopKMask as TopKMask
    from tf_lottery.rules import actions as actions
    from tf_lottery.rules import budgets as budgets
    from tf_lottery.rules import criteria as criteria
    from tf_lottery.rules import sensitivity as sensitivity
    from tf_lottery.rules.forgetting import Forgetting as Forgetting
    from tf_lottery.rules.n_of_m import n_of_m as n_of_m
    from tf_lottery.rules.tickets import Ticket as Ticket

__version__ = "0.1.0"

_HOMES = {
    "BernoulliMask": "masking.masks",
    "ConstantSchedule": "compression.pruning_schedules",
    "FixedMask": "masking.masks",
    "Forgetting": "rules.forgetting",
    "GradualPruning": "compression.gradual_pruning",
    "PolynomialSchedule": "compression.pruning_schedules",
    "Ticket": "rules.tickets",
    "TopKMask": "masking.masks",
    "apply_ticket": "compression.apply_ticket",
    "export": "compression.exporting.export",
    "find_ticket": "compression.find_ticket",
    "from_tfmot": "compression.from_tfmot",
    "mask_model": "masking.conversion",
    "masked_kernels": "masking.kernels",
    "n_of_m": "rules.n_of_m",
    "prune_model": "compression.prune_model",
    "shrink": "compression.shrinking.shrink",
    "silence_pruned_channels": "compression.shrinking.shrink",
    "strip_masks": "masking.conversion",
}
"""Where what the package exports is found."""

_ROOMS = {
    "actions": "rules",
    "budgets": "rules",
    "criteria": "rules",
    "layers": "masking",
    "masks": "masking",
    "sensitivity": "rules",
}
"""Modules that are exported as they are, and the wing of each."""

__all__ = [*_HOMES, *_ROOMS]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        home = importlib.import_module(f"tf_lottery.{_HOMES[name]}")
        return getattr(home, name)
    if name in _ROOMS:
        return importlib.import_module(f"tf_lottery.{_ROOMS[name]}.{name}")
    raise AttributeError(f"module 'tf_lottery' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]


class _AfterKeras:
    """A finder of modules that has our layers follow an import of Keras.

    Keras reads a model's file by the names that its classes are registered
    under, and registers a class when that is defined. So our classes have to
    be defined before any file is read, and no sooner than Keras is imported:
    to import it for the sake of `import tf_lottery` would take seconds.
    """

    def find_spec(self, name: str, *where: Any) -> Any:
        if name != "keras":
            return None
        found = (f.find_spec(name, *where) for f in sys.meta_path if f != self)
        spec = next(filter(None, found), None)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_register(module: Any) -> None:
                run(module)
                importlib.import_module("tf_lottery.masking")

            spec.loader.exec_module = run_and_register  # type: ignore[method-assign]
        return spec


if "keras" in sys.modules:
    importlib.import_module("tf_lottery.masking")
else:
    sys.meta_path.insert(0, _AfterKeras())
