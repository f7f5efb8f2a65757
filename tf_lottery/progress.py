"""Progress: a live line on a terminal, plain lines in a log.

The line says arm, seed, step, steps a second, loss, accuracy (both over the
latest steps, on the training set) and the time left of this training.
"""

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

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
        self._console.print(text, highlight=False, soft_wrap=True)

    def chain(self, arm: str, seed: int) -> Callable[[Any], None]:
        """Returns what to tell the reports of the next chain's trainings."""
        self._number += 1
        name = f"[{self._number}/{self._chains}] {arm}, seed {seed}"
        name = name.replace("[", r"\[")
        task = self._live.add_task(name, total=1, figures="starting")
        began, first, printed = time.monotonic(), -1, 0.0

        def report(report: Any) -> None:
            nonlocal began, first, printed
            now = time.monotonic()
            if first < 0:  # a resumed training starts where it left off
                began, first = now, report.step
            speed = (report.step - first) / max(now - began, 1e-9)
            figures = "" if report.step == first else f"{speed:,.0f} steps/s"
            if report.loss == report.loss:  # not before the first step
                figures += (
                    f"  loss {report.loss:.3f}  accuracy {report.accuracy:.1%}"
                )
            self._live.update(
                task,
                total=report.steps,
                completed=report.step,
                figures=figures,
            )
            over = report.step == report.steps
            if self._live.disable and (
                over or now - printed > SECONDS_BETWEEN_LINES
            ):
                printed = now
                left = (report.steps - report.step) / max(speed, 1e-9)
                time_left = f"{left / 60:.1f} min left" if speed else ""
                self.say(
                    f"{name}  step {report.step:,}/{report.steps:,}  "
                    f"{figures}  {time_left}"
                )

        return report
