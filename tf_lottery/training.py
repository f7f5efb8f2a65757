"""Training: a pure function of (recipe, ticket, seed).

`train` compiles two programs, one of many training steps and one that
evaluates a split, and calls them in turn from Python:

    until the last step:
        evaluate validation and test                   (one XLA program)
        train for `eval_every` steps, at most 500 of them a call
                                                       (the other)

Test images are left out where nobody asked for them (`test_at_stop`).

Images live on the device and a batch is a row of indices, so nothing but
those travels between calls. Which images a step sees and which masks it draws
are functions of (seed, step), so a training that was interrupted goes on from
its last checkpoint and ends with the same bits.

Under a strategy with several replicas, each step runs on all of them with a
part of the batch each, and the loss is averaged over the whole batch: one
device and several give the same weights up to rounding.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Protocol

import keras
import numpy as np
import tensorflow as tf

from tf_lottery import steps
from tf_lottery.checks import InvalidValue
from tf_lottery.data.batches import Resident, Streamed
from tf_lottery.evaluation import (
    Evaluate,
    classification_losses,
    evaluator,
)
from tf_lottery.recipes import Recipe
from tf_lottery.tickets import Arrays, Ticket
from tf_lottery.variables import (
    as_ticket,
    extras,
    load_state,
    masked_layers,
    read_state,
)


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


class Programs:
    """A network, its optimizer, and the programs that train and evaluate it.

    Compiling takes seconds, and one compilation serves every ticket of a
    recipe and seed.

    Args:
        recipe: What to compile.
        source: The recipe's images, opened for the same strategy.
        strategy: On which devices; None is TensorFlow's default device.
        seed: Of the order of images and of random masks.

    Raises:
        InvalidValue: The batch size does not suit the images or the replicas.
    """

    def __init__(
        self,
        recipe: Recipe,
        source: Resident | Streamed,
        strategy: tf.distribute.Strategy | None,
        seed: int,
    ) -> None:
        strategy = strategy or tf.distribute.get_strategy()
        check_batch_size(recipe, source, strategy)
        with strategy.scope():
            self.model = recipe.new_model(
                source.image_shape, source.classes, seed
            )
            self.optimizer = recipe.new_optimizer()
            self.optimizer.build(self.model.trainable_variables)
        self._source, self._seed = source, seed
        self.extras = extras(self.model, self.optimizer)
        self._first = [keras.ops.convert_to_numpy(v) for v in self.extras]
        jit = steps.compiles_well(self.model, strategy)
        self.run: steps.Run = steps.runner(
            recipe, self.model, self.optimizer, source, strategy, jit, seed
        )
        self.measure: Evaluate = evaluator(
            self.model, source, strategy, jit, recipe.mask_samples
        )

    def load(self, ticket: Ticket) -> None:
        """Puts everything where a training of the ticket starts.

        Raises:
            ValueError: The ticket does not fit the model.
        """
        load_state(self.model, ticket.arrays())
        for variable, value in zip(self.extras, self._first, strict=True):
            variable.assign(value)

    def gradient(self, ticket: Ticket, images: int) -> dict[str, np.ndarray]:
        """Returns the gradient of the ticket's loss, by kernel path.

        Args:
            ticket: At whose weights.
            images: How many of the training images: the first ones of the
                seed's order.

        Raises:
            InvalidValue: The images are streamed, or too few.
            ValueError: As for `load`.
        """
        if not isinstance(self._source, Resident):
            raise InvalidValue(
                "expected images in memory for a gradient, received streamed "
                "ones (Images.stream)"
            )
        if images > self._source.sizes["train"]:
            raise InvalidValue(
                f"expected at least {images} training images for a gradient "
                "(Lottery.gradient_images), received "
                f"{self._source.sizes['train']}"
            )
        self.load(ticket)
        kernels = [layer.raw_kernel for layer in masked_layers(self.model)]
        [rows] = self._source.rows(self._seed, images, 0, 1)
        batch, labels = self._source.take(tf.constant(rows))
        with tf.GradientTape() as tape:
            logits = self.model(batch, training=True)
            loss = tf.reduce_mean(classification_losses(labels, logits))
        gradients = tape.gradient(loss, [k.value for k in kernels])
        return {
            kernel.path: keras.ops.convert_to_numpy(gradient)
            for kernel, gradient in zip(kernels, gradients, strict=True)
        }

    def evaluate(self, ticket: Ticket) -> tuple[Row, ...]:
        """Returns loss and accuracy of a ticket that is not trained.

        Raises:
            ValueError: As for `load`.
        """
        self.load(ticket)
        place = _Place()
        for split in ("validation", "test"):
            place.log(split, *self.measure(split))
        return tuple(place.rows)


def train(
    recipe: Recipe,
    ticket: Ticket,
    seed: int,
    source: Resident | Streamed,
    *,
    strategy: tf.distribute.Strategy | None = None,
    programs: Programs | None = None,
    checkpoint: Checkpoint | None = None,
    report: Callable[[Report], None] | None = None,
) -> Result:
    """Trains a network from a ticket.

    Args:
        recipe: How.
        ticket: From where.
        seed: Of the order of images and of random masks.
        source: The recipe's images, opened for the same strategy.
        strategy: On which devices; None is TensorFlow's default device.
        programs: Of the same recipe, seed, source and strategy, if they are
            compiled already.
        checkpoint: Where to save progress, and to go on from.
        report: Told how it goes after every call of the compiled program.

    Raises:
        Diverged: The loss is not finite. What was saved before stays.
        ValueError: The ticket does not fit the model.
        InvalidValue: The batch size does not suit the images or the replicas.
    """
    began = time.monotonic()
    programs = programs or Programs(recipe, source, strategy, seed)
    programs.load(ticket)
    first = recipe.first_step or 0
    place = _Place(step=first)
    saved = checkpoint.load() if checkpoint else None
    if saved:
        arrays, meta = saved
        _load(programs, arrays)
        place = _Place.from_meta(meta)
    spent = place.seconds

    def measure(split: str) -> None:
        loss, accuracy = programs.measure(split)
        if not math.isfinite(loss):
            raise diverged(recipe, seed, place.step)
        place.log(split, loss, accuracy)

    while True:
        at_end = place.step == recipe.steps
        if place.step in (first, recipe.steps) or (
            place.step % recipe.eval_every == 0
        ):
            place.log_period()
            measure("validation")
            if not recipe.test_at_stop or at_end or place.may_stop():
                measure("test")
        if report:
            report(place.report(recipe.steps))
        if at_end:
            break
        # A call ends where a period does, so that the calls of a training
        # are the same ones wherever it was interrupted.
        left = recipe.eval_every - place.step % recipe.eval_every
        count = min(left, recipe.steps - place.step, steps.STEPS_PER_CALL)
        loss, correct, bad = programs.run(place.step, count)
        if bad >= 0:
            raise diverged(recipe, seed, place.step + bad + 1)
        place.advance(count, loss, correct / recipe.batch_size)
        place.seconds = spent + time.monotonic() - began
        if checkpoint and checkpoint.due():
            checkpoint.save(_dump(programs), asdict(place))
    seconds = spent + time.monotonic() - began
    return Result(read_state(programs.model), tuple(place.rows), seconds)


def estimate(
    recipe: Recipe,
    source: Resident | Streamed,
    strategy: tf.distribute.Strategy,
) -> float:
    """Returns how many seconds a training will take, from a short trial.

    Raises:
        InvalidValue: As for `train`.
    """
    programs = Programs(recipe, source, strategy, seed=0)
    count = min(50, recipe.eval_every)
    per_step = _seconds(lambda: programs.run(0, count)) / count
    todo = recipe.steps - (recipe.first_step or 0)
    evaluations = todo / recipe.eval_every + 2
    # Where only early stops are tested, those are few.
    splits = ("validation",) if recipe.test_at_stop else ("validation", "test")
    per_evaluation = _seconds(lambda: [programs.measure(s) for s in splits])
    return todo * per_step + evaluations * per_evaluation


def _seconds(work: Callable[[], object]) -> float:
    work()  # compiles
    began = time.monotonic()
    work()
    return time.monotonic() - began


@dataclass
class _Place:
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
    def from_meta(cls, meta: dict[str, Any]) -> "_Place":
        return cls(**{**meta, "rows": [Row(*row) for row in meta["rows"]]})

    def report(self, total: int) -> Report:
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
        n = self.period_steps
        if n:
            self.log("train", self.period_loss / n, self.period_accuracy / n)
        self.period_steps, self.period_loss, self.period_accuracy = 0, 0.0, 0.0

    def log(self, split: str, loss: float, accuracy: float) -> None:
        self.rows.append(Row(self.step, split, "loss", loss))
        self.rows.append(Row(self.step, split, "accuracy", accuracy))


def check_batch_size(
    recipe: Recipe,
    source: Resident | Streamed,
    strategy: tf.distribute.Strategy,
) -> None:
    """Raises InvalidValue unless the batch suits images and replicas."""
    if recipe.batch_size > source.sizes["train"]:
        raise InvalidValue(
            f"expected BATCH_SIZE of at most {source.sizes['train']}, the "
            f"number of training images, received {recipe.batch_size}"
        )
    replicas = strategy.num_replicas_in_sync
    if recipe.batch_size % replicas:
        raise InvalidValue(
            f"expected BATCH_SIZE to be a multiple of {replicas}, the number "
            f"of replicas, received {recipe.batch_size}; --strategy=one takes "
            "any"
        )


def _dump(programs: Programs) -> dict[str, np.ndarray]:
    arrays = read_state(programs.model)
    for i, variable in enumerate(programs.extras):
        arrays[f"optimizer/{i}"] = keras.ops.convert_to_numpy(variable)
    return arrays


def _load(programs: Programs, arrays: Arrays) -> None:
    state = dict(arrays)
    for i, variable in enumerate(programs.extras):
        variable.assign(state.pop(f"optimizer/{i}"))
    # Of a ticket, kernels hold the values of pruned weights: on several
    # replicas an optimizer moves them below their masks, and one device, which
    # may go on from there, reads them bare.
    ticket = as_ticket(programs.model, state)
    load_state(programs.model, ticket.arrays())
