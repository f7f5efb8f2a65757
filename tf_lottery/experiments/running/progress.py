"""Progress: live lines on a terminal, plain lines in a log.

There is a line for each chain under way. It says arm, seed, round, step, steps
a second, loss, accuracy (both over the latest steps, on the training set) and
the time left of this training.
"""

import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from tf_lottery.training.history import Status

SECONDS_BETWEEN_LINES = 15.0


class Display:
    """Shows how a run goes; a context manager.

    Args:
        console: Where to; live lines if it is a terminal.
        chains: How many chains the run has.
    """

    def __init__(self, console: Console, chains: int) -> None:
        self.console = console
        self._chains = chains
        self._number = 0
        self._tasks: dict[int, TaskID] = {}
        self.live = Progress(
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
        self.live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.live.stop()

    def say(self, text: str) -> None:
        """Prints a line above the live ones."""
        self.console.print(Text(text), soft_wrap=True)

    def chain(self, arm: str, seed: int, slot: int = 0) -> "Chain":
        """Returns who is to be told about the next chain.

        Args:
            arm: The arm that the chain is of.
            seed: The replicate that the chain is of.
            slot: Which of the live lines it takes over.
        """
        self._number += 1
        name = f"[{self._number}/{self._chains}] {arm}, seed {seed}"
        if slot in self._tasks:
            self.live.remove_task(self._tasks[slot])
        self._tasks[slot] = self.live.add_task("", total=1, figures="starting")
        return Chain(self, self._tasks[slot], name)


class Chain:
    """A chain's line of the display.

    Args:
        display: Where the line is.
        task: The line.
        name: What it begins with.
    """

    def __init__(self, display: Display, task: TaskID, name: str) -> None:
        self._display, self._task, self._name = display, task, name
        self._training: tuple[int | None, int] | None = None
        self._printed, self._last = 0.0, -1
        self._first: int | None = None
        self._begin("")

    def say(self, text: str) -> None:
        """Prints a line above the live ones."""
        self._display.say(text)

    def show(self, round: int | None, now: Status) -> None:
        """Brings the line up to date."""
        clock = time.monotonic()
        if (round, now.steps) != self._training or now.step < self._last:
            self._training = (round, now.steps)
            self._begin(f", round {round}" if round else "")
        self._last = now.step
        if self._first is None:  # a resumed training starts where it left off
            self._began, self._first = clock, now.step
        speed = (now.step - self._first) / max(clock - self._began, 1e-9)
        figures = _figures(now, speed)
        live = self._display.live
        live.update(
            self._task, total=now.steps, completed=now.step, figures=figures
        )
        over = now.step == now.steps
        due = clock - self._printed > SECONDS_BETWEEN_LINES
        if over or (live.disable and due):
            self._printed = clock
            line = f"{self._label}  {now.step:,}/{now.steps:,}  {figures}"
            if speed and not over:
                left = (now.steps - now.step) / speed / 60
                line += f"  {left:.1f} min left"
            self.say(line)

    def _begin(self, suffix: str) -> None:
        """Makes the line that of another training."""
        self._label = self._name + suffix
        self._began, self._first = time.monotonic(), None
        # Brackets are markup.
        label = self._label.replace("[", r"\[")
        self._display.live.reset(
            self._task, description=label, total=1, figures="starting"
        )


def _figures(now: Status, speed: float) -> str:
    figures = [f"{speed:,.0f} steps/s"] if speed else []
    for metric, value in now.means.items():
        percent = metric == "accuracy"
        figures.append(
            f"{metric} {value:.1%}" if percent else f"{metric} {value:.3f}"
        )
    return "  ".join(figures)
