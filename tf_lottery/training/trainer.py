"""The trainer: `train` with a memory.

Experiments ask a trainer for trainings. It looks a training up in the store by
its key and runs it only if it is not there, going on from a checkpoint if one
was left.
"""

import functools
import json
import pathlib
import reprlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from tf_lottery.foundation import identity, stopping
from tf_lottery.foundation.array_files import Entry
from tf_lottery.foundation.store import Checkpoint, Store
from tf_lottery.rules.tickets import Arrays, Ticket
from tf_lottery.training import devices
from tf_lottery.training.history import Measurement, Result, Status
from tf_lottery.training.peers import tfmot
from tf_lottery.training.profiling import Profile
from tf_lottery.training.programs import Programs, check_batch_size
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.request import Training
from tf_lottery.training.train import train
from tf_lottery.workloads.examples import Resident, Streamed
from tf_lottery.workloads.task import Task

PROGRAMS_KEPT = 2
"""Compiled recipes that are kept for the next ticket; each holds a network."""


@dataclass
class Trainer:
    """Runs trainings, or finds them in the store.

    Args:
        store: Where results and checkpoints go.
        strategy: On which devices to train.
        data_dir: Where data sets are, for tasks that read some.
        cache: A folder for what takes tasks long to read.
        profile: Watches the trainings that are run, if any.
    """

    store: Store
    strategy: tf.distribute.Strategy
    data_dir: str | None = None
    cache: pathlib.Path | None = None
    profile: Profile | None = None
    _sources: dict[str, Resident | Streamed] = field(default_factory=dict)
    _programs: dict[str, Programs] = field(default_factory=dict)

    def source(self, task: Task) -> Resident | Streamed:
        """Returns the examples of a task, opened at the first call.

        Raises:
            DataError: They are not to be had.
        """
        key = identity.digest(task)
        if key not in self._sources:
            self._sources[key] = task.open(
                self.strategy, self.data_dir, self.cache
            )
        return self._sources[key]

    def new_ticket(self, recipe: Recipe, seed: int) -> Ticket:
        """Returns the recipe's network as the seed initialises it.

        Raises:
            InvalidValue: The batch size does not suit examples or replicas.
        """
        source = self.source(recipe.task)
        check_batch_size(recipe, source, self.strategy)
        return recipe.initial_ticket(source.shapes, seed)

    def key(self, training: Training) -> str:
        """Returns the hash of all that decides a training's result.

        Raises:
            PeerError: The training is a peer's, which is not installed.
        """
        return training.key(self.source(training.recipe.task).fingerprint)

    def find(self, training: Training) -> Result | None:
        """Returns a training's result if it is in the store."""
        fault = functools.partial(_fault, training)
        entry = self.store.find(self.key(training), fault)
        return _result(entry, training) if entry else None

    def train(
        self,
        training: Training,
        report: Callable[[Status], None] | None = None,
        waiting: Callable[[], None] = lambda: None,
    ) -> Result:
        """Returns a training's result, from the store if it is there.

        A peer's training has no checkpoints: one that is interrupted begins
        again.

        Args:
            training: What to train.
            report: Told how it goes.
            waiting: Called if another process runs this training already.

        Raises:
            Diverged: The loss is not finite.
            PeerError: A peer is not there, or did not do its training.
            Stopped: A signal came, and a checkpoint was saved.
            StorageError: The result could not be written. Checkpoints stay.
        """
        stopping.check()
        source = self.source(training.recipe.task)

        def make(checkpoint: Checkpoint) -> Entry:
            if training.peer:
                return self._entry(
                    training, tfmot.train(training, source, report)
                )
            checkpoint.computed = devices.decisive(self._computed(training))
            watched = self.profile.watching(report) if self.profile else report
            result = train(
                training,
                source,
                strategy=self.strategy,
                programs=self._compiled(training),
                checkpoint=checkpoint,
                report=watched,
            )
            return self._entry(training, result)

        fault = functools.partial(_fault, training)
        entry = self.store.get(self.key(training), make, waiting, fault)
        return _result(entry, training)

    def evaluate(
        self, training: Training, statistics: int = 0
    ) -> tuple[Measurement, ...]:
        """Returns the metrics of a ticket as it is, not trained or stored.

        Args:
            training: With the ticket.
            statistics: On how many training examples the moving statistics of
                normalisation are measured anew; 0 takes the ticket's.
        """
        programs = self._compiled(training)
        return programs.evaluate(training.ticket, training.seed, statistics)

    def gradient(
        self, training: Training, examples: int
    ) -> dict[str, np.ndarray]:
        """Returns the gradient of a ticket's loss by kernel path, not stored.

        Args:
            training: With the ticket.
            examples: How many training examples the loss is of.
        """
        programs = self._compiled(training)
        return programs.gradient(training.ticket, training.seed, examples)

    def _compiled(self, training: Training) -> Programs:
        recipe, seed = training.recipe, training.seed
        key = identity.digest(recipe)
        programs = self._programs.get(key)
        if programs and programs.seed_is_fixed and programs.seed != seed:
            del self._programs[key]
        if key not in self._programs:
            while len(self._programs) >= PROGRAMS_KEPT:
                del self._programs[next(iter(self._programs))]
            self._programs[key] = Programs(
                recipe, self.source(recipe.task), self.strategy, seed
            )
        return self._programs[key]

    def _entry(self, training: Training, result: Result) -> Entry:
        return _changed(result.state, training.arrays), {
            "recipe": identity.canonical(training.recipe),
            "seed": training.seed,
            "history": result.history,
            "seconds": result.seconds,
            "computed": self._computed(training),
        }

    def _computed(self, training: Training) -> dict[str, Any]:
        # A peer's process computes by itself.
        jit = not training.peer and self._compiled(training).jit
        return devices.what_bits_depend_on(self.strategy, jit)


def _changed(state: Arrays, before: Arrays) -> dict[str, np.ndarray]:
    """Returns what a training changed: masks, say, are the ticket's."""
    return {
        path: array
        for path, array in state.items()
        if not np.array_equal(array, before[path])
    }


def _fault(training: Training, entry: Entry) -> str | None:
    """Returns what is wrong with a record as that of a training, if anything.

    The hash says that nothing is, unless a version of this package that meant
    something else by the same recipe wrote it, or one whose records did not
    hold their key.
    """
    arrays, meta = entry
    own = json.loads(json.dumps(identity.canonical(training.recipe)))
    known = {p: (a.shape, a.dtype.str) for p, a in training.arrays.items()}
    pairs = [
        ("seed", training.seed, meta.get("seed")),
        *_different("recipe", own, meta.get("recipe")),
        *(
            (path, known.get(path), (array.shape, array.dtype.str))
            for path, array in arrays.items()
        ),
    ]
    for what, expected, received in pairs:
        if expected != received:
            return (
                f"expected {what} {reprlib.repr(expected)}, received "
                f"{reprlib.repr(received)}"
            )
    return None


def _different(
    name: str, one: Any, other: Any
) -> Iterator[tuple[str, Any, Any]]:
    """Yields the values within two JSON values that differ, and their names."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            yield from _different(key, one.get(key), other.get(key))
    elif one != other:
        yield name, one, other


def _result(entry: Entry, training: Training) -> Result:
    arrays, meta = entry
    history = tuple(Measurement(*row) for row in meta["history"])
    return Result({**training.arrays, **arrays}, history, meta["seconds"])
