"""The comparison: ours beside the paper's, an arm a row."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tf_lottery.report.tables.summary import Line
from tf_lottery.report.tables.text_table import TextTable


class ArmBesidePaper(NamedTuple):
    """One arm of the table; accuracies are on the test set, in per cent.

    Args:
        arm: The name of the arm.
        seeds: How many replicates there are.
        mean: The accuracy at the last step, mean over the replicates; of
            random masks, that of some samples.
        lowest: The lowest accuracy of a replicate.
        highest: The highest accuracy of a replicate.
        paper: What the paper printed, or None.
        difference: Ours less the paper's, in percentage points, or None.
        remaining: Per cent of the weights kept, mean over the replicates.
        thresholded: The mean accuracy with the mask thresholded, or None.
        minutes: How long a training took, mean over the replicates.
    """

    arm: str
    seeds: int
    mean: float
    lowest: float
    highest: float
    paper: float | None
    difference: float | None
    remaining: float
    thresholded: float | None
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
    "p>.5",
    "minutes",
)


def compare(
    lines: Sequence[Line], arms: Iterable[str], paper: Mapping[str, float]
) -> list[ArmBesidePaper]:
    """Returns a row for each arm that has lines, in the order of `arms`."""
    rows = []
    for arm in arms:
        own = [x for x in lines if x.arm == arm and not x.round]
        if not own:
            continue
        masked = [x for x in lines if x.arm == arm and x.round]
        percent = [100 * line.test_accuracy for line in own]
        mean = statistics.fmean(percent)
        value = paper.get(arm)
        rows.append(
            ArmBesidePaper(
                arm=arm,
                seeds=len(own),
                mean=mean,
                lowest=min(percent),
                highest=max(percent),
                paper=value,
                difference=None if value is None else mean - value,
                remaining=100 * statistics.fmean(o.remaining for o in own),
                thresholded=_percent(x.test_accuracy for x in masked),
                minutes=statistics.fmean(o.seconds for o in own) / 60,
            )
        )
    return rows


def _percent(fractions: Iterable[float]) -> float | None:
    values = [100 * fraction for fraction in fractions]
    return statistics.fmean(values) if values else None


def cells(row: ArmBesidePaper) -> tuple[str, ...]:
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
        "–" if row.thresholded is None else f"{row.thresholded:.2f}",
        f"{row.minutes:.1f}",
    )


def table(
    lines: Sequence[Line], arms: Iterable[str], paper: Mapping[str, float]
) -> TextTable:
    """Returns the comparison with a paper as text, an arm a row."""
    rows = compare(lines, arms, paper)
    return TextTable("", HEADER, [cells(row) for row in rows])
