"""The trainer: `train` with a memory.

Experiments ask a trainer for trainings. It looks the training up in the store
by the hash of (recipe, ticket, seed, data) and runs it only if it is not
there, going on from a checkpoint if one was left.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import tensorflow as tf

from tf_lottery import identity, training
from tf_lottery.data.batches import Resident, Streamed, open_source
from tf_lottery.data.images import Images
from tf_lottery.recipes import Recipe
from tf_lottery.store import Checkpoint, Record, Store
from tf_lottery.tickets import Ticket

FORMAT = 1
"""Part of every hash; raised when the same recipe comes to mean something
else, so that results from before are not taken for it."""


class NotStored(Exception):
    """A training is not in the store, and none may be run."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__("the training is not in the store")
        self.recipe = recipe


@dataclass
class Trainer:
    """Runs trainings, or finds them in the store.

    Args:
        store: Where results and checkpoints go.
        strategy: On which devices to train.
        data_dir: As for `images.load`.
        dry: Raise `NotStored` instead of training.
    """

    store: Store
    strategy: tf.distribute.Strategy
    data_dir: str | None = None
    dry: bool = False
    _sources: dict[Images, Resident | Streamed] = field(default_factory=dict)

    def source(self, images: Images) -> Resident | Streamed:
        """Returns the images, opened at the first call."""
        if images not in self._sources:
            self._sources[images] = open_source(
                images, self.strategy, self.data_dir
            )
        return self._sources[images]

    def initial_ticket(self, recipe: Recipe, seed: int) -> Ticket:
        """Returns the recipe's network as the seed initialises it."""
        source = self.source(recipe.images)
        return recipe.initial_ticket(source.image_shape, source.classes, seed)

    def train(
        self,
        recipe: Recipe,
        ticket: Ticket,
        seed: int,
        report: Callable[[training.Report], None] | None = None,
        waiting: Callable[[], None] = lambda: None,
    ) -> training.Result:
        """Returns the training's result, from the store if it is there.

        Args:
            recipe: As for `training.train`.
            ticket: Likewise.
            seed: Likewise.
            report: Likewise.
            waiting: Called if another process runs this training already.

        Raises:
            NotStored: `dry` is set and the training is not there.
            Diverged: As for `training.train`.
            StorageError: As for `Store.get`.
        """
        source = self.source(recipe.images)
        key = identity.digest(
            {
                "format": FORMAT,
                "recipe": recipe,
                "ticket": ticket.arrays(),
                "seed": seed,
                "data": source.fingerprint,
            }
        )
        if self.dry:
            record = self.store.find(key)
            if record is None:
                raise NotStored(recipe)
            return _result(record)

        def make(checkpoint: Checkpoint) -> Record:
            result = training.train(
                recipe,
                ticket,
                seed,
                source,
                strategy=self.strategy,
                checkpoint=checkpoint,
                report=report,
            )
            return dict(result.state), {
                "recipe": identity.canonical(recipe),
                "seed": seed,
                "history": result.history,
                "seconds": result.seconds,
            }

        return _result(self.store.get(key, make, waiting))


def _result(record: Record) -> training.Result:
    arrays, meta = record
    history = tuple(training.Row(*row) for row in meta["history"])
    return training.Result(arrays, history, meta["seconds"])
