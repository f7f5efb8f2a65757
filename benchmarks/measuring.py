"""Measuring: what the benchmarks share.

Candidates take turns, so that what else the machine does meets all of them
alike, and medians are compared. What was measured is a table of names and
numbers, printed as lines `name: value` and, where asked for, written as JSON,
a network (or whatever a part has several of) at a time. How it goes is said on
standard error meanwhile.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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


class _Progress:
    """A line on standard error that says how it goes.

    On a terminal it is always the same line, elsewhere another one after some
    seconds.
    """

    SECONDS = 20.0

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, text: str = "") -> None:
        """Shows a text; an empty one clears the line of a terminal."""
        if sys.stderr.isatty():
            width = shutil.get_terminal_size().columns - 1
            print(
                f"\r\x1b[K{text[:width]}", end="", file=sys.stderr, flush=True
            )
        elif text and time.monotonic() - self._last >= self.SECONDS:
            print(text, file=sys.stderr, flush=True)
            self._last = time.monotonic()


progress = _Progress()


def seconds(do: Work) -> float:
    """Returns what a call takes."""
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def median_seconds(of: str, work: Mapping[str, Work], rounds: int) -> Values:
    """Returns the median seconds of each, taking turns.

    Args:
        of: What is measured, for the line of progress.
        work: What takes turns, by name.
        rounds: How often.
    """
    turns: dict[str, list[float]] = {name: [] for name in work}
    for name, do in work.items():
        progress(f"{of}, {name}: first call, not counted")
        do()  # compiles
    for number in range(1, rounds + 1):
        for name, do in work.items():
            progress(turn(f"{of}, {name}", number, rounds, turns[name]))
            turns[name].append(seconds(do))
    return {name: statistics.median(taken) for name, taken in turns.items()}


def turn(name: str, number: int, rounds: int, before: Sequence[float]) -> str:
    """Returns the line of progress of a turn.

    Args:
        name: Whose turn it is.
        number: Of the turn, from 1.
        rounds: How many there are.
        before: Seconds of the turns before.
    """
    line = f"{name}: turn {number} of {rounds}"
    if before:
        line += f", median so far {statistics.median(before):.3g} s"
    return line


def measure_each(
    measures: Mapping[str, Callable[[], Values]], file: pathlib.Path | None
) -> Values:
    """Returns all that was measured, and prints and writes it as it comes.

    Whatever ends it early, a line says what was measured and what was not.

    Args:
        measures: What to measure, by name.
        file: Written after each of them; its list "missing" names those that
            are not there yet.
    """
    values: Values = {}
    left = list(measures)
    write(values, left, file)
    try:
        while left:
            found = measures[left[0]]()
            values |= found
            write(values, left[1:], file)
            progress()
            for name, value in found.items():
                digits = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
                print(f"{name}: {digits}", flush=True)
            del left[0]
    finally:
        if left:
            progress()
            there = [name for name in measures if name not in left]
            # Not the file's name: in the run of all parts, it is a temporary
            # one, of which that run has told what it keeps.
            print(missing_line("This part", there, left), file=sys.stderr)
    return values


def missing_line(
    where: object, there: Sequence[str], missing: Sequence[str]
) -> str:
    """Returns a line that says what is somewhere, and what is not."""
    return (
        f"{where} has {', '.join(there) or 'nothing'}; "
        f"missing: {', '.join(missing)}."
    )


def write(
    values: Mapping[str, Any],
    missing: Sequence[str],
    file: pathlib.Path | None,
) -> None:
    """Writes what was measured, and what was not, to a file if there is one.

    Whoever reads the file finds all of what was written before, or all of this.
    """
    if file:
        left = {"missing": missing} if missing else {}
        new = file.with_name(f"{file.name}.new")
        new.write_text(json.dumps({**values, **left}, indent=1) + "\n")
        os.replace(new, file)
