"""Checkouts: this checkout's training step against that of another one.

    git worktree add ../before v0.1
    python -m benchmarks.checkouts --other=../before

Milliseconds a step of the compiled program that trains (`Programs.run`), for
some networks of the papers, on the digits that need no download (mnist_5k) or,
with `--data_dir`, on the images of the papers. Each checkout has a process of
its own (`benchmarks/checkout.py`) with its own modules. The two take turns,
and who is first changes with every turn. Printed are the ratio of the medians
and the ratios of neighbours: above 1, this checkout is the faster one.
"""

import argparse
import contextlib
import functools
import os
import pathlib
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

from benchmarks.measuring import (
    Values,
    measure_each,
    parser,
    progress,
    turn,
)

WORKER = pathlib.Path(__file__).resolve().with_name("checkout.py")
HERE = WORKER.parent.parent
NETS = ("LeNet", "supermask", "Conv2 f32")


def main() -> None:
    """Measures, and prints."""
    arguments = parser(__doc__, rounds=11, steps=0)
    arguments.add_argument("--other", type=pathlib.Path, required=True)
    arguments.add_argument("--nets", nargs="+", default=NETS)
    arguments.add_argument("--data_dir", type=pathlib.Path)
    options = arguments.parse_args()
    measures = {
        name: functools.partial(measure, name, options) for name in options.nets
    }
    measure_each(measures, options.json)


def measure(name: str, options: argparse.Namespace) -> Values:
    """Returns milliseconds a step of both, and how they compare."""
    words = [name, str(options.steps), str(options.data_dir or "")]
    ours: list[float] = []
    theirs: list[float] = []
    progress(f"{name}: both start and compile")
    with (
        worker(HERE, words) as this,
        worker(options.other.resolve(), words) as other,
    ):
        both = [(this, ours), (other, theirs)]
        for do, _ in both:
            do()  # compiles
        for number in range(1, options.rounds + 1):
            before = [ms / 1000 for ms in ours]
            progress(turn(f"{name}, a step", number, options.rounds, before))
            for do, ms in both:
                ms.append(do())
            both.reverse()
    ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
    progress()
    each = " ".join(f"{ratio:.3f}" for ratio in ratios)
    print(f"{name}, other over this, each turn: {each}")
    medians = statistics.median(ours), statistics.median(theirs)
    return {
        f"{name}, this, ms": medians[0],
        f"{name}, other, ms": medians[1],
        f"{name}, other over this": medians[1] / medians[0],
        f"{name}, other over this, lowest": ratios[0],
        f"{name}, other over this, median of turns": statistics.median(ratios),
        f"{name}, other over this, highest": ratios[-1],
    }


@contextlib.contextmanager
def worker(
    checkout: pathlib.Path, words: Sequence[str]
) -> Iterator[Callable[[], float]]:
    """Gives what takes a turn in a checkout, and returns milliseconds a step.

    Args:
        checkout: Its folder.
        words: What its process is called with.
    """
    process = subprocess.Popen(
        # -P: the folder of the script, with its modules, is nowhere to import.
        [sys.executable, "-P", str(WORKER), *words],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        # Ctrl-C of a terminal comes to this process, which ends the other.
        start_new_session=True,
    )

    def do() -> float:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(b"\n")
        line = process.stdout.readline()
        if not line:
            sys.exit(f"expected a time of {checkout}, received none")
        return float(line)

    with process:
        try:
            yield do
        finally:
            process.kill()


if __name__ == "__main__":
    main()
