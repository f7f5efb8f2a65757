"""Chains: what the trainings of one arm and seed have in common."""

import functools
from dataclasses import dataclass, replace

import numpy as np

from tf_lottery.experiments.arms import Rule
from tf_lottery.experiments.plan import Engine
from tf_lottery.foundation import seeds
from tf_lottery.rules import pruning
from tf_lottery.rules.forgetting import Forgetting, Known, forget
from tf_lottery.rules.tickets import Arrays, Ticket
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.request import Training


@dataclass(frozen=True, eq=False)
class Chain:
    """An arm and a seed, and what their trainings have in common.

    Args:
        recipe: How the dense network trains.
        rule: What makes the arm.
        arm: Its name.
        seed: The replicate.
        engine: Trains and evaluates.
        start: What the dense network starts from.
        rates: Fraction of the survivors that a round removes, by kernel path.
        rounds: Places on the ladder, ascending.
        scope: Of pruning, as for `pruning.prune`.
        rewind_step: The step of round 0 that tickets start from. None is
            the initial weights.
        gradient_examples: How many examples gradients are of.
    """

    recipe: Recipe
    rule: Rule
    arm: str
    seed: int
    engine: Engine
    start: Ticket
    rates: pruning.Rates
    rounds: tuple[int, ...]
    scope: str
    rewind_step: int | None
    gradient_examples: int

    def training(
        self, ticket: Ticket, recipe: Recipe | None = None
    ) -> Training:
        """Returns the training of a ticket, by the dense network's recipe."""
        return Training(recipe or self.recipe, ticket, self.seed)

    def shown_training(self, ticket: Ticket, recipe: Recipe) -> Training:
        """Returns the training of what is shown, by the rule's own task."""
        task = self.rule.shown_task or recipe.task
        return self.training(ticket, replace(recipe, task=task))

    def aimed(self, rounds: int) -> pruning.Rates:
        """Returns what fraction of its survivors a kernel loses in rounds."""
        return pruning.after_rounds(self.rates, rounds)

    def known(self, round: int) -> Known:
        """Returns what the rule may look at in a round."""
        draw = self.rule.draw or 0
        other = seeds.integer(self.seed, "fresh", draw, round)
        return Known(
            dense=self.start.weights,
            fresh=functools.cache(
                lambda: self.engine.new_ticket(self.recipe, other).weights
            ),
            generator=functools.partial(generator_of, self.seed, draw, round),
            derivatives={"gradient": lambda: self._gradient},
        )

    @functools.cached_property
    def _gradient(self) -> Arrays:
        return self.engine.gradient(
            self.training(self.start), self.gradient_examples
        )

    @functools.cached_property
    def later(self) -> tuple[Recipe, Ticket]:
        """How the rounds after the first train, and from which weights."""
        if self.rewind_step is None:
            return self.recipe, self.start
        # Equal to the first steps of round 0, bit for bit.
        short = replace(self.recipe, steps=self.rewind_step)
        state = self.engine.train(self.training(self.start, short), None).state
        rewound = Ticket(
            {path: state[path] for path in self.start.weights},
            {path: state[path] for path in self.start.state},
        )
        return replace(self.recipe, first_step=self.rewind_step), rewound

    def prune(
        self, ticket: Ticket, trained: Arrays, rounds: int, round: int
    ) -> Ticket:
        """Returns the ticket that the rule makes of a training.

        Args:
            ticket: That the training started from.
            trained: Its weights at the end.
            rounds: How many rounds' worth of weights go.
            round: The place on the ladder that this leads to.
        """
        aimed, known = self.aimed(rounds), self.known(round)
        return forget(ticket, trained, self.rule, aimed, known, self.scope)

    def shown(self, pruned: Ticket, trained: Arrays, round: int) -> Ticket:
        """Returns what is trained in a ticket's place: itself, or a control."""
        if self.rule.control is None:
            return pruned
        # The same masks again: rates of None prune nothing.
        again = Forgetting(mask1=self.rule.control, mask0=self.rule.mask0)
        return forget(pruned, trained, again, {}, self.known(round))


def generator_of(
    seed: int, draw: int, round: int, what: str, path: str
) -> np.random.Generator:
    """Returns the randomness of a purpose and a kernel in a round."""
    # Repetitions of an arm draw other weights and prune alike.
    own = () if what == "ties" else (draw,)
    return seeds.generator(seed, what, round, path, *own)
