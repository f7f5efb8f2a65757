"""Start: seconds from the command until its first training, and its memory.

    python -m benchmarks.start

The main command trains LeNet for a single step, twice into the same folder's
empty store: first with images to decode, then with decoded ones. Counted is
until the first training is stored, two evaluations included. The peer is a
start of Python that imports TensorFlow.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.measuring import (
    Values,
    measure_each,
    parser,
    progress,
    turn,
    winning_tickets,
)

MIB = 2**20 if sys.platform == "darwin" else 2**10
"""What `ru_maxrss` counts, in a MiB."""


class Cost(NamedTuple):
    """What a process took."""

    seconds: float
    peak: float  # MiB


def main() -> None:
    """Prints seconds and MiB of each."""
    arguments = parser(__doc__, rounds=3)
    arguments.add_argument("--data", default="mnist")
    arguments.add_argument("--data_dir")
    options = arguments.parse_args()
    measures = {"first step": lambda: measure(options)}
    measure_each(measures, options.json)


def measure(options: argparse.Namespace) -> Values:
    """Returns median seconds and the highest MiB of each."""
    costs: dict[str, list[Cost]] = {}
    for number in range(1, options.rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("images to decode", "images decoded"):
                before = costs.setdefault(f"first step, {name}", [])
                taken = [cost.seconds for cost in before]
                progress(turn(name, number, options.rounds, taken))
                before.append(
                    first_training(options.data, options.data_dir, folder)
                )
        cost = run([sys.executable, "-c", "import tensorflow"])
        costs.setdefault("import tensorflow", []).append(cost)
    values = {}
    for name, several in costs.items():
        values[f"{name}, seconds"] = statistics.median(
            cost.seconds for cost in several
        )
        values[f"{name}, peak MiB"] = max(cost.peak for cost in several)
    return values


def first_training(data: str, data_dir: str | None, folder: str) -> Cost:
    """Returns what the command takes until its first training is stored."""
    command = winning_tickets(
        folder, data_dir, DATA=data, STEPS=1, SEEDS=1, ROUNDS=(1,)
    )
    began = time.time()
    cost = run(command)
    store = pathlib.Path(folder, "store")
    stored = [path.stat().st_mtime for path in store.glob("*/result.json")]
    for path in store.glob("*/result.json"):
        shutil.rmtree(path.parent)
    return Cost(min(stored) - began, cost.peak)


def run(command: Sequence[str]) -> Cost:
    """Runs a command, and returns what it took."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:  # Ctrl-C
        process.kill()
        process.wait()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(time.perf_counter() - began, usage.ru_maxrss / MIB)


if __name__ == "__main__":
    main()
