"""Pruning: seconds and memory of a global round over ResNet50's kernels.

    python -m benchmarks.pruning

A round scores the weights, ranks them all together, and gives masks and masked
weights. The peers are `torch.nn.utils.prune.global_unstructured`, which does
the same with modules, if PyTorch is installed, and one `numpy.argsort` of the
scores, which is what ranking alone would cost at least.

Each takes its turn in every round. Memory is how much a process of its own
grows by the two that do the same.
"""

import concurrent.futures
import functools
import math
import multiprocessing
import resource
import signal
import statistics
import sys
from collections.abc import Callable

import numpy as np

from benchmarks.measuring import (
    Values,
    has_torch,
    measure_each,
    parser,
    progress,
    seconds,
    turn,
)
from tf_lottery.foundation import seeds
from tf_lottery.rules import criteria, pruning

LAYERS = 4
RATE = 0.2
UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes of which `ru_maxrss` counts."""

Arrays = dict[str, np.ndarray]
Work = Callable[[Arrays], Callable[[], object]]
"""From weights to what is timed."""


def main() -> None:
    """Prints seconds and peak memory of each, and ratios to ours."""
    arguments = parser(__doc__, rounds=3)
    arguments.add_argument(
        "--weights",
        type=int,
        nargs="+",
        default=[0],
        help=f"of {LAYERS} layers; 0 is ResNet50's 53",
    )
    options = arguments.parse_args()
    if not has_torch():
        print("PyTorch is not installed: without it", file=sys.stderr)
    measures = {
        f"{size:,} weights" if size else "ResNet50": functools.partial(
            measure, size, options.rounds
        )
        for size in options.weights
    }
    measure_each(measures, options.json)


def measure(size: int, rounds: int) -> Values:
    """Returns seconds, peak memory and ratios for so many weights.

    Args:
        size: Number of weights; 0 is ResNet50's kernels.
        rounds: How often each takes its turn.
    """
    layer = (1, size // LAYERS)
    shapes = {f"layer{i}": layer for i in range(LAYERS)} if size else resnet50()
    peers = dict(PEERS)
    if not has_torch():
        del peers["torch global_unstructured"]
    total = 4 * sum(map(math.prod, shapes.values()))  # bytes of float32
    count = f"{total // 4:,} weights"
    progress(f"{count}: memory")
    # First of all: a new process starts with the peak of the one it comes from.
    peaks = {n: _peak(n, shapes) for n in peers if n != "numpy.argsort"}
    arrays = weights(shapes)
    values: Values = {}
    turns: dict[str, list[float]] = {name: [] for name in peers}
    for number in range(1, rounds + 1):
        for name, prepare in peers.items():
            progress(turn(f"{count}, {name}", number, rounds, turns[name]))
            # Prepared anew: PyTorch would prune what it pruned once more.
            turns[name].append(seconds(prepare(arrays)))
    medians = {name: statistics.median(taken) for name, taken in turns.items()}
    for name, median in medians.items():
        values[f"{count}, {name}, seconds"] = median
        if name != "prune":
            values[f"{count}, {name} over prune"] = median / medians["prune"]
    for name, peak in peaks.items():
        values[f"{count}, {name}, peak memory over the weights'"] = peak / total
    return values


def resnet50() -> dict[str, tuple[int, ...]]:
    """Returns the shapes of the kernels of ResNet50's 53 convolutions."""
    shapes = {"conv1": (7, 7, 3, 64)}
    channels = 64
    for stage, (width, blocks) in enumerate(
        ((64, 3), (128, 4), (256, 6), (512, 3)), start=2
    ):
        for block in range(1, blocks + 1):
            name = f"conv{stage}_block{block}"
            if block == 1:
                shapes[f"{name}_0"] = (1, 1, channels, 4 * width)
            shapes[f"{name}_1"] = (1, 1, channels, width)
            shapes[f"{name}_2"] = (3, 3, width, width)
            shapes[f"{name}_3"] = (1, 1, width, 4 * width)
            channels = 4 * width
    return shapes


def weights(shapes: dict[str, tuple[int, ...]]) -> Arrays:
    """Returns normal weights, smaller where there are more inputs."""
    arrays = {}
    for path, shape in shapes.items():
        w = seeds.generator(0, path).standard_normal(shape, np.float32)
        w *= math.prod(shape[:-1]) ** -0.5
        arrays[path] = w
    return arrays


def ours(arrays: Arrays) -> Callable[[], Arrays]:
    """Returns what prunes with this project; it returns masked weights."""
    masks = {path: np.ones(w.shape, bool) for path, w in arrays.items()}

    def prune() -> Arrays:
        scores = {path: criteria.large_final(w) for path, w in arrays.items()}
        rates = dict.fromkeys(arrays, RATE)
        kept = pruning.prune(scores, masks, rates, _generator, "global")
        return {path: w * kept[path] for path, w in arrays.items()}

    return prune


def torch(arrays: Arrays) -> Callable[[], Arrays]:
    """Returns what prunes with PyTorch; it returns masked weights."""
    from torch import from_numpy, nn
    from torch.nn.utils import prune

    modules = {}
    for path, w in arrays.items():
        modules[path] = nn.Module()
        modules[path].weight = nn.Parameter(from_numpy(w))

    def work() -> Arrays:
        prune.global_unstructured(
            [(module, "weight") for module in modules.values()],
            pruning_method=prune.L1Unstructured,
            amount=RATE,
        )
        return {p: m.weight.detach().numpy() for p, m in modules.items()}

    return work


def sort(arrays: Arrays) -> Callable[[], np.ndarray]:
    """Returns what sorts the scores."""
    scores = np.abs(np.concatenate([w.ravel() for w in arrays.values()]))
    return lambda: np.argsort(scores)


PEERS: dict[str, Work] = {
    "prune": ours,
    "torch global_unstructured": torch,
    "numpy.argsort": sort,
}


def _generator(path: str) -> np.random.Generator:
    return seeds.generator(0, path)


def _peak(name: str, shapes: dict[str, tuple[int, ...]]) -> int:
    """Returns by how many bytes a new process grows."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        # Ctrl-C of a terminal comes to the new process, too, which begins with
        # this mask and leaves it to the old one.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        growth = pool.submit(_growth, name, shapes)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        return growth.result()


def _growth(name: str, shapes: dict[str, tuple[int, ...]]) -> int:
    # What is loaded at the first call is none of it.
    PEERS[name]({"warm": np.ones((2, 2), np.float32)})()
    work = PEERS[name](weights(shapes))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (after - before) * UNIT


if __name__ == "__main__":
    main()
