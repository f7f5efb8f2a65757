"""Moving statistics: those of normalisation, measured anew for given weights.

A network between two trained ones has the weights of neither, so that the
means and variances that either measured on its way say nothing of it.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.kernels import all_layers
from tf_lottery.training.recipes import Recipe
from tf_lottery.workloads.examples import Resident, Streamed

Measure = Callable[[int, int], None]
"""From the seed and the number of training examples."""


def measurer(
    recipe: Recipe,
    model: keras.Model,
    source: Resident | Streamed,
    strategy: tf.distribute.Strategy,
) -> Measure:
    """Returns the function that measures a model's moving statistics anew.

    They become the means over some batches of the training examples, as they
    are without augmentation.

    Args:
        recipe: With the task and the batch size.
        model: The network, whose statistics are assigned.
        source: The task's examples.
        strategy: Where the model lives.

    Raises:
        InvalidValue: The examples are streamed.
    """
    layers = [
        layer
        for layer in all_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if not layers:
        return lambda seed, examples: None
    if not isinstance(source, Resident):
        raise InvalidValue(
            "expected examples in memory to measure statistics on, received "
            "streamed ones (Images.stream)"
        )

    def replica(row: tf.Tensor, kept: tf.Tensor) -> None:
        context = tf.distribute.get_replica_context()
        share = row.shape[0] // context.num_replicas_in_sync
        first = context.replica_id_in_sync_group * share
        batch = source.take(row[first : first + share])
        before = [layer.momentum for layer in layers]
        try:
            # What is left of the mean so far: a mean over all batches.
            for layer in layers:
                layer.momentum = kept
            recipe.task.losses(model, batch, True, None)
        finally:
            for layer, momentum in zip(layers, before, strict=True):
                layer.momentum = momentum

    @tf.function
    def program(row: tf.Tensor, kept: tf.Tensor) -> None:
        strategy.run(replica, args=(row, kept))

    def measure(seed: int, examples: int) -> None:
        count = max(1, examples // recipe.batch_size)
        rows = source.rows(seed, recipe.batch_size, 0, count)
        for i, row in enumerate(rows):
            program(tf.constant(row), tf.constant(i / (i + 1), tf.float32))

    return measure
