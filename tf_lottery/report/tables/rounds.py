"""Rounds: what an experiment comes to over the fraction of weights remaining.

A line of a figure is an arm, or several that are repetitions of one: "random
reinit #1" and "#2" are drawn as "random reinit". Its points are rounds, each
with a value a seed (and repetition).

>>> line_of("random reinit #2"), line_of("one-shot")
('random reinit', 'one-shot')
"""

import functools
import math
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from tf_lottery.report.tables.summary import Line
from tf_lottery.report.tables.text_table import TextTable

COLUMNS = 6
"""Rounds in a table; the summary has them all."""


class RoundPoint(NamedTuple):
    """One round of a line.

    Args:
        remaining: Per cent of the weights, mean over the values.
        values: A value a seed and repetition.
        round: The number of the round.
        censored: Of early stops, how many are at the last iteration, where
            the loss may still have been falling.
    """

    remaining: float
    values: tuple[float, ...]
    round: int = 0
    censored: int = 0

    @property
    def mean(self) -> float:
        """The mean of the values."""
        return statistics.fmean(self.values)


def accuracy_at_stop(line: Line) -> float:
    """Returns the test accuracy at the lowest validation loss, in per cent."""
    return 100 * line.test_accuracy_at_stop


def stop_step(line: Line) -> float:
    """Returns the step of the lowest validation loss."""
    return line.stop_step


def _is_censored(line: Line) -> bool:
    return line.stop_step >= line.steps


def accuracy(line: Line) -> float:
    """Returns the test accuracy at the end, in per cent."""
    return 100 * line.test_accuracy


def train_accuracy(line: Line) -> float:
    """Returns the accuracy on the last batches trained on, in per cent."""
    return 100 * line.train_accuracy


@functools.cache
def line_of(arm: str) -> str:
    """Returns the name of the line that an arm is part of."""
    return re.sub(r" #\d+$", "", arm)


def later(lines: Iterable[Line]) -> list[Line]:
    """Returns the lines of all rounds but the dense one."""
    return [line for line in lines if line.round]


def dense(lines: Iterable[Line], value: Callable[[Line], float]) -> float:
    """Returns the mean of a value over the dense networks, NaN of none.

    Of a seed, that of most arms counts: arms with a recipe or a task of their
    own have other dense networks. It is NaN if each has one of its own.
    """
    by_seed: dict[int, Counter[float]] = {}
    for line in lines:
        if line.round == 0 and not math.isnan(value(line)):
            by_seed.setdefault(line.seed, Counter())[value(line)] += 1
    found = [counter.most_common(1)[0] for counter in by_seed.values()]
    shared = all(
        count > 1 or len(counter) == 1
        for counter, (_, count) in zip(by_seed.values(), found, strict=True)
    )
    if not found or not shared:
        return math.nan
    return statistics.fmean(number for number, _ in found)


def points(
    lines: Iterable[Line],
    arms: Iterable[str],
    value: Callable[[Line], float],
) -> dict[str, list[RoundPoint]]:
    """Returns the points of each line, from all weights to few.

    Args:
        lines: The lines of the summary.
        arms: The arms in the order of the legend.
        value: What to show of a training, NaN if it has none.
    """
    by_name: dict[str, list[Line]] = {}
    for line in lines:
        by_name.setdefault(line_of(line.arm), []).append(line)
    found: dict[str, list[RoundPoint]] = {}
    for name in dict.fromkeys(map(line_of, arms)):
        rounds: dict[int, list[Line]] = {}
        # Of a control, round 0 is the same training in every repetition.
        seen = set()
        for line in by_name.get(name, []):
            if math.isnan(value(line)):
                continue
            if line.round == 0 and line.seed in seen:
                continue
            seen.add(line.seed if line.round == 0 else None)
            rounds.setdefault(line.round, []).append(line)
        found[name] = [
            RoundPoint(
                100 * statistics.fmean(line.remaining for line in group),
                tuple(value(line) for line in group),
                number,
                sum(map(_is_censored, group)) if value is stop_step else 0,
            )
            for number, group in sorted(rounds.items())
        ]
    return found


def table(
    title: str,
    series: dict[str, list[RoundPoint]],
    digits: int,
    best: bool = False,
) -> TextTable:
    """Returns a table of means, a line of the figure a row.

    The header has the per cent of weights remaining of the longest line; of
    many rounds, a choice. A line that has another per cent there has a gap.

    Args:
        title: The title of the table.
        series: The points of each line.
        digits: How many digits are after the decimal point.
        best: Whether the last column is the highest mean over all rounds.
    """
    longest = max(series.values(), key=len, default=[])
    count = min(COLUMNS, len(longest))
    picks = sorted(
        {
            round(i * (len(longest) - 1) / max(1, count - 1))
            for i in range(count)
        }
    )
    shown = [longest[i].remaining for i in picks]
    header = ("arm", "runs", *(f"{percent:.3g} %" for percent in shown))
    if best:
        header = (*header, "best")
    rows = []
    for name, line in series.items():
        if not line:
            continue
        cells = [
            f"{'≥ ' if line[i].censored else ''}{line[i].mean:,.{digits}f}"
            if i < len(line)
            and math.isclose(line[i].remaining, percent, rel_tol=0.05)
            else "–"
            for i, percent in zip(picks, shown, strict=True)
        ]
        if best:
            cells.append(f"{max(p.mean for p in line):,.{digits}f}")
        rows.append((name, str(max(len(p.values) for p in line)), *cells))
    return TextTable(title, header, rows)


def tables(lines: Sequence[Line], arms: Sequence[str]) -> list[TextTable]:
    """Returns the tables of networks that each round trains."""
    at_stop = points(lines, arms, accuracy_at_stop)
    steps = points(lines, arms, stop_step)
    return [
        table(
            "Test accuracy at early stop (%), by weights remaining", at_stop, 2
        ),
        table(
            "Early-stop iteration, by weights remaining (≥: a stop is at the "
            "last iteration)",
            steps,
            0,
        ),
    ]


def untrained_tables(
    lines: Sequence[Line], arms: Sequence[str]
) -> list[TextTable]:
    """Returns the table of masked networks that only round 0 trains."""
    title = "Test accuracy without training (%), by weights remaining"
    series = points(later(lines), arms, accuracy)
    return [table(title, series, 2, best=True)]


def mean(values: Iterable[float]) -> float:
    """Returns the mean of those that are numbers; NaN if none is."""
    known = [value for value in values if not math.isnan(value)]
    return statistics.fmean(known) if known else math.nan
