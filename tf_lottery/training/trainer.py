"""The trainer: `train` with a memory.

Experiments ask a trainer for trainings. It looks the training up in the store
by the hash of (recipe, ticket, seed, data) and runs it only if it is not
there, going on from a checkpoint if one was left.
"""

import json
import pathlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from tf_lottery.foundation import identity
from tf_lottery.foundation.files import StorageError
from tf_lottery.foundation.store import Checkpoint, Record, Store
from tf_lottery.rules.pruning import Rates
from tf_lottery.rules.tickets import Arrays, Ticket
from tf_lottery.training.history import Report, Result, Row
from tf_lottery.training.peers import tfmot
from tf_lottery.training.peers.tfmot_schedule import TfmotGradual
from tf_lottery.training.profiling import Profile
from tf_lottery.training.programs import Programs
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.train import train
from tf_lottery.workloads.images.batches import Resident, Streamed, open_source
from tf_lottery.workloads.images.image_sets import Images

FORMAT = 3
"""Part of every hash; raised when the same recipe comes to mean something
else, so that results from before are not taken for it."""

PROGRAMS_KEPT = 2
"""Compiled recipes that are kept for the next ticket; each holds a network."""


@dataclass
class Trainer:
    """Runs trainings, or finds them in the store.

    Args:
        store: Where results and checkpoints go.
        strategy: On which devices to train.
        data_dir: As for `images.load`.
        cache: Likewise.
        profile: Watches the trainings that are run, if any.
    """

    store: Store
    strategy: tf.distribute.Strategy
    data_dir: str | None = None
    cache: pathlib.Path | None = None
    profile: Profile | None = None
    _sources: dict[Images, Resident | Streamed] = field(default_factory=dict)
    _programs: dict[str, Programs] = field(default_factory=dict)

    def source(self, images: Images) -> Resident | Streamed:
        """Returns the images, opened at the first call."""
        if images not in self._sources:
            self._sources[images] = open_source(
                images, self.strategy, self.data_dir, self.cache
            )
        return self._sources[images]

    def new_ticket(self, recipe: Recipe, seed: int) -> Ticket:
        """Returns the recipe's network as the seed initialises it."""
        source = self.source(recipe.images)
        return recipe.initial_ticket(source.image_shape, source.classes, seed)

    def key(self, recipe: Recipe, ticket: Ticket, seed: int) -> str:
        """Returns the hash of all that decides a training's result."""
        return identity.digest(self._inputs(recipe, ticket, seed))

    def peer_key(
        self,
        recipe: Recipe,
        ticket: Ticket,
        seed: int,
        pruning: TfmotGradual,
        rates: Rates,
    ) -> str:
        """Returns the hash of all that decides a peer's training.

        Raises:
            PeerError: As for `tfmot.version`.
        """
        return identity.digest(
            {
                **self._inputs(recipe, ticket, seed),
                "peer": [tfmot.NAME, tfmot.version(), tfmot.FORMAT],
                "pruning": pruning,
                "rates": rates,
            }
        )

    def _inputs(
        self, recipe: Recipe, ticket: Ticket, seed: int
    ) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "recipe": recipe,
            "ticket": ticket.arrays(),
            "seed": seed,
            "data": self.source(recipe.images).fingerprint,
        }

    def find(self, key: str, recipe: Recipe, ticket: Ticket) -> Result | None:
        """Returns the training of a key if it is in the store."""
        record = self.store.find(key)
        return _result(key, record, recipe, ticket) if record else None

    def train(
        self,
        recipe: Recipe,
        ticket: Ticket,
        seed: int,
        report: Callable[[Report], None] | None = None,
        waiting: Callable[[], None] = lambda: None,
    ) -> Result:
        """Returns the training's result, from the store if it is there.

        Args:
            recipe: As for `train`.
            ticket: Likewise.
            seed: Likewise.
            report: Likewise.
            waiting: Called if another process runs this training already.

        Raises:
            Diverged: As for `train`.
            StorageError: As for `Store.get`.
        """

        def make(checkpoint: Checkpoint) -> Record:
            result = train(
                recipe,
                ticket,
                seed,
                self.source(recipe.images),
                strategy=self.strategy,
                programs=self._compiled(recipe, seed),
                checkpoint=checkpoint,
                report=(
                    self.profile.watching(report) if self.profile else report
                ),
            )
            return _record(result, recipe, ticket, seed)

        key = self.key(recipe, ticket, seed)
        record = self.store.get(key, make, waiting)
        return _result(key, record, recipe, ticket)

    def train_peer(
        self,
        recipe: Recipe,
        ticket: Ticket,
        seed: int,
        pruning: TfmotGradual,
        rates: Rates,
        report: Callable[[Report], None] | None = None,
        waiting: Callable[[], None] = lambda: None,
    ) -> Result:
        """Returns the result of a peer's training, likewise.

        It has no checkpoints: one that is interrupted begins again.

        Args:
            recipe: As for `tfmot.train`.
            ticket: Likewise.
            seed: Likewise.
            pruning: Likewise.
            rates: Likewise.
            report: Likewise.
            waiting: As for `train`.

        Raises:
            Diverged: As for `tfmot.train`.
            PeerError: Likewise.
            StorageError: As for `Store.get`.
        """

        def make(_: Checkpoint) -> Record:
            source = self.source(recipe.images)
            result = tfmot.train(
                recipe, ticket, seed, source, pruning, rates, report
            )
            return _record(result, recipe, ticket, seed)

        key = self.peer_key(recipe, ticket, seed, pruning, rates)
        record = self.store.get(key, make, waiting)
        return _result(key, record, recipe, ticket)

    def evaluate(
        self, recipe: Recipe, ticket: Ticket, seed: int
    ) -> tuple[Row, ...]:
        """Returns loss and accuracy of a ticket as it is, not stored."""
        return self._compiled(recipe, seed).evaluate(ticket)

    def gradient(
        self, recipe: Recipe, ticket: Ticket, seed: int, images: int
    ) -> dict[str, np.ndarray]:
        """Returns `Programs.gradient`, not stored."""
        return self._compiled(recipe, seed).gradient(ticket, images)

    def _compiled(self, recipe: Recipe, seed: int) -> Programs:
        key = identity.digest([recipe, seed])
        if key not in self._programs:
            while len(self._programs) >= PROGRAMS_KEPT:
                del self._programs[next(iter(self._programs))]
            self._programs[key] = Programs(
                recipe, self.source(recipe.images), self.strategy, seed
            )
        return self._programs[key]


def _record(
    result: Result, recipe: Recipe, ticket: Ticket, seed: int
) -> Record:
    return _changed(result.state, ticket.arrays()), {
        "recipe": identity.canonical(recipe),
        "seed": seed,
        "history": result.history,
        "seconds": result.seconds,
    }


def _changed(state: Arrays, before: Arrays) -> dict[str, np.ndarray]:
    """Returns what a training changed: masks, say, are the ticket's."""
    return {
        path: array
        for path, array in state.items()
        if not np.array_equal(array, before[path])
    }


def _result(key: str, record: Record, recipe: Recipe, ticket: Ticket) -> Result:
    """Returns a result of the store, after a look at whether it is ours.

    The hash says that it is, unless a version of this package that meant
    something else by the same recipe wrote it.
    """
    arrays, meta = record
    start = ticket.arrays()
    known = {path: array.shape for path, array in start.items()}
    stored = {path: array.shape for path, array in arrays.items()}
    own = json.loads(json.dumps(identity.canonical(recipe)))
    for what, expected, received, fits in (
        ("recipe", own, meta["recipe"], own == meta["recipe"]),
        ("variables", known, stored, stored.items() <= known.items()),
    ):
        if not fits:
            raise StorageError(
                f"expected the {what} {expected} in store/{key}, received "
                f"{received}: another version of tf_lottery wrote it. Choose "
                "another folder with --workdir, or remove that one to train "
                "it again"
            )
    history = tuple(Row(*row) for row in meta["history"])
    return Result({**start, **arrays}, history, meta["seconds"])
