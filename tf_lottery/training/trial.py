"""A trial of a task before it is trained on: is it one?

What cannot be seen in a class is seen in what it gives: which examples a step
has, and what the losses look like. Nothing is computed for it but numbers of
examples; the losses are only traced.
"""

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.training.recipes import Recipe
from tf_lottery.workloads.examples import Resident, Streamed

EXAMPLES = 2


def expect_task(
    recipe: Recipe,
    model: keras.Model,
    source: Resident | Streamed,
    seed: int,
) -> None:
    """Raises InvalidValue unless a task does what a task must.

    Which examples a step sees must be a function of (seed, step) alone, and
    the losses and scores must be one number an example. The former is not
    looked at where examples are streamed: reading them twice takes too long.

    Args:
        recipe: With the task.
        model: The recipe's network.
        source: The task's examples.
        seed: Of the order of examples.
    """
    if isinstance(source, Resident):
        _expect_same_rows(recipe, source, seed)
        batch = source.take(tf.range(min(EXAMPLES, source.sizes["train"])))
    else:
        batch = next(iter(source.split("validation", EXAMPLES)))
    traced = tf.function(
        lambda batch: recipe.task.losses(model, batch, False, None),
        autograph=False,  # so that its errors are seen as they are
    ).get_concrete_function(batch)
    size = len(next(iter(batch.values())))
    expect_losses(traced.structured_outputs, recipe.task, size)


def _expect_same_rows(recipe: Recipe, source: Resident, seed: int) -> None:
    both = source.rows(seed, recipe.batch_size, 0, 2)
    for step in (0, 1):
        [again] = source.rows(seed, recipe.batch_size, step, 1)
        if not np.array_equal(both[step], again):
            raise InvalidValue(
                f"expected the batch of {recipe.task!r} to be a function of "
                "(seed, step) alone, received two different ones for seed "
                f"{seed}, step {step}: examples {both[step][:3]}... and "
                f"{again[:3]}..."
            )


def expect_losses(found: object, task: object, size: int) -> None:
    """Raises InvalidValue unless losses and scores are one an example.

    Args:
        found: What `task.losses` gave.
        task: For the message.
        size: How many examples it was given.
    """
    shapes = [
        (part.shape.as_list(), part.dtype.name)
        for part in tf.nest.flatten(found)
        if hasattr(part, "shape")
    ]
    if shapes != [([size], "float32")] * 2:
        said = ", ".join(f"{dtype} {shape}" for shape, dtype in shapes)
        said = said or repr(found)
        raise InvalidValue(
            f"expected the losses of {task!r} to be a loss and a score an "
            f"example, two arrays of float32 [{size}] for {size} examples, "
            f"received {said}"
        )
