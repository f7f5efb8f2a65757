"""Progress: a live line on a terminal, plain lines in a log.

The line says arm, seed, step, steps a second, loss, accuracy (both over the
latest steps, on the training set) and the time left of this training.
"""

import math
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from tf_lottery.training import Report

SECONDS_BETWEEN_LINES = 15.0


class Display:
    """Shows how a run goes; a context manager.

    Args:
        console: Where to; a live line if it is a terminal.
        chains: How many chains the run has.
    """

    def __init__(self, console: Console, chains: int) -> None:
        self._console = console
        self._chains = chains
        self._number = 0
        self._live = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not console.is_terminal,
            expand=True,
        )

    def __enter__(self) -> "Display":
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Prints a line above the live one."""
        self._console.print(Text(text), soft_wrap=True)

    def chain(self, arm: str, seed: int) -> Callable[[Report], None]:
        """Returns what to tell the reports of the next chain's trainings."""
        self._number += 1
        name = f"[{self._number}/{self._chains}] {arm}, seed {seed}"
        for done in self._live.task_ids:
            self._live.remove_task(done)
        label = name.replace("[", r"\[")  # brackets are markup
        task = self._live.add_task(label, total=1, figures="starting")
        began, first, printed = time.monotonic(), -1, 0.0

        def report(now: Report) -> None:
            nonlocal began, first, printed
            clock = time.monotonic()
            if first < 0:  # a resumed training starts where it left off
                began, first = clock, now.step
            speed = (now.step - first) / max(clock - began, 1e-9)
            figures = _figures(now, speed)
            self._live.update(
                task, total=now.steps, completed=now.step, figures=figures
            )
            over = now.step == now.steps
            due = clock - printed > SECONDS_BETWEEN_LINES
            if over or (self._live.disable and due):
                printed = clock
                line = f"{name}  {now.step:,}/{now.steps:,}  {figures}"
                if speed and not over:
                    left = (now.steps - now.step) / speed / 60
                    line += f"  {left:.1f} min left"
                self.say(line)

        return report


def _figures(now: Report, speed: float) -> str:
    figures = f"{speed:,.0f} steps/s" if speed else ""
    if not math.isnan(now.loss):  # as it is before the first step
        figures += f"  loss {now.loss:.3f}  accuracy {now.accuracy:.1%}"
    return figures
