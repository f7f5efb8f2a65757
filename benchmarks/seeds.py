"""Seeds: what one more seed of a recipe costs, in seconds and in memory.

    python -m benchmarks.seeds

One process trains seed after seed for four steps on mnist_5k: LeNet in two
trainings, dense and then with half of its weights, and LeNet with a learned
mask. Compared are the memory after all of them and after the fifth, and the
seconds of a seed and of the first one, which compiles.
"""

import functools
import os
import pathlib
import resource
import statistics
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

from benchmarks.measuring import (
    Values,
    measure_each,
    parser,
    progress,
    turn,
)
from benchmarks.start import MIB
from tf_lottery.foundation.store import Store
from tf_lottery.masking.masks import BernoulliMask
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.request import Training
from tf_lottery.training.trainer import Trainer
from tf_lottery.workloads.classification import ImageClassification
from tf_lottery.workloads.images.image_sets import Images

FEW = 5

CHAIN = Recipe(
    task=ImageClassification(Images("mnist_5k")), steps=4, eval_every=4
)
RECIPES = {
    "two trainings": CHAIN,
    "learned mask": Recipe(
        task=CHAIN.task,
        steps=4,
        eval_every=4,
        kernel_mask=functools.partial(BernoulliMask, rescale=True),
    ),
}


def train(trainer: Trainer, name: str, seed: int) -> None:
    """Trains what is measured for one seed."""
    recipe = RECIPES[name]
    ticket = trainer.new_ticket(recipe, seed)
    trainer.train(Training(recipe, ticket, seed))
    if name == "two trainings":
        half = {path: w > 0 for path, w in ticket.weights.items()}
        zero = {path: 0 * w for path, w in ticket.weights.items()}
        pruned = ticket.pruned(ticket.weights, half, zero)
        trainer.train(Training(recipe, pruned, seed))


def measure(name: str, seeds: int) -> Values:
    """Returns MiB and seconds."""
    taken: list[float] = []
    memory = {}
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            Store(folder),
            tf.distribute.get_strategy(),
            cache=pathlib.Path(folder),
        )
        for seed in range(seeds):
            progress(turn(name, seed + 1, seeds, taken[1:]))
            began = time.perf_counter()
            train(trainer, name, seed)
            taken.append(time.perf_counter() - began)
            usage = resource.getrusage(resource.RUSAGE_SELF)
            memory[seed + 1] = usage.ru_maxrss / MIB
    return {
        f"{name}, MiB after {FEW} seeds": memory[FEW],
        f"{name}, MiB after {seeds} seeds": memory[seeds],
        f"{name}, memory over that after {FEW}": memory[seeds] / memory[FEW],
        f"{name}, seconds of the first seed": taken[0],
        f"{name}, seconds of a further seed": statistics.median(taken[1:]),
    }


def main() -> None:
    """Prints what was measured."""
    options = parser(__doc__, seeds=100).parse_args()
    if options.seeds < FEW:
        sys.exit(f"expected --seeds of at least {FEW}")
    measures = {
        name: functools.partial(measure, name, options.seeds)
        for name in RECIPES
    }
    measure_each(measures, options.json)


if __name__ == "__main__":
    main()
