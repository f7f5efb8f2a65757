"""History: what a training measures on its way, and what it gives."""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from tf_lottery.rules.tickets import Arrays
from tf_lottery.training.recipes import Recipe


class Diverged(ArithmeticError):
    """The loss of a training is no longer finite."""


def diverged(recipe: Recipe, seed: int, step: int) -> Diverged:
    """Returns the error of a training whose loss is not finite at a step."""
    return Diverged(
        "expected a finite loss, received one that is not at step "
        f"{step} of {recipe.steps}, seed {seed}"
    )


class Row(NamedTuple):
    """One number of a training's history."""

    step: int
    split: str
    metric: str
    value: float


class Result(NamedTuple):
    """What a training gives.

    Args:
        state: Every variable at the end, by path.
        history: All evaluations in order: of "train" the mean loss and
            accuracy over the steps since the last evaluation, of "validation"
            and "test" those of the whole split. The test images' are fewer if
            the recipe has `test_at_stop`.
        seconds: What it took; the only part that is not reproducible.
    """

    state: Arrays
    history: tuple[Row, ...]
    seconds: float


class Checkpoint(Protocol):
    """Where a training keeps its place."""

    def load(self) -> tuple[Arrays, dict[str, Any]] | None:
        """Returns what was saved last, if anything."""

    def due(self) -> bool:
        """Returns whether it is time to save again."""

    def save(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        """Saves arrays and numbers, replacing what was saved before."""


class Report(NamedTuple):
    """How a training stands.

    Args:
        step: Steps done.
        steps: Steps in all.
        loss: Mean over the steps of the last call.
        accuracy: Likewise.
        rows: Of the history, so far.
    """

    step: int
    steps: int
    loss: float
    accuracy: float
    rows: list[Row]


@dataclass
class Place:
    """Where a training is: what a checkpoint holds beside the variables."""

    step: int = 0
    loss: float = math.nan  # means over the last call
    accuracy: float = math.nan
    period_steps: int = 0  # since the last evaluation
    period_loss: float = 0.0  # sums over those steps
    period_accuracy: float = 0.0
    seconds: float = 0.0
    rows: list[Row] = field(default_factory=list)

    @classmethod
    def from_meta(cls, meta: dict[str, Any]) -> "Place":
        """Returns the place that a checkpoint holds."""
        return cls(**{**meta, "rows": [Row(*row) for row in meta["rows"]]})

    def report(self, total: int) -> Report:
        """Returns how a training of `total` steps stands here."""
        return Report(self.step, total, self.loss, self.accuracy, self.rows)

    def advance(self, count: int, loss: float, accuracy: float) -> None:
        """Moves on by `count` steps, given sums over them."""
        self.step += count
        self.loss, self.accuracy = loss / count, accuracy / count
        self.period_steps += count
        self.period_loss += loss
        self.period_accuracy += accuracy

    def may_stop(self) -> bool:
        """Returns whether the last validation loss is the lowest so far."""
        *before, last = [
            row.value
            for row in self.rows
            if (row.split, row.metric) == ("validation", "loss")
        ]
        return last < min(before, default=math.inf)

    def log_period(self) -> None:
        """Notes the means over the steps since the last evaluation."""
        n = self.period_steps
        if n:
            self.log("train", self.period_loss / n, self.period_accuracy / n)
        self.period_steps, self.period_loss, self.period_accuracy = 0, 0.0, 0.0

    def log(self, split: str, loss: float, accuracy: float) -> None:
        """Notes what an evaluation of a split gave."""
        self.rows.append(Row(self.step, split, "loss", loss))
        self.rows.append(Row(self.step, split, "accuracy", accuracy))
