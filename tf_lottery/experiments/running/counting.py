"""Counting: how many trainings a plan asks for, without training."""

import itertools
from dataclasses import dataclass, field

import numpy as np

from tf_lottery.experiments.plan import Measurements, Plan
from tf_lottery.foundation import identity, seeds
from tf_lottery.rules.tickets import Arrays, Ticket
from tf_lottery.training.history import Result
from tf_lottery.training.peers import tfmot
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.request import Training
from tf_lottery.training.train import estimate
from tf_lottery.training.trainer import Trainer

SEEDS_COUNTED = 20
"""Of more seeds, so many are counted."""


@dataclass
class EngineOfTrainer:
    """What engines have in common: a trainer."""

    trainer: Trainer

    def new_ticket(self, recipe: Recipe, seed: int) -> Ticket:
        return self.trainer.new_ticket(recipe, seed)

    def gradient(self, training: Training, examples: int) -> Arrays:
        return self.trainer.gradient(training, examples)


@dataclass
class Count:
    """How many trainings a plan asks for.

    Args:
        asked: If every chain trained on its own.
        keys: Of the different ones among them, and whether each is stored.
        seconds: What those that are not stored will take.
        chains: By (arm, seed), how many are asked for and how many of those
            are neither stored nor done by a chain before.
        seeds: How many were counted; all of a plan, or `SEEDS_COUNTED`.
    """

    asked: int = 0
    keys: dict[str, bool] = field(default_factory=dict)
    seconds: float = 0.0
    chains: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    seeds: int = 0

    @property
    def stored(self) -> int:
        """How many of the different trainings are stored."""
        return sum(self.keys.values())


def count(plan: Plan, trainer: Trainer) -> Count:
    """Returns how many trainings a plan asks for, without training.

    Trainings that are not in the store are given an invented result, which is
    decided by what goes into them. So chains go on to their ends, and meet in
    the same trainings as they will when it is real.

    Seeds ask for equally many trainings, and share none. So of many seeds,
    some that lie evenly among all are counted.
    """
    counting = Counting(trainer)
    plan.experiment.rehearse(counting)
    # What is rehearsed is not asked for.
    total = counting.count = Count()
    total.seeds = min(plan.seeds, SEEDS_COUNTED)
    counted = np.linspace(0, plan.seeds - 1, total.seeds).astype(int).tolist()
    for seed, arm in itertools.product(counted, plan.experiment.arms):
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
        self, training: Training, round: int | None = 0, statistics: int = 0
    ) -> Measurements:
        return ()

    def train(self, training: Training, round: int | None = 0) -> Result:
        del round
        self.count.asked += 1
        key = self.trainer.key(training)
        result = self.trainer.find(training)
        if key not in self.count.keys:
            self.count.keys[key] = result is not None
            if result is None:
                self.count.seconds += self._seconds(training)
        return result or Result(_invented(key, training.ticket), (), 0.0)

    def _seconds(self, training: Training) -> float:
        recipe, peer = training.recipe, training.peer
        # Trainings that differ in nothing else take equally long.
        alike = identity.digest([recipe, peer and peer.schedule])
        if alike not in self._trials:
            source = self.trainer.source(recipe.task)
            self._trials[alike] = (
                tfmot.estimate(training, source)
                if peer
                else estimate(recipe, source, self.trainer.strategy)
            )
        return self._trials[alike]


def _invented(key: str, ticket: Ticket) -> dict[str, np.ndarray]:
    state = ticket.arrays()
    for path, w in ticket.weights.items():
        noise = seeds.generator(0, "invented", key, path).standard_normal(
            w.shape, np.float32
        )
        state[path] = noise * (w.std() or 1)
    return state
