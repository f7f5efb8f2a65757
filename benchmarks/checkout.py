"""One checkout's side of `benchmarks.checkouts`: trains when it is told to.

It is run as a script, by the path of one checkout, with the modules of
another: networks, images and programs are those of the folder it is run in.
For every line of standard input it trains for some steps, and writes the
milliseconds that a step took.
"""

import os
import pathlib
import sys
import time
from collections.abc import Callable
from dataclasses import replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

import tf_lottery
from benchmarks import nets
from benchmarks.steps import open_images


def trainer(name: str, steps: int, data_dir: str) -> Callable[[], float]:
    """Returns what trains and returns milliseconds a step.

    Args:
        name: Of a network of the papers.
        steps: In a turn; 0 is as the other benchmarks.
        data_dir: Where data sets are; if it is empty, mnist_5k.
    """
    net = nets.NETS[name]
    count = steps or net.steps
    recipe = replace(net.recipe, eval_every=count)
    if hasattr(nets, "images_of"):
        from tf_lottery.training.programs import Programs

        recipe = recipe if data_dir else nets.on_images(recipe, "mnist_5k")
        images = nets.images_of(recipe)
    else:  # version 0.1
        from tf_lottery.training import Programs

        images = recipe.images
        images = images if data_dir else replace(images, name="mnist_5k")
        recipe = replace(recipe, images=images)
    source = open_images(images, data_dir or None)
    programs = Programs(recipe, source, tf.distribute.get_strategy(), 0)
    # Before seeds were inputs of a program, it was (first step, count).
    seeds_are_inputs = hasattr(programs, "seed_is_fixed")
    call = (0, 0, count, (0.0, 0.0)) if seeds_are_inputs else (0, count)

    def train() -> float:
        began = time.perf_counter()
        programs.run(*call)
        return 1000 * (time.perf_counter() - began) / count

    return train


def main(name: str, steps: str, data_dir: str) -> None:
    """Trains for every line. For the arguments, see `trainer`."""
    found = pathlib.Path(tf_lottery.__file__).resolve().parent.parent
    if found != pathlib.Path.cwd():
        sys.exit(
            f"expected tf_lottery of {pathlib.Path.cwd()}, received {found}"
        )
    # What others print is not for the one who reads the times.
    times, sys.stdout = sys.stdout, sys.stderr
    train = trainer(name, int(steps), data_dir)
    for _ in sys.stdin:
        print(train(), file=times, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
