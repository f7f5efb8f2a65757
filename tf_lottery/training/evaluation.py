"""Evaluation: loss and score of a model on a whole split.

A network with a random mask is as good as the masks that are drawn for it:
`evaluate` draws `samples` masks, holds each for a whole pass over the split,
and gives the mean over them (Zhou et al. 2019 report the mean of 10).
"""

from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.masking.kernels import bernoulli_masks
from tf_lottery.workloads.examples import Resident, Streamed
from tf_lottery.workloads.task import Batch, Task

Evaluate = Callable[[str], tuple[float, float]]

BATCH_SIZE = 1000


def evaluator(
    task: Task,
    model: keras.Model,
    source: Resident | Streamed,
    strategy: tf.distribute.Strategy,
    jit: bool,
    samples: int,
) -> Evaluate:
    """Returns a function from a split's name to its mean (loss, score).

    Args:
        task: What the model learns.
        model: The network.
        source: The task's examples.
        strategy: Where the model lives.
        jit: Whether to compile with XLA.
        samples: How many masks to draw, where masks are random.
    """
    masks = bernoulli_masks(model)
    if isinstance(source, Resident):
        totals = _resident(task, model, source, strategy, jit)
    else:
        totals = _streamed(task, model, source, jit)

    def evaluate(split: str) -> tuple[float, float]:
        starts = [int(mask.step.numpy()) for mask in masks]
        sums: list[np.ndarray] = []
        for sample in range(samples if masks else 1):
            for mask, start in zip(masks, starts, strict=True):
                mask.step.assign(start + sample)
            sums.append(totals(split))
        for mask, start in zip(masks, starts, strict=True):
            mask.step.assign(start)
        both = np.stack(sums).sum(axis=0, dtype=np.float64)
        loss, score = both.tolist()
        examples = len(sums) * source.sizes[split]
        return loss / examples, score / examples

    return evaluate


def _resident(
    task: Task,
    model: keras.Model,
    source: Resident,
    strategy: tf.distribute.Strategy,
    jit: bool,
) -> Callable[[str], np.ndarray]:
    replicas = strategy.num_replicas_in_sync
    share = -(-BATCH_SIZE // replicas)

    def replica(first: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        offset = context.replica_id_in_sync_group * share
        rows = first + offset + tf.range(share)
        # Every example counts once; rows past the end repeat the last and
        # count nothing, so that all batches have one shape.
        counted = tf.cast(rows < end, tf.float32)
        batch = source.take(tf.minimum(rows, end - 1))
        losses, scores = task.losses(model, batch, False, None)
        return tf.stack(
            [
                tf.reduce_sum(losses * counted),
                tf.reduce_sum(scores * counted),
            ]
        )

    @tf.function(jit_compile=jit)
    def program(start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
        first, total = start, tf.zeros(2)
        while first < end:
            parts = strategy.run(replica, args=(first, end))
            total += strategy.reduce("SUM", parts, axis=None)
            first += share * replicas
        return total

    def totals(split: str) -> np.ndarray:
        start = source.start(split)
        end = start + source.sizes[split]
        return program(tf.constant(start), tf.constant(end)).numpy()

    return totals


def _streamed(
    task: Task, model: keras.Model, source: Streamed, jit: bool
) -> Callable[[str], np.ndarray]:
    # On one device: reading is what takes the time.
    @tf.function(jit_compile=jit)
    def program(batch: Batch) -> tf.Tensor:
        losses, scores = task.losses(model, batch, False, None)
        return tf.stack([tf.reduce_sum(losses), tf.reduce_sum(scores)])

    def totals(split: str) -> np.ndarray:
        batches: Iterable = source.split(split, BATCH_SIZE)
        return sum(program(batch).numpy() for batch in batches)

    return totals
