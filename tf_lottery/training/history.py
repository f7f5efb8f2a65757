"""History: what a training measures on its way, and what it gives."""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tf_lottery.rules.tickets import Arrays
from tf_lottery.training.recipes import Recipe
from tf_lottery.workloads.task import Task


class Diverged(ArithmeticError):
    """The loss of a training is no longer finite."""


def diverged(recipe: Recipe, seed: int, step: int) -> Diverged:
    """Returns the error of a training whose loss is not finite at a step."""
    return Diverged(
        "expected a finite loss, received one that is not at step "
        f"{step} of {recipe.steps}, seed {seed}"
    )


class Measurement(NamedTuple):
    """One number of a training's history.

    Args:
        step: Training steps done when it was measured.
        where: The split it was measured on; of a peer's weights remaining,
            the path of a kernel, or "all".
        metric: What was measured, "loss" for example.
        value: The number.
    """

    step: int
    where: str
    metric: str
    value: float


class Result(NamedTuple):
    """What a training gives.

    Args:
        state: Every variable at the end, by path.
        history: All evaluations in order: of "train" the mean of each metric
            over the steps since the last evaluation, of "validation" and
            "test" the metrics of the whole split. Those of "test" are fewer if
            the recipe has `test_at_stop`.
        seconds: What it took; the only part that is not reproducible.
    """

    state: Arrays
    history: tuple[Measurement, ...]
    seconds: float


class Status(NamedTuple):
    """How a training stands.

    Args:
        step: Steps done.
        steps: Steps in all.
        means: Of each metric over the steps of the last call, by name. None
            before the first step.
        rows: The history so far.
    """

    step: int
    steps: int
    means: dict[str, float]
    rows: list[Measurement]


@dataclass
class Position:
    """Where a training is: what a checkpoint holds beside the variables.

    Args:
        step: Steps done.
        means: Of the loss and of the score over the last call.
        period_steps: Steps since the last evaluation.
        period_loss: Sum of the losses of those steps, without `sums`.
        period_score: Sum of the mean scores of those steps, likewise.
        sums: Of the losses and of the scores of all examples, of the steps
            since the last whole `steps.STEPS_PER_CALL` of the period.
        seconds: Spent so far, in this process and in others before.
        rows: The history so far.
    """

    step: int = 0
    means: tuple[float, float] | None = None
    period_steps: int = 0
    period_loss: float = 0.0
    period_score: float = 0.0
    sums: tuple[float, float] = (0.0, 0.0)
    seconds: float = 0.0
    rows: list[Measurement] = field(default_factory=list)

    @classmethod
    def from_meta(cls, meta: dict[str, Any]) -> "Position":
        """Returns the position that a checkpoint holds."""
        rows = [Measurement(*row) for row in meta["rows"]]
        return cls(**{**meta, "rows": rows})

    def status(self, recipe: Recipe) -> Status:
        """Returns how a training by the recipe stands here."""
        means = recipe.task.metrics(*self.means) if self.means else {}
        return Status(self.step, recipe.steps, means, self.rows)

    def advance(
        self, count: int, sums: tuple[float, float], batch_size: int
    ) -> None:
        """Moves on by `count` steps, given what `sums` has become."""
        loss, score = (
            (b - a) / count for a, b in zip(self.sums, sums, strict=True)
        )
        self.means = loss, score / batch_size
        self.step += count
        self.period_steps += count
        self.sums = sums

    def fold(self, batch_size: int) -> None:
        """Adds `sums` to those of the period, and starts them again."""
        loss, score = self.sums
        self.period_loss += loss
        self.period_score += score / batch_size
        self.sums = (0.0, 0.0)

    def may_stop(self) -> bool:
        """Returns whether the last validation loss is the lowest so far."""
        *before, last = [
            row.value
            for row in self.rows
            if (row.where, row.metric) == ("validation", "loss")
        ]
        return last < min(before, default=math.inf)

    def log_period(self, task: Task) -> None:
        """Notes the means over the steps since the last evaluation."""
        n = self.period_steps
        if n:
            self.log(task, "train", self.period_loss / n, self.period_score / n)
        self.period_steps, self.period_loss, self.period_score = 0, 0.0, 0.0

    def log(self, task: Task, split: str, loss: float, score: float) -> None:
        """Notes what an evaluation of a split gave.

        Args:
            task: What is learned, which names the metrics.
            split: The evaluated split, "validation" for example.
            loss: Mean over the split.
            score: Mean over the split.
        """
        for metric, value in task.metrics(loss, score).items():
            self.rows.append(Measurement(self.step, split, metric, value))
