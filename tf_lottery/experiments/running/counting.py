"""Counting: how many trainings a plan asks for, without training."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tf_lottery.experiments.plan import Plan
from tf_lottery.foundation import identity, seeds
from tf_lottery.rules.pruning import Rates
from tf_lottery.rules.tickets import Arrays, Ticket
from tf_lottery.training.history import Result
from tf_lottery.training.peers import tfmot
from tf_lottery.training.peers.tfmot_schedule import TfmotGradual
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.train import estimate
from tf_lottery.training.trainer import Trainer


@dataclass
class EngineOfTrainer:
    """What engines have in common: a trainer."""

    trainer: Trainer

    def new_ticket(self, recipe: Recipe, seed: int) -> Ticket:
        return self.trainer.new_ticket(recipe, seed)

    def gradient(
        self, recipe: Recipe, ticket: Ticket, seed: int, images: int
    ) -> Arrays:
        return self.trainer.gradient(recipe, ticket, seed, images)


@dataclass
class Count:
    """How many trainings a plan asks for.

    Args:
        asked: If every chain trained on its own.
        keys: Of the different ones among them, and whether each is stored.
        seconds: What those that are not stored will take.
        chains: By (arm, seed), how many are asked for and how many of those
            are neither stored nor done by a chain before.
    """

    asked: int = 0
    keys: dict[str, bool] = field(default_factory=dict)
    seconds: float = 0.0
    chains: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    @property
    def stored(self) -> int:
        """How many of the different trainings are stored."""
        return sum(self.keys.values())


def count(plan: Plan, trainer: Trainer) -> Count:
    """Returns how many trainings a plan asks for, without training.

    Trainings that are not in the store are given an invented result, which is
    decided by what goes into them. So chains go on to their ends, and meet in
    the same trainings as they will when it is real.
    """
    counting = Counting(trainer)
    plan.experiment.rehearse(counting)
    # What is rehearsed is not asked for.
    total = counting.count = Count()
    for arm, seed in plan.chains():
        before = total.asked, len(total.keys) - total.stored
        for _ in plan.experiment.chain(arm, seed, counting):
            pass
        total.chains[arm, seed] = (
            total.asked - before[0],
            len(total.keys) - total.stored - before[1],
        )
    return total


@dataclass
class Counting(EngineOfTrainer):
    """The engine of a chain that only is counted."""

    count: Count = field(default_factory=Count)
    _trials: dict[str, float] = field(default_factory=dict)

    def evaluate(
        self, recipe: Recipe, ticket: Ticket, seed: int, round: int = 0
    ) -> None:
        pass

    def train(
        self, recipe: Recipe, ticket: Ticket, seed: int, round: int | None = 0
    ) -> Result:
        del round
        key = self.trainer.key(recipe, ticket, seed)
        source = self.trainer.source(recipe.images)
        return self._counted(
            key,
            recipe,
            ticket,
            identity.digest(recipe),
            lambda: estimate(recipe, source, self.trainer.strategy),
        )

    def train_peer(
        self,
        recipe: Recipe,
        ticket: Ticket,
        seed: int,
        pruning: TfmotGradual,
        rates: Rates,
        round: int = 0,
    ) -> Result:
        del round
        key = self.trainer.peer_key(recipe, ticket, seed, pruning, rates)
        source = self.trainer.source(recipe.images)
        return self._counted(
            key,
            recipe,
            ticket,
            identity.digest([recipe, pruning]),
            lambda: tfmot.estimate(recipe, ticket, source, pruning, rates),
        )

    def _counted(
        self,
        key: str,
        recipe: Recipe,
        ticket: Ticket,
        kind: str,
        trial: Callable[[], float],
    ) -> Result:
        """Returns what is stored under the key, or something invented.

        Args:
            key: Of the training.
            recipe: Of the training.
            ticket: Of the training.
            kind: Of trainings that take equally long.
            trial: Returns how many seconds those take.
        """
        self.count.asked += 1
        result = self.trainer.find(key, recipe, ticket)
        if key not in self.count.keys:
            self.count.keys[key] = result is not None
            if result is None:
                if kind not in self._trials:
                    self._trials[kind] = trial()
                self.count.seconds += self._trials[kind]
        return result or Result(_invented(key, ticket), (), 0.0)


def _invented(key: str, ticket: Ticket) -> dict[str, np.ndarray]:
    state = ticket.arrays()
    for path, w in ticket.weights.items():
        noise = seeds.generator(0, "invented", key, path).standard_normal(
            w.shape, np.float32
        )
        state[path] = noise * (w.std() or 1)
    return state
