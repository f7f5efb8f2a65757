"""The comparison: ours beside the paper's, an arm a row."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tf_lottery.report.tables.summary import Line


class Row(NamedTuple):
    """One arm of the table; accuracies are on the test set, in per cent.

    Args:
        arm: Its name.
        seeds: How many replicates there are.
        mean: Of the accuracy at the last step, over the replicates.
        lowest: Of them.
        highest: Of them.
        paper: What the paper printed, or None.
        difference: Ours less the paper's, in percentage points, or None.
        remaining: Per cent of the weights kept, mean over the replicates.
        minutes: A training took, mean over the replicates.
    """

    arm: str
    seeds: int
    mean: float
    lowest: float
    highest: float
    paper: float | None
    difference: float | None
    remaining: float
    minutes: float


HEADER = (
    "arm",
    "seeds",
    "ours",
    "min",
    "max",
    "paper",
    "diff.",
    "kept",
    "minutes",
)


def compare(
    lines: Sequence[Line], arms: Iterable[str], paper: Mapping[str, float]
) -> list[Row]:
    """Returns a row for each arm that has lines, in the order of `arms`."""
    rows = []
    for arm in arms:
        own = [line for line in lines if line.arm == arm]
        if not own:
            continue
        percent = [100 * line.test_accuracy for line in own]
        mean = statistics.fmean(percent)
        value = paper.get(arm)
        rows.append(
            Row(
                arm=arm,
                seeds=len(own),
                mean=mean,
                lowest=min(percent),
                highest=max(percent),
                paper=value,
                difference=None if value is None else mean - value,
                remaining=100 * statistics.fmean(o.remaining for o in own),
                minutes=statistics.fmean(o.seconds for o in own) / 60,
            )
        )
    return rows


def cells(row: Row) -> tuple[str, ...]:
    """Returns a row as text, cell by cell under `HEADER`."""
    paper = "–" if row.paper is None else f"{row.paper:.1f}"
    difference = "–" if row.difference is None else f"{row.difference:+.2f}"
    return (
        row.arm,
        str(row.seeds),
        f"{row.mean:.2f}",
        f"{row.lowest:.2f}",
        f"{row.highest:.2f}",
        paper,
        difference,
        f"{row.remaining:.1f}",
        f"{row.minutes:.1f}",
    )
