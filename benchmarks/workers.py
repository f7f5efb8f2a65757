"""Workers: trainings an hour of several processes over those of one.

    python -m benchmarks.workers

Runs the same experiment, lottery tickets of LeNet in two seeds, with one and
with several workers, each into a folder of its own, and divides the times:
start-up, compilation and evaluations included.
"""

import argparse
import os
import pathlib
import subprocess
import tempfile
import time

from benchmarks.measuring import finish, parser, winning_tickets


def main() -> None:
    """Prints trainings an hour, and the ratio."""
    arguments = parser(__doc__, workers=os.cpu_count() or 1, steps=15_000)
    arguments.add_argument("--data", default="mnist")
    arguments.add_argument("--data_dir")
    options = arguments.parse_args()
    values, seconds = {}, {}
    for workers in (1, options.workers):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            trainings = _run(workers, folder, options)
            seconds[workers] = time.perf_counter() - began
        hourly = 3600 * trainings / seconds[workers]
        values[f"workers {workers}, trainings an hour"] = hourly
    one, several = seconds[1], seconds[options.workers]
    values[f"{options.workers} workers over one"] = one / several
    finish(values, options.json)


def _run(workers: int, folder: str, arguments: argparse.Namespace) -> int:
    """Runs the experiment, and returns how many trainings it took."""
    command = winning_tickets(
        folder,
        arguments.data_dir,
        DATA=arguments.data,
        STEPS=arguments.steps,
        EVAL_EVERY=250,  # as gin/short.gin
        SEEDS=2,
        ROUNDS=(3, 7, 10),
    )
    command.append(f"--workers={workers}")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return len(list(pathlib.Path(folder, "store").glob("*/result.json")))


if __name__ == "__main__":
    main()
