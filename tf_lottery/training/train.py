"""Training: a pure function of (recipe, ticket, seed).

`train` compiles two programs, one of many training steps and one that
evaluates a split, and calls them in turn from Python:

    until the last step:
        evaluate validation and test                   (one XLA program)
        train for `eval_every` steps, at most half a second of them a call
                                                       (the other)

Test examples are left out where nobody asked for them (`test_at_stop`).

Examples live on the device and a batch is a row of their numbers, so nothing
but those travels between calls. Which examples a step sees and which masks it
draws are functions of (seed, step), so a training that was interrupted goes on
from its last checkpoint and ends with the same bits.

Under a strategy with several replicas, each step runs on all of them with a
part of the batch each, and the loss is averaged over the whole batch: one
device and several give the same weights up to rounding.
"""

import functools
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict

import tensorflow as tf

from tf_lottery.foundation import stopping
from tf_lottery.foundation.array_files import Entry
from tf_lottery.foundation.store import Checkpoint
from tf_lottery.masking.model_state import read_state
from tf_lottery.training import steps
from tf_lottery.training.history import Position, Result, Status, diverged
from tf_lottery.training.programs import Programs, dump, load
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.request import Training
from tf_lottery.workloads.examples import Resident, Streamed

SECONDS_PER_CALL = 0.5
"""Between two signs of life, and between two looks whether to stop."""


def train(
    training: Training,
    source: Resident | Streamed,
    *,
    strategy: tf.distribute.Strategy | None = None,
    programs: Programs | None = None,
    checkpoint: Checkpoint | None = None,
    report: Callable[[Status], None] | None = None,
) -> Result:
    """Returns what a training gives.

    Args:
        training: What to train.
        source: The examples of its task, opened for the same strategy.
        strategy: On which devices; None is TensorFlow's default device.
        programs: Of the same recipe, source and strategy, if they are compiled
            already.
        checkpoint: Where to save progress, and to go on from.
        report: Told how it goes after every call of the compiled program.

    Raises:
        Diverged: The loss is not finite. What was saved before stays.
        Stopped: A signal came, and a checkpoint was saved.
        ValueError: The ticket does not fit the model.
        InvalidValue: The batch size does not suit the examples or the
            replicas, or the task is none.
    """
    began = time.monotonic()
    recipe, task = training.recipe, training.recipe.task
    programs = programs or Programs(recipe, source, strategy, training.seed)
    programs.load(training.ticket, training.seed)
    first = recipe.first_step or 0
    position = Position(step=first)
    saved = (
        checkpoint.load(functools.partial(_fault, recipe, programs))
        if checkpoint
        else None
    )
    if saved:
        arrays, meta = saved
        load(programs, arrays)
        position = Position.from_meta(meta)
    spent = position.seconds

    def measure(split: str) -> None:
        loss, score = programs.measure(split)
        if not math.isfinite(loss):
            raise diverged(recipe, training.seed, position.step)
        position.log(task, split, loss, score)

    while True:
        # Before its first call is made a program compiles, and nobody looks.
        with stopping.heeding() if programs.pace else nullcontext():
            at_end = position.step == recipe.steps
            if position.step in (first, recipe.steps) or (
                position.step % recipe.eval_every == 0
            ):
                position.log_period(task)
                measure("validation")
                if not recipe.test_at_stop or at_end or position.may_stop():
                    measure("test")
            if report:
                report(position.status(recipe))
            if at_end:
                break
            bad = _call(programs, training, position)
            if bad >= 0:
                raise diverged(recipe, training.seed, position.step + bad + 1)
            position.seconds = spent + time.monotonic() - began
            if checkpoint and (checkpoint.due() or stopping.asked()):
                checkpoint.save(dump(programs), asdict(position))
        kept = f"step {position.step:,} of {recipe.steps:,} is saved"
        stopping.check(kept if checkpoint else "")
    seconds = spent + time.monotonic() - began
    return Result(read_state(programs.model), tuple(position.rows), seconds)


def _call(programs: Programs, training: Training, position: Position) -> int:
    """Trains for some steps; returns which of them was bad, or -1."""
    recipe = training.recipe
    # Blocks of steps end where a period does, so that sums over them have the
    # same bits wherever a training was interrupted.
    block = min(
        recipe.eval_every - position.step % recipe.eval_every,
        recipe.steps - position.step,
        steps.STEPS_PER_CALL - position.period_steps % steps.STEPS_PER_CALL,
    )
    count = min(block, programs.pace or 1)
    began = time.monotonic()
    sums, bad = programs.run(training.seed, position.step, count, position.sums)
    per_step = (time.monotonic() - began) / count
    # The first call compiles, and says nothing of how long steps take.
    programs.pace = (
        max(1, int(SECONDS_PER_CALL / per_step)) if programs.pace else 1
    )
    if bad < 0:
        position.advance(count, sums, recipe.batch_size)
        if count == block:
            position.fold(recipe.batch_size)
    return bad


def _fault(recipe: Recipe, programs: Programs, entry: Entry) -> str | None:
    """Returns what is wrong with a checkpoint of a training, if anything.

    Args:
        recipe: How it trains.
        programs: With every variable that it changes.
        entry: The checkpoint.
    """
    arrays, meta = entry
    start = dump(programs)
    first, last = recipe.first_step or 0, recipe.steps
    if not first <= meta["step"] <= last:
        return f"expected a step up to {last}, received {meta['step']}"
    for path in {**start, **arrays}:
        shapes = [a[path].shape if path in a else None for a in (start, arrays)]
        if shapes[0] != shapes[1]:
            return f"expected {path} of shape {shapes[0]}, received {shapes[1]}"
    return None


def estimate(
    recipe: Recipe,
    source: Resident | Streamed,
    strategy: tf.distribute.Strategy,
) -> float:
    """Returns how many seconds a training will take, from a short trial.

    Args:
        recipe: How it trains, on what.
        source: The examples of its task.
        strategy: On which devices.

    Raises:
        InvalidValue: The batch size does not suit the examples or the
            replicas, or the task is none.
    """
    programs = Programs(recipe, source, strategy, seed=0)
    count = min(50, recipe.eval_every)
    per_step = _seconds(lambda: programs.run(0, 0, count, (0, 0))) / count
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
