"""Execution: a plan is carried out, or only counted.

`execute` runs chains one after the other in this process, and `tf_lottery.
workers` in several. Every number goes to the run's folder as it is measured,
and to whoever watches.
"""

import functools
import pathlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from tf_lottery import identity, seeds
from tf_lottery.baselines import peer
from tf_lottery.baselines.tfmot_gradual import TfmotGradual
from tf_lottery.experiments.plan import Plan
from tf_lottery.protocol import deviations
from tf_lottery.pruning import Rates
from tf_lottery.recipes import Recipe
from tf_lottery.records import Picture, Record
from tf_lottery.runs import Run
from tf_lottery.tickets import Arrays, Ticket
from tf_lottery.trainer import FORMAT, Trainer
from tf_lottery.training import Diverged, Report, Result, Row, estimate


def start(
    plan: Plan,
    trainer: Trainer,
    config: str,
    environment: Mapping[str, Any],
    workdir: pathlib.Path,
) -> Run:
    """Returns the plan's folder, with all that is known before it runs.

    Args:
        plan: What was asked for.
        trainer: Who will do it.
        config: The gin configuration that asks for it.
        environment: What it runs on; kept as it was when the run is complete.
        workdir: Where the folder `runs` is, or is made.

    Raises:
        DataError: The images are not to be had.
        InvalidValue: The experiment would fail later.
        PeerError: Likewise.
        StorageError: The folder cannot be written.
    """
    experiment, published = plan.experiment, plan.published
    recipe = experiment.recipe
    experiment.rehearse(_Counting(trainer))
    key = identity.digest(
        [FORMAT, plan, trainer.source(recipe.images).fingerprint]
    )
    run = Run(workdir / "runs" / f"{plan.name}-{key[:8]}")
    run.write("config.gin", config)
    if not run.complete:
        run.write_json("env.json", environment)
    described = identity.canonical(experiment)
    how = described.pop("recipe")
    actual = {**described, **how, "data": recipe.images.name}
    run.write_json(
        "plan.json",
        {
            "name": plan.name,
            "arms": experiment.arms,
            "rounds": getattr(experiment, "rounds", None),
            "seeds": plan.seeds,
            "data": recipe.images.name,
            "fingerprint": trainer.source(recipe.images).fingerprint,
            "experiment": described,
            "recipe": how,
            "published": identity.canonical(published),
            "deviations": deviations(published.protocol, actual)
            if published
            else [],
        },
    )
    return run


class Watcher(Protocol):
    """Who is told how a chain goes."""

    def show(self, round: int | None, now: Report) -> None:
        """Is told after every call of the compiled program."""

    def say(self, text: str) -> None:
        """Is told what happens once."""


def execute(
    plan: Plan,
    trainer: Trainer,
    run: Run,
    chains: Iterable[tuple[str, int]],
    watch: Callable[[str, int], Watcher],
) -> None:
    """Runs chains, and writes what they measure and yield.

    Args:
        plan: What was asked for.
        trainer: Who does it.
        run: The plan's folder.
        chains: Those (arm, seed) of the plan that are to be run.
        watch: Gives who is told about a chain.

    Raises:
        Diverged: A training's loss was not finite; the message names the arm.
        PeerError: A peer's process ended before its training did.
        StorageError: A file could not be written.
    """
    for arm, seed in chains:
        engine = _Writing(trainer, run, arm, watch(arm, seed))
        try:
            for item in plan.experiment.chain(arm, seed, engine):
                if isinstance(item, Picture):
                    run.save_picture(item)
                else:
                    run.append([item])
        except Diverged as error:
            raise Diverged(f"arm {arm!r}: {error}") from error
        if not engine.trained:
            engine.watcher.say(f"{arm}, seed {seed}: nothing had to be trained")


@dataclass
class _Engine:
    """What engines have in common: a trainer."""

    trainer: Trainer

    def new_ticket(self, recipe: Recipe, seed: int) -> Ticket:
        return self.trainer.new_ticket(recipe, seed)

    def gradient(
        self, recipe: Recipe, ticket: Ticket, seed: int, images: int
    ) -> Arrays:
        return self.trainer.gradient(recipe, ticket, seed, images)


@dataclass
class _Writing(_Engine):
    """The engine of a chain: a trainer whose numbers are written down."""

    run: Run
    arm: str
    watcher: Watcher
    trained: bool = False

    def evaluate(
        self, recipe: Recipe, ticket: Ticket, seed: int, round: int = 0
    ) -> None:
        self._write(seed, round, self.trainer.evaluate(recipe, ticket, seed))

    def train(
        self, recipe: Recipe, ticket: Ticket, seed: int, round: int | None = 0
    ) -> Result:
        train = functools.partial(self.trainer.train, recipe, ticket, seed)
        return self._written(train, recipe, seed, round)

    def train_peer(
        self,
        recipe: Recipe,
        ticket: Ticket,
        seed: int,
        pruning: TfmotGradual,
        rates: Rates,
        round: int = 0,
    ) -> Result:
        train = functools.partial(
            self.trainer.train_peer, recipe, ticket, seed, pruning, rates
        )
        return self._written(train, recipe, seed, round)

    def _written(
        self,
        train: Callable[..., Result],
        recipe: Recipe,
        seed: int,
        round: int | None,
    ) -> Result:
        """Returns the result of `train(report, waiting)`, written down."""
        written = 0

        def report(now: Report) -> None:
            nonlocal written
            self.trained = True
            self._write(seed, round, now.rows[written:])
            written = len(now.rows)
            self.watcher.show(round, now)

        def waiting() -> None:
            self.watcher.say(f"{self.arm}: another process trains it; waiting")

        result = train(report, waiting)
        seconds = Row(recipe.steps, "train", "seconds", result.seconds)
        # The history was not reported if it was stored.
        self._write(seed, round, [*result.history, seconds])
        return result

    def _write(self, seed: int, round: int | None, rows: Iterable[Row]) -> None:
        if round is not None:
            self.run.append(Record(seed, self.arm, round, *r) for r in rows)


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
    counting = _Counting(trainer)
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
class _Counting(_Engine):
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
            lambda: peer.estimate(recipe, ticket, source, pruning, rates),
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
