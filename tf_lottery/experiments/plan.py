"""The plan: what one command asks for, as a gin file spells it out."""

import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from tf_lottery.experiments.published import Published
from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.foundation.records import Record, Snapshot
from tf_lottery.rules.tickets import Arrays, Ticket
from tf_lottery.training.history import Measurement, Result
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.request import Training

LONGEST_NAME = 200
"""Bytes of a plan's name, where the name of a folder may have 255."""

LONGEST_ARM = 180
"""Characters of an arm's name, where others than ASCII count as up to 12."""


Measurements = tuple[Measurement, ...]


class Engine(Protocol):
    """What a chain may ask for; see `tf_lottery.training.trainer`.

    What is trained is written down as it is measured, under the chain's arm
    and seed.
    """

    def new_ticket(self, recipe: Recipe, seed: int) -> Ticket:
        """Returns what a dense training starts from."""

    def train(self, training: Training, round: int | None = 0) -> Result:
        """Returns the result of a training, ours or a peer's.

        Args:
            training: What to train.
            round: Under which its numbers are written down; None does not
                write them down.
        """

    def evaluate(
        self, training: Training, round: int | None = 0, statistics: int = 0
    ) -> Measurements:
        """Returns how good a ticket is that nobody trains.

        Args:
            training: With the ticket, and the recipe that says on what.
            round: Under which its numbers are written down; None does not
                write them down.
            statistics: On so many training examples, the moving statistics of
                normalisation are measured anew before; 0 takes the ticket's.
        """

    def gradient(self, training: Training, examples: int) -> Arrays:
        """Returns the gradient of a ticket's loss, by kernel path.

        Args:
            training: With the ticket.
            examples: How many training examples the loss is of.
        """


class Experiment(Protocol):
    """A figure or a table: arms, and a chain of trainings for each."""

    @property
    def kind(self) -> str:
        """What a report shows of it: a key of `report.kinds.KINDS`."""

    @property
    def recipe(self) -> Recipe:
        """How it trains, as far as all arms have it in common."""

    @property
    def arms(self) -> tuple[str, ...]:
        """The lines of the figure, by their names in its legend."""

    def rehearse(self, engine: Engine) -> None:
        """Tries what can be tried in seconds, before anything is trained.

        Args:
            engine: One that trains nothing.

        Raises:
            InvalidValue: It would fail later.
        """

    def chain(
        self, arm: str, seed: int, engine: Engine
    ) -> Iterator[Record | Snapshot]:
        """Yields what one arm gives for one seed.

        Chains are independent of each other; the trainings within one may
        start from what the one before gave. What the engine measures is
        written down by itself; a chain yields what comes on top.
        """


@dataclass(frozen=True)
class Plan:
    """An experiment and how often it is repeated.

    Args:
        name: Of the run's folder, `runs/<name>-<hash>`: letters, digits,
            "-" and "_".
        experiment: What to do.
        seeds: How many replicates; their seeds are 0, 1, ...
        published: What the paper printed, if it printed numbers.

    Raises:
        InvalidValue: A field is of the wrong type.
    """

    name: str
    experiment: Experiment
    seeds: int
    published: Published | None = None

    def __post_init__(self) -> None:
        checks.text("Plan.name", self.name)
        if not re.fullmatch(r"[\w-]+", self.name):
            raise InvalidValue(
                "expected Plan.name to be of letters, digits, - and _, "
                f"received {self.name!r}"
            )
        if len(self.name.encode()) > LONGEST_NAME:
            raise InvalidValue(
                f"expected Plan.name to have at most {LONGEST_NAME} bytes, as "
                f"names of folders do, received {len(self.name.encode())}"
            )
        checks.positive_int("SEEDS", self.seeds, most=1_000_000)
        if self.published is not None:
            checks.kind("Plan.published", self.published, Published)
        if not hasattr(self.experiment, "chain") or isinstance(
            self.experiment, type
        ):
            raise InvalidValue(
                "expected Plan.experiment to be an experiment such as "
                f"@supermask.Supermask(), received {self.experiment!r}"
            )
        arms = list(self.experiment.arms)
        for arm in arms:
            checks.text("each of ARMS", arm)
            # It is a part of the names of files, which have 255 bytes.
            if len(urllib.parse.quote(arm, safe=" ")) > LONGEST_ARM:
                raise InvalidValue(
                    f"expected the names of ARMS to have at most {LONGEST_ARM} "
                    f"characters, received {len(arm)} ({arm[:20]!r}...)"
                )
            if arms.count(arm) > 1:
                raise InvalidValue(
                    f"expected ARMS to name each arm once, received {arm!r} "
                    f"{arms.count(arm)} times"
                )

    def chains(self) -> Iterator[tuple[str, int]]:
        """Yields the (arm, seed) of every chain."""
        for seed in range(self.seeds):
            for arm in self.experiment.arms:
                yield arm, seed
