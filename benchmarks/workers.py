"""Workers: trainings an hour of several processes over those of one.

    python -m benchmarks.workers

Runs the same experiment, lottery tickets of LeNet in two seeds, with one and
with several workers, each into a folder of its own, and divides the times:
start-up, compilation and evaluations included.
"""

import argparse
import contextlib
import functools
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

from benchmarks.measuring import (
    Values,
    measure_each,
    parser,
    progress,
    winning_tickets,
)

PATIENCE = 5  # seconds


def main() -> None:
    """Prints trainings an hour, and the ratio."""
    arguments = parser(__doc__, workers=os.cpu_count() or 1, steps=15_000)
    arguments.add_argument("--data", default="mnist")
    arguments.add_argument("--data_dir")
    options = arguments.parse_args()
    hourly: dict[int, float] = {}

    def measure(workers: int) -> Values:
        hourly[workers] = trainings_an_hour(workers, options)
        values = {f"workers {workers}, trainings an hour": hourly[workers]}
        if workers == options.workers:
            ratio = hourly[workers] / hourly[1]
            values[f"{workers} workers over one"] = ratio
        return values

    measures = {
        f"workers {workers}": functools.partial(measure, workers)
        for workers in (1, options.workers)
    }
    measure_each(measures, options.json)


def trainings_an_hour(workers: int, options: argparse.Namespace) -> float:
    """Returns how many trainings of the experiment an hour is enough for."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        trainings = _run(workers, folder, options)
        return 3600 * trainings / (time.perf_counter() - began)


def _run(workers: int, folder: str, arguments: argparse.Namespace) -> int:
    """Runs the experiment, and returns how many trainings it took."""
    command = winning_tickets(
        folder,
        arguments.data_dir,
        DATA=arguments.data,
        STEPS=arguments.steps,
        EVAL_EVERY=250,
        SEEDS=2,
        ROUNDS=(3, 7, 10),
    )
    command.append(f"--workers={workers}")
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    store = pathlib.Path(folder, "store")
    try:
        errors = _wait(process, store, f"workers {workers}")
    except BaseException:
        # Ctrl-C of a terminal has come to the command, too, which ends its
        # workers; a second one in a hurry would disturb it.
        for number in (0, signal.SIGINT, signal.SIGKILL):  # 0 does nothing
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=PATIENCE)
                break
        raise
    if process.returncode:
        sys.exit(errors)
    return len(list(store.glob("*/result.json")))


def _wait(process: subprocess.Popen, store: pathlib.Path, name: str) -> str:
    """Returns a process's standard error at its end; says how it goes."""
    while True:
        try:
            return process.communicate(timeout=1)[1]
        except subprocess.TimeoutExpired:
            done = len(list(store.glob("*/result.json")))
            progress(f"{name}: {done} trainings stored")


if __name__ == "__main__":
    main()
