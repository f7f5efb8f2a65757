"""Execution: a plan is carried out, or only counted.

`execute` runs chains one after the other in this process, and `tf_lottery.
workers` in several. Every number goes to the run's folder as it is measured,
and to whoever watches.
"""

import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from tf_lottery.experiments.plan import Measurements, Plan
from tf_lottery.experiments.running.counting import Counting, EngineOfTrainer
from tf_lottery.foundation import identity
from tf_lottery.foundation.chain_files import ChainFiles
from tf_lottery.foundation.deviations import deviations
from tf_lottery.foundation.records import Record, Snapshot
from tf_lottery.foundation.run_folder import RunFolder
from tf_lottery.training.history import (
    Diverged,
    Measurement,
    Result,
    Status,
)
from tf_lottery.training.request import FORMAT, Training
from tf_lottery.training.trainer import Trainer


@contextmanager
def start(
    plan: Plan,
    trainer: Trainer,
    config: str,
    environment: Mapping[str, Any],
    workdir: pathlib.Path,
    waiting: Callable[[pathlib.Path], None] = lambda _: None,
) -> Iterator[RunFolder]:
    """Holds the plan's folder, with all that is known before it runs.

    Args:
        plan: What was asked for.
        trainer: Who will do it.
        config: The gin configuration that asks for it.
        environment: What it runs on; kept as it was when the run is complete.
        workdir: Where the folder `runs` is, or is made.
        waiting: Called once, with the folder, if another command holds it.

    Raises:
        DataError: The examples are not to be had.
        InvalidValue: The experiment would fail later.
        PeerError: A peer is not there.
        StorageError: The folder cannot be written.
    """
    experiment, published = plan.experiment, plan.published
    recipe = experiment.recipe
    experiment.rehearse(Counting(trainer))
    fingerprint = trainer.source(recipe.task).fingerprint
    key = identity.digest([FORMAT, plan, fingerprint])
    run = RunFolder(workdir / "runs" / f"{plan.name}-{key[:8]}")
    with run.held(lambda: waiting(run.folder)):
        run.write("config.gin", config)
        if not (run.complete and (run.folder / "env.json").exists()):
            run.write_json("env.json", environment)
        described = identity.canonical(experiment)
        how = described.pop("recipe")
        actual = {**described, **how, "data": recipe.task.name}
        run.write_json(
            "plan.json",
            {
                "name": plan.name,
                "kind": experiment.kind,
                "arms": experiment.arms,
                "rounds": getattr(experiment, "rounds", None),
                "seeds": plan.seeds,
                "data": recipe.task.name,
                "fingerprint": fingerprint,
                "experiment": described,
                "recipe": how,
                "published": identity.canonical(published),
                "deviations": deviations(published.protocol, actual)
                if published
                else [],
            },
        )
        yield run


class Watcher(Protocol):
    """Who is told how a chain goes."""

    def show(self, round: int | None, now: Status) -> None:
        """Is told after every call of the compiled program."""

    def say(self, text: str) -> None:
        """Is told what happens once."""


def execute(
    plan: Plan,
    trainer: Trainer,
    run: RunFolder,
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
        with run.chain(arm, seed) as files:
            engine = _Writing(trainer, files, arm, watch(arm, seed))
            try:
                for item in plan.experiment.chain(arm, seed, engine):
                    if isinstance(item, Snapshot):
                        files.save(item)
                    else:
                        files.append([item])
            except Diverged as error:
                named = Diverged(f"arm {arm!r}: {error}")
                files.note(str(named))
                raise named from error
        if not engine.trained:
            engine.watcher.say(f"{arm}, seed {seed}: nothing had to be trained")


@dataclass
class _Writing(EngineOfTrainer):
    """The engine of a chain: a trainer whose numbers are written down."""

    files: ChainFiles
    arm: str
    watcher: Watcher
    trained: bool = False

    def evaluate(
        self, training: Training, round: int | None = 0, statistics: int = 0
    ) -> Measurements:
        rows = self.trainer.evaluate(training, statistics)
        self._write(training.seed, round, rows)
        return rows

    def train(self, training: Training, round: int | None = 0) -> Result:
        seed, written = training.seed, 0

        def report(now: Status) -> None:
            nonlocal written
            self.trained = True
            self._write(seed, round, now.rows[written:])
            written = len(now.rows)
            self.watcher.show(round, now)

        def waiting() -> None:
            self.watcher.say(f"{self.arm}: another process trains it; waiting")

        result = self.trainer.train(training, report, waiting)
        steps = training.recipe.steps
        seconds = Measurement(steps, "train", "seconds", result.seconds)
        # The history was not reported if it was stored.
        self._write(seed, round, [*result.history, seconds])
        return result

    def _write(
        self, seed: int, round: int | None, rows: Iterable[Measurement]
    ) -> None:
        if round is not None:
            self.files.append(Record(seed, self.arm, round, *r) for r in rows)
