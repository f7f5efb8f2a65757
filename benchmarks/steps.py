"""Steps: our loop against named peers and against the compiler's limit.

    python -m benchmarks.steps

For each network of the papers (see `benchmarks.nets`), milliseconds a step of

    our loop        with masks
    no masks        the same loop without
    model.fit       of Keras, the same layers with masks, batches in memory
    PyTorch         eager, with masks, fused optimizer (if it is installed)
    limit           the step's matrix products and optimizer update alone
                    (`benchmarks.limit`)

and of an evaluation of the validation and test images. The candidates of a
network take turns, several rounds of them, and the medians are compared: what
else the machine does meets all of them alike. No step is counted that
compiles something. Of the time of a training, evaluations at the paper's
cadence take the shares that are printed last: of both splits each time, and
of the validation images only, as where test images wait for an early stop.
"""

import argparse
import functools
import os
from collections.abc import Iterable
from dataclasses import replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from benchmarks.limit import limit
from benchmarks.measuring import (
    Values,
    Work,
    has_torch,
    measure_each,
    median_seconds,
    parser,
)
from benchmarks.nets import (
    NETS,
    Net,
    images_of,
    measurable,
    new_model,
    taken,
    without_masks,
)
from tf_lottery.training import steps
from tf_lottery.training.evaluation import Evaluate, evaluator
from tf_lottery.training.recipes import Recipe
from tf_lottery.workloads.examples import Resident
from tf_lottery.workloads.images.image_sets import (
    DataError,
    ImageArrays,
    Images,
)
from tf_lottery.workloads.images.opened_images import (
    open_images as open_source,
)
from tf_lottery.workloads.images.opened_images import resident


def our_loop(recipe: Recipe, source: Resident, count: int) -> Work:
    """Returns what trains for `count` steps in our loop."""
    recipe = replace(recipe, eval_every=count)
    model = new_model(recipe, source.shapes)
    optimizer = recipe.new_optimizer()
    optimizer.build(model.trainable_variables)
    strategy = tf.distribute.get_strategy()
    jit = steps.compiles_well(model, strategy)
    run = steps.runner(recipe, model, optimizer, source, strategy, jit)
    return lambda: run(0, 0, count, (0.0, 0.0))


def evaluation(recipe: Recipe, source: Resident) -> Evaluate:
    """Returns what evaluates a split."""
    model = new_model(recipe, source.shapes)
    strategy = tf.distribute.get_strategy()
    jit = steps.compiles_well(model, strategy)
    samples = recipe.mask_samples
    return evaluator(recipe.task, model, source, strategy, jit, samples)


def keras_fit(recipe: Recipe, source: Resident, count: int) -> Work:
    """Returns what trains for `count` steps in `keras.Model.fit`.

    The batches lie in memory, scaled, so that fit has nothing to read.
    """
    model = new_model(recipe, source.shapes)
    model.compile(
        recipe.new_optimizer(),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    rows = source.rows(0, recipe.batch_size, 0, count)
    images, labels = taken(recipe, source, rows.ravel())
    images, labels = images.numpy(), labels.numpy()
    return lambda: model.fit(
        images,
        labels,
        batch_size=recipe.batch_size,
        shuffle=False,
        verbose=0,
    )


def candidates(net: Net, source: Resident, count: int) -> dict[str, Work]:
    """Returns all that is measured of a network, by name."""
    recipe = net.recipe
    work = {
        "our loop": our_loop(recipe, source, count),
        "no masks": our_loop(without_masks(recipe), source, count),
        "limit": limit(recipe, source, count),
        "model.fit": keras_fit(recipe, source, count),
    }
    if has_torch():
        from benchmarks.torch_steps import torch_loop

        work["PyTorch"] = torch_loop(recipe, source, count)
    evaluate = evaluation(recipe, source)
    for split in ("validation", "test"):
        work[split] = lambda split=split: evaluate(split)  # type: ignore[misc]
    return work


def measure(name: str, options: argparse.Namespace) -> Values:
    """Returns milliseconds a step of a network, and of an evaluation."""
    net = NETS[name]
    source = open_images(images_of(net.recipe), options.data_dir)
    count = options.steps or net.steps
    work = candidates(net, source, count)
    ms = {}
    for what, seconds in median_seconds(name, work, options.rounds).items():
        each = 1 if what in ("validation", "test") else count
        ms[f"{name}, {what}, ms"] = 1000 * seconds / each
    keras.backend.clear_session()
    return ms


def ratios(name: str, ms: Values) -> Values:
    """Returns how our time compares, and what share of it evaluations take.

    Args:
        name: Of the network.
        ms: Milliseconds of this network and of those before it.
    """
    found: Values = {}
    ours = ms[f"{name}, our loop, ms"]
    for peer in ("model.fit", "PyTorch", "limit"):
        if f"{name}, {peer}, ms" in ms:
            ratio = ms[f"{name}, {peer}, ms"] / ours
            found[f"{name}, our loop over {peer}"] = ratio
    in_float32 = name.replace("bf16", "f32") + ", model.fit, ms"
    if name.endswith("bf16") and in_float32 in ms:
        ratio = ms[in_float32] / ours
        found[f"{name}, our loop over model.fit in f32"] = ratio
    masks = ours / ms[f"{name}, no masks, ms"]
    found[f"{name}, time with masks over without"] = masks
    period = NETS[name].recipe.eval_every * ours
    validation = ms[f"{name}, validation, ms"]
    both = validation + ms[f"{name}, test, ms"]
    found[f"{name}, share of evaluation"] = both / (both + period)
    found[f"{name}, share of evaluation, validation only"] = validation / (
        validation + period
    )
    return found


def open_images(images: Images, data_dir: str | None) -> Resident:
    """Returns the images, or noise of their shape where they are not to be had.

    How long a step takes does not depend on what is to be seen.
    """
    strategy = tf.distribute.get_strategy()
    try:
        source = open_source(images, strategy, data_dir)
    except DataError:
        rng = np.random.default_rng(0)
        shape = (28, 28, 1) if images.name == "mnist" else (32, 32, 3)
        sizes = {"train": 45_000, "validation": 5_000, "test": 10_000}
        n = sum(sizes.values())
        noise = rng.integers(0, 256, (n, *shape), np.uint8)
        labels = rng.integers(0, 10, n).astype(np.int32)
        source = resident(ImageArrays(noise, labels, sizes, 10), strategy)
    assert isinstance(source, Resident)
    return source


def show(values: Values, names: Iterable[str]) -> None:
    """Prints a table of milliseconds a step, a network a row."""
    columns = ("our loop", "no masks", "limit", "model.fit", "PyTorch")
    table = Table("ms a step", *columns, box=None)
    for name in names:
        cells = [values.get(f"{name}, {column}, ms") for column in columns]
        table.add_row(name, *("" if c is None else f"{c:.3g}" for c in cells))
    Console().print(table)


def main() -> None:
    """Measures, and prints."""
    arguments = parser(__doc__, rounds=5, steps=0)
    arguments.add_argument("--data_dir")
    arguments.add_argument("--nets", nargs="+", choices=NETS, default=[*NETS])
    options = arguments.parse_args()
    names = measurable(options.nets)
    all_ms: Values = {}

    def compared(name: str) -> Values:
        ms = measure(name, options)
        all_ms.update(ms)
        return {**ms, **ratios(name, all_ms)}

    measures = {name: functools.partial(compared, name) for name in names}
    show(measure_each(measures, options.json), names)


if __name__ == "__main__":
    main()
