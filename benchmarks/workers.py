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
import sys
import tempfile
import time


def main() -> None:
    """Prints minutes and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--steps", type=int, default=15_000)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--data_dir")
    arguments = parser.parse_args()
    seconds = {}
    for workers in (1, arguments.workers):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            trainings = _run(workers, folder, arguments)
            seconds[workers] = time.perf_counter() - began
        hourly = 3600 * trainings / seconds[workers]
        print(f"workers {workers}, trainings an hour: {hourly:.0f}")
    one, several = seconds[1], seconds[arguments.workers]
    print(f"{arguments.workers} workers over one: {one / several:.2f}")


def _run(workers: int, folder: str, arguments: argparse.Namespace) -> int:
    """Runs the experiment, and returns how many trainings it took."""
    command = [
        *(sys.executable, "-m", "tf_lottery.main"),
        "--gin_file=gin/lottery_tickets.gin",
        "--gin_file=gin/short.gin",
        f"--gin_bindings=DATA = '{arguments.data}'",
        f"--gin_bindings=STEPS = {arguments.steps}",
        "--gin_bindings=SEEDS = 2",
        "--gin_bindings=ROUNDS = (3, 7, 10)",
        "--gin_bindings=ARMS = ('winning ticket',)",
        f"--workdir={folder}",
        f"--workers={workers}",
    ]
    if arguments.data_dir:
        command.append(f"--data_dir={arguments.data_dir}")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return len(list(pathlib.Path(folder, "store").glob("*/result.json")))


if __name__ == "__main__":
    main()
