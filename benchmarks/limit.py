"""Limit: a step's matrix products and optimizer update, and nothing else.

A network of a recipe's kernels alone, no masks, biases, activations or loss:
each product of the forward and of the backward pass is there once, on one
batch that never changes, and the optimizer's update of each kernel. Pooling
stays, as it makes the shapes.
"""

import keras
import tensorflow as tf

from benchmarks.measuring import Work
from benchmarks.nets import new_model, taken
from tf_lottery.training import steps
from tf_lottery.training.recipes import Recipe
from tf_lottery.workloads.examples import Resident
from tf_lottery.workloads.task import Shapes


def limit(recipe: Recipe, source: Resident, count: int) -> Work:
    """Returns what does the products and updates of `count` steps."""
    bare = bare_layers(recipe, source.shapes)
    x, _ = taken(recipe, source, tf.range(recipe.batch_size))
    kernels = [layer.kernel for layer in bare if layer.weights]
    config = {**recipe.optimizer["config"], "learning_rate": 1e-6}
    optimizer = keras.optimizers.get({**recipe.optimizer, "config": config})
    optimizer.build(kernels)
    jit = steps.compiles_well(
        keras.Sequential(bare), tf.distribute.get_strategy()
    )

    @tf.function(jit_compile=True)
    def update(gradients: list[tf.Tensor]) -> None:
        optimizer.apply(gradients, kernels)

    @tf.function(jit_compile=jit)
    def program(x: tf.Tensor, count: tf.Tensor) -> None:
        i = 0
        while i < count:
            with tf.GradientTape() as tape:
                y = x
                for layer in bare:
                    y = layer(y)
                loss = tf.reduce_sum(tf.square(tf.cast(y, tf.float32)))
            update(tape.gradient(loss, kernels))
            i += 1

    return lambda: program(x, tf.constant(count))


def bare_layers(recipe: Recipe, shapes: Shapes) -> list[keras.Layer]:
    """Returns the products of a recipe's network, one after the other."""
    masked = new_model(recipe, shapes)
    bare = [layer for layer in map(_bare, masked.layers) if layer is not None]
    keras.Sequential([keras.Input(shapes.inputs), *bare])  # builds them
    return bare


def _bare(layer: keras.Layer) -> keras.Layer | None:
    """Returns a layer's product alone; None if it has none."""
    policy = layer.dtype_policy
    if isinstance(layer, keras.layers.Conv2D):
        return keras.layers.Conv2D(
            layer.filters,
            layer.kernel_size,
            padding=layer.padding,
            use_bias=False,
            dtype=policy,
        )
    if isinstance(layer, keras.layers.Dense):
        return keras.layers.Dense(layer.units, use_bias=False, dtype=policy)
    if isinstance(layer, keras.layers.MaxPooling2D):
        return keras.layers.MaxPooling2D(dtype=policy)
    if isinstance(layer, keras.layers.Flatten):
        return keras.layers.Flatten(dtype=policy)
    return None
