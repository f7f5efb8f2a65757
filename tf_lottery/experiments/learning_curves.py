"""Learning curves: plain trainings, and what they measure on their way.

An arm is the recipe with some of its fields replaced. Its chain is a single
training from the initial weights, and the figure shows every metric of the
task over the steps, on training and on validation examples.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from tf_lottery.experiments.plan import Engine
from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.foundation.records import Record, Snapshot
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.request import Training


@dataclass(frozen=True)
class LearningCurves:
    """A figure whose lines are trainings and whose x axis is steps.

    Args:
        recipe: How all arms train, but for what an arm replaces.
        variants: From the name of an arm to the fields of the recipe that it
            replaces; none is the recipe itself.
        arms: Which of the variants, in the order of the legend; none is all.

    Raises:
        InvalidValue: An arm or a field is not known, or of the wrong type.
    """

    kind: ClassVar[str] = "curves"

    recipe: Recipe
    variants: Mapping[str, Mapping[str, Any]]
    arms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checks.kind("LearningCurves.recipe", self.recipe, Recipe)
        if not isinstance(self.variants, Mapping) or not self.variants:
            raise InvalidValue(
                "expected VARIANTS to be a dict from the names of arms to "
                f"fields of the recipe, received {self.variants!r}"
            )
        if self.arms in (None, ()):
            object.__setattr__(self, "arms", tuple(self.variants))
        if not isinstance(self.arms, list | tuple):
            raise InvalidValue(
                f"expected ARMS to be a list of names, received {self.arms!r}"
            )
        for arm in self.arms:
            checks.one_of("ARMS", arm, self.variants)
            self.recipe_of(arm)

    def recipe_of(self, arm: str) -> Recipe:
        """Returns the recipe of an arm.

        Raises:
            InvalidValue: A field is not known or of the wrong type.
        """
        replaced = self.variants[arm]
        if not isinstance(replaced, Mapping):
            raise InvalidValue(
                f"expected the variant {arm!r} to be a dict, received "
                f"{replaced!r}"
            )
        for name in replaced:
            checks.one_of(
                f"the fields of the variant {arm!r}",
                name,
                [field.name for field in fields(Recipe)],
            )
        return replace(self.recipe, **replaced)

    def rehearse(self, engine: Engine) -> None:
        """Builds the network of each arm once."""
        for arm in self.arms:
            engine.new_ticket(self.recipe_of(arm), 0)

    def chain(
        self, arm: str, seed: int, engine: Engine
    ) -> Iterator[Record | Snapshot]:
        """Trains once; what is measured is written down by the engine."""
        recipe = self.recipe_of(arm)
        engine.train(Training(recipe, engine.new_ticket(recipe, seed), seed))
        yield from ()
