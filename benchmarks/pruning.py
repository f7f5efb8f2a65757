"""Pruning: seconds and memory of a round on many weights, global scope.

    python -m benchmarks.pruning

The peer is one `numpy.argsort` of the same scores, which is what ranking all
weights would cost at least.
"""

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from tf_lottery import pruning, seeds

LAYERS = 4
RATE = 0.2


def main() -> None:
    """Prints seconds, the ratio to a sort, and the peak of memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=int, default=20_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    size = arguments.weights // LAYERS
    scores = {
        f"layer{i}": np.abs(
            seeds.generator(0, i).standard_normal(size, np.float32)
        )
        for i in range(LAYERS)
    }
    masks = {path: np.ones(size, bool) for path in scores}
    everything = np.concatenate(list(scores.values()))

    def prune() -> None:
        rates = dict.fromkeys(scores, RATE)
        pruning.prune(scores, masks, rates, _generator, "global")

    ours, sort = [], []
    for _ in range(arguments.rounds):
        ours.append(_seconds(prune))
        sort.append(_seconds(lambda: np.argsort(everything)))
    tracemalloc.start()
    prune()
    peak = tracemalloc.get_traced_memory()[1] / everything.nbytes
    tracemalloc.stop()
    print(f"weights: {everything.size:,}")
    print(f"prune, seconds: {statistics.median(ours):.2f}")
    ratio = statistics.median(sort) / statistics.median(ours)
    print(f"numpy.argsort over prune: {ratio:.2f}")
    print(f"peak memory over the weights': {peak:.2f}")


def _generator(path: str) -> np.random.Generator:
    return seeds.generator(0, path)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
