"""Steps: the compiled program that trains, many steps a call.

On one device the whole program is compiled by XLA. On several replicas it is
the usual loop of tf.distribute: `strategy.run` for each step, gradients summed
over replicas by the optimizer. Streamed examples come one batch at a time, and
the program is a single step.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.masking.kernels import all_layers, masked_kernels
from tf_lottery.masking.layers import bare_kernels, is_held
from tf_lottery.training.recipes import Recipe
from tf_lottery.workloads.examples import Resident, Streamed
from tf_lottery.workloads.task import Batch, Draw

STEPS_PER_CALL = 500
"""The most steps of a call: the rows of examples that it is given at once."""

Sums = tuple[float, float]
"""Over some steps: of the loss, and of the scores of all examples."""

TrainSteps = Callable[[int, int, int, Sums], tuple[Sums, int]]
"""From (seed, first step, count, sums over the steps before) to the sums with
those steps, and the first step whose loss is not finite (in steps from the
first on), or -1. Sums go through, so that they have the same bits however the
steps are cut into calls."""


def runner(
    recipe: Recipe,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    source: Resident | Streamed,
    strategy: tf.distribute.Strategy,
    jit: bool,
) -> TrainSteps:
    """Returns the function that trains for some steps.

    The model's kernels hold the values of pruned weights, as those of a ticket
    that was loaded do. Seeds are inputs: one compilation serves all of them.
    """
    variables = model.trainable_variables
    replicas = strategy.num_replicas_in_sync
    # TensorFlow's own device: any other strategy, of one replica too, wants to
    # apply the optimizer in its own loop.
    with strategy.scope():
        folded = not tf.distribute.has_strategy()
    update = _update(model, optimizer, folded)
    # Of a sum over replicas.
    l2 = (recipe.l2 or 0) / replicas

    def learn(batch: Batch, draw: Draw) -> tf.Tensor:
        with (
            tf.GradientTape() as tape,
            bare_kernels() if folded else nullcontext(),
        ):
            losses, scores = recipe.task.losses(model, batch, True, draw)
            # Over the whole batch: the optimizer sums over replicas.
            loss = tf.reduce_sum(losses) / recipe.batch_size
            for penalty in model.losses:
                loss += penalty / replicas
        # Those of an embedding come as the rows that were looked up.
        gradients = [
            None if gradient is None else tf.convert_to_tensor(gradient)
            for gradient in tape.gradient(loss, variables)
        ]
        if l2:
            gradients = [
                g if g is None else g + tf.cast(l2 * v.value, g.dtype)
                for g, v in zip(gradients, variables, strict=True)
            ]
        update(gradients)
        return tf.stack([loss, tf.reduce_sum(scores)])

    if isinstance(source, Streamed):
        return _streamed(recipe, learn, source, strategy, jit)
    return _resident(recipe, learn, source, strategy, jit)


Learn = Callable[[Batch, Draw], tf.Tensor]
Gradients = list[tf.Tensor | None]


def _update(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, folded: bool
) -> Callable[[Gradients], None]:
    """Returns what takes the optimizer's step.

    Folded, fixed masks are applied here, once, and not where kernels are read:
    pruned weights have no gradient, and stay as they are whatever the optimizer
    does to weights without one (weight decay). XLA makes that and each formula
    of the optimizer one pass over a kernel, also where it does not compile the
    rest of a step. Within another strategy than TensorFlow's default one it
    cannot be used.
    """
    variables = model.trainable_variables
    if not folded:
        return lambda gradients: optimizer.apply(gradients, variables)
    masks = {
        id(kernel.variable): kernel.mask.value
        for kernel in masked_kernels(model).values()
        if is_held(kernel.mask)
    }

    @tf.function(jit_compile=True)
    def update(gradients: Gradients) -> None:
        masked, held = [], []
        for variable, gradient in zip(variables, gradients, strict=True):
            if id(variable) in masks:
                kept = masks[id(variable)].value
                before = tf.convert_to_tensor(variable.value)
                held.append((variable, kept, before))
                if gradient is not None:
                    gradient = tf.where(kept, gradient, tf.zeros_like(gradient))
            masked.append(gradient)
        optimizer.apply(masked, variables)
        for variable, kept, before in held:
            variable.assign(tf.where(kept, variable.value, before))

    return update


def _resident(
    recipe: Recipe,
    learn: Learn,
    source: Resident,
    strategy: tf.distribute.Strategy,
    jit: bool,
) -> TrainSteps:
    # As many rows in every call, so that one program serves all of them.
    length = min(STEPS_PER_CALL, recipe.eval_every)

    def replica(row: tf.Tensor, seed: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        draw = _own_draw(seed, step, recipe.batch_size)
        return learn(source.take(_own_part(row)), draw)

    @tf.function(jit_compile=jit)
    def program(
        rows: tf.Tensor,
        seed: tf.Tensor,
        first: tf.Tensor,
        count: tf.Tensor,
        sums: tf.Tensor,
    ) -> tuple:
        # Not tf.range(count): XLA would compile anew for every count.
        i, bad = 0, -1
        while i < count:
            parts = strategy.run(replica, args=(rows[i], seed, first + i))
            step = strategy.reduce("SUM", parts, axis=None)
            sums += step
            diverged = tf.logical_not(tf.math.is_finite(step[0]))
            bad = tf.where(diverged & (bad < 0), i, bad)
            i += 1
        return sums, bad

    def run(seed: int, step: int, count: int, sums: Sums) -> tuple[Sums, int]:
        rows = np.zeros((length, recipe.batch_size), np.int32)
        rows[:count] = source.rows(seed, recipe.batch_size, step, count)
        found, bad = program(
            *map(tf.constant, (rows, seed, step, count)),
            tf.constant(sums, tf.float32),
        )
        loss, score = found.numpy().tolist()
        return (loss, score), int(bad)

    return run


def _streamed(
    recipe: Recipe,
    learn: Learn,
    source: Streamed,
    strategy: tf.distribute.Strategy,
    jit: bool,
) -> TrainSteps:
    batches: Iterator[Any] = iter(())
    position = None

    def replica(batch: Batch, seed: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        draw = _own_draw(seed, step, recipe.batch_size)
        own = {name: _own_part(array) for name, array in batch.items()}
        return learn(own, draw)

    @tf.function(jit_compile=jit)
    def program(batch: Batch, seed: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        parts = strategy.run(replica, args=(batch, seed, step))
        return strategy.reduce("SUM", parts, axis=None)

    def run(seed: int, step: int, count: int, sums: Sums) -> tuple[Sums, int]:
        nonlocal batches, position
        if (seed, step) != position:
            batches = source.batches(seed, recipe.batch_size, step)
        steps = [
            program(next(batches), tf.constant(seed), tf.constant(step + i))
            for i in range(count)
        ]
        position = seed, step + count
        table = np.stack([s.numpy() for s in steps])
        bad = np.flatnonzero(~np.isfinite(table[:, 0]))
        loss, score = sum(table, np.asarray(sums, np.float32)).tolist()
        return (loss, score), int(bad[0]) if len(bad) else -1

    return run


def draw_of(seed: int, step: int, batch_size: int) -> Draw:
    """Returns the randomness of a step, for a whole batch."""
    return Draw(
        tf.constant(seed), tf.constant(step), tf.range(batch_size), batch_size
    )


def _own_draw(seed: tf.Tensor, step: tf.Tensor, batch_size: int) -> Draw:
    """Returns this replica's randomness, within `strategy.run`."""
    places = _own_part(tf.range(batch_size))
    return Draw(seed, step, places, batch_size)


def _own_part(batch: tf.Tensor) -> tf.Tensor:
    """Returns this replica's part of a batch, within `strategy.run`."""
    context = tf.distribute.get_replica_context()
    share = batch.shape[0] // context.num_replicas_in_sync
    first = context.replica_id_in_sync_group * share
    return batch[first : first + share]


def compiles_well(model: keras.Model, strategy: tf.distribute.Strategy) -> bool:
    """Returns whether XLA makes the training of a model faster.

    It does for dense networks and on accelerators. On a CPU, convolutions
    are faster without it, and around several replicas it cannot be used.
    """
    if strategy.num_replicas_in_sync > 1:
        return False
    if tf.config.list_logical_devices("GPU"):
        return True
    kinds = (
        keras.layers.Conv1D,
        keras.layers.Conv2D,
        keras.layers.Conv3D,
        keras.layers.DepthwiseConv2D,
        keras.layers.Conv2DTranspose,
    )
    return not any(isinstance(layer, kinds) for layer in all_layers(model))
