"""Measuring: what the benchmarks share.

Candidates take turns, so that what else the machine does meets all of them
alike, and medians are compared. What was measured is a table of names and
numbers, printed as lines `name: value` and, where asked for, written as JSON.
"""

import argparse
import importlib.util
import json
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Mapping

Work = Callable[[], object]
Values = dict[str, float]


def has_torch() -> bool:
    """Returns whether PyTorch is installed."""
    return importlib.util.find_spec("torch") is not None


def parser(description: str, **defaults: int) -> argparse.ArgumentParser:
    """Returns a parser with what all benchmarks take.

    Args:
        description: A module's docstring.
        **defaults: Flags that are whole numbers, and their defaults.
    """
    made = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--json", type=pathlib.Path, help="A file to write to.")
    for name, default in defaults.items():
        made.add_argument(f"--{name}", type=int, default=default)
    return made


def winning_tickets(
    folder: str, data_dir: str | None, **macros: object
) -> list[str]:
    """Returns the main command for winning tickets of LeNet.

    Args:
        folder: Where it writes.
        data_dir: Where data sets are; None is by default.
        **macros: Of its gin file.
    """
    command = [
        *(sys.executable, "-m", "tf_lottery.main"),
        "--gin_file=gin/lottery_tickets.gin",
        "--gin_bindings=ARMS = ('winning ticket',)",
        *(f"--gin_bindings={name} = {macros[name]!r}" for name in macros),
        f"--workdir={folder}",
    ]
    return command + ([f"--data_dir={data_dir}"] if data_dir else [])


def seconds(do: Work) -> float:
    """Returns what a call takes."""
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def median_seconds(work: Mapping[str, Work], rounds: int) -> Values:
    """Returns the median seconds of each, taking turns."""
    turns: dict[str, list[float]] = {name: [] for name in work}
    for do in work.values():
        do()  # compiles
    for _ in range(rounds):
        for name, do in work.items():
            turns[name].append(seconds(do))
    return {name: statistics.median(turn) for name, turn in turns.items()}


def finish(values: Mapping[str, float], file: pathlib.Path | None) -> None:
    """Prints what was measured, and writes it to a file if there is one."""
    for name, value in values.items():
        digits = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
        print(f"{name}: {digits}")
    write(values, file)


def write(values: Mapping[str, float], file: pathlib.Path | None) -> None:
    """Writes what was measured to a file if there is one."""
    if file:
        file.write_text(json.dumps(values, indent=1) + "\n")
