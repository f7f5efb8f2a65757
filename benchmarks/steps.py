"""Steps a second of our loop, as ratios against named peers.

    python -m benchmarks.steps

Measures LeNet-300-100 (batch 60, Adam, fixed masks) and its supermask (batch
250, SGD), each in our loop, in `keras.Model.fit` with the same layers and the
same batches, and LeNet in our loop without masks. The candidates take turns,
several rounds of them, and the medians are compared: what else the machine
does meets all of them alike. No step is counted that compiles something.
"""

import argparse
import functools
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from tf_lottery import steps
from tf_lottery.data.batches import Resident, open_source
from tf_lottery.data.images import Images
from tf_lottery.masks import BernoulliMask
from tf_lottery.models.lenet import LeNet
from tf_lottery.recipes import Recipe

IMAGES = Images("mnist_5k")
LENET = Recipe(images=IMAGES, batch_size=60)
SUPERMASK = Recipe(
    model=LeNet(use_bias=False),
    images=IMAGES,
    optimizer={
        "class_name": "SGD",
        "config": {"learning_rate": 100.0, "momentum": 0.9},
    },
    batch_size=250,
    kernel_mask=functools.partial(BernoulliMask, rescale=True),
)
COUNT = steps.STEPS_PER_CALL

Work = Callable[[], object]

# What a ratio says, and whose time is divided by whose.
RATIOS = (
    ("LeNet, our loop over model.fit", "LeNet, model.fit", "LeNet, our loop"),
    (
        "LeNet, time with masks over time without",
        "LeNet, our loop",
        "LeNet, our loop without masks",
    ),
    (
        "supermask, our loop over model.fit",
        "supermask, model.fit",
        "supermask, our loop",
    ),
)


class PlainLeNet(LeNet):
    """LeNet of Keras' own layers, without masks."""

    def __call__(self, input_shape, classes, kernel_mask, seed):  # noqa: D102
        layers = [keras.Input(input_shape), keras.layers.Flatten()]
        for units in self.hidden:
            layers.append(keras.layers.Dense(units, activation="relu"))
        layers.append(keras.layers.Dense(classes))
        return keras.Sequential(layers)


def our_loop(recipe: Recipe, source: Resident) -> Work:
    """Returns what trains for COUNT steps in our loop."""
    recipe = replace(recipe, eval_every=COUNT)
    model = recipe.new_model(source.image_shape, source.classes, 0)
    optimizer = recipe.new_optimizer()
    optimizer.build(model.trainable_variables)
    strategy = tf.distribute.get_strategy()
    jit = steps.compiles_well(model, strategy)
    run = steps.runner(recipe, model, optimizer, source, strategy, jit, 0)
    return lambda: run(0, COUNT)


def keras_fit(recipe: Recipe, source: Resident) -> Work:
    """Returns what trains for COUNT steps in `keras.Model.fit`.

    The batches lie in memory, scaled, so that fit has nothing to read.
    """
    model = recipe.new_model(source.image_shape, source.classes, 0)
    model.compile(
        recipe.new_optimizer(),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    rows = source.rows(0, recipe.batch_size, 0, COUNT)
    images, labels = source.take(rows.ravel())
    images, labels = images.numpy(), labels.numpy()
    return lambda: model.fit(
        images,
        labels,
        batch_size=recipe.batch_size,
        shuffle=False,
        verbose=0,
    )


def median_seconds(work: dict[str, Work], rounds: int) -> dict[str, float]:
    """Returns the median seconds of each, taking turns."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for do in work.values():
        do()  # compiles
    for _ in range(rounds):
        for name, do in work.items():
            began = time.perf_counter()
            do()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(s) for name, s in seconds.items()}


def main() -> None:
    """Measures, and prints steps a second and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--data_dir", default="store/tfds")
    arguments = parser.parse_args()
    strategy = tf.distribute.get_strategy()
    source = open_source(IMAGES, strategy, arguments.data_dir)
    plain = replace(LENET, model=PlainLeNet())
    medians = median_seconds(
        {
            "LeNet, our loop": our_loop(LENET, source),
            "LeNet, model.fit": keras_fit(LENET, source),
            "LeNet, our loop without masks": our_loop(plain, source),
            "supermask, our loop": our_loop(SUPERMASK, source),
            "supermask, model.fit": keras_fit(SUPERMASK, source),
        },
        arguments.rounds,
    )
    console = Console()
    table = Table("what", "steps/s", box=None)
    for name, seconds in medians.items():
        table.add_row(name, f"{COUNT / seconds:,.0f}")
    console.print(table)
    for name, one, other in RATIOS:
        ratio = medians[one] / medians[other]
        console.print(f"{name}: {ratio:.2f}", highlight=False)


if __name__ == "__main__":
    main()
