"""The table of plain trainings: what each arm ends with, and how soon.

>>> rows = [
...     Record(0, "plain", 0, step, where, "accuracy", value)
...     for where, values in [("train", (0.1, 1.0)), ("validation", (0.1, 0.6))]
...     for step, value in zip((0, 500), values)
... ]
>>> table = training_table(rows, ["plain"])
>>> table.header[2:]
('train accuracy (%)', 'validation accuracy (%)', 'train 99 %', \
'validation 99 %')
>>> table.rows
[('plain', '1', '100.00', '60.00', '500', 'never')]
"""

import statistics
from collections.abc import Iterable, Sequence

from tf_lottery.foundation.records import Record
from tf_lottery.report.tables.series import (
    REACHED,
    SPLITS,
    SeriesOf,
    first_at,
    series_of,
)
from tf_lottery.report.tables.text_table import TextTable

TITLE = "At the end of the training, and the first step with 99 % accuracy"
NONE = "–"


def training_table(records: Iterable[Record], arms: Sequence[str]) -> TextTable:
    """Returns a row an arm: means over seeds of what its trainings end with.

    Args:
        records: Those of `series.thin`, or more.
        arms: The arms in the order of the legend; those without a record are
            left out.
    """
    found = series_of(records)
    metrics = list(dict.fromkeys(metric for _, _, metric in found))
    there = {(split, metric) for _, split, metric in found}
    columns = [
        (split, metric)
        for metric in metrics
        for split in SPLITS
        if (split, metric) in there
    ]
    speeds = [
        (split, "accuracy")
        for split in ("train", "validation")
        if (split, "accuracy") in there
    ]
    rows = []
    for arm in arms:
        seeds = {s for key, own in found.items() if key[0] == arm for s in own}
        if seeds:
            ends = [_end(found, (arm, *column)) for column in columns]
            steps = [_reached(found, (arm, *column)) for column in speeds]
            rows.append((arm, str(len(seeds)), *ends, *steps))
    header = (
        "arm",
        "seeds",
        *(f"{split} {_named(metric)}" for split, metric in columns),
        *(f"{split} {REACHED:.0%}".replace("%", " %") for split, _ in speeds),
    )
    return TextTable(TITLE if speeds else "", header, rows)


def _named(metric: str) -> str:
    return "accuracy (%)" if metric == "accuracy" else metric


def _end(found: SeriesOf, key: tuple[str, str, str]) -> str:
    """Returns the mean over seeds of what each has at its last step."""
    if key not in found:
        return NONE
    mean = statistics.fmean(own[max(own)] for own in found[key].values())
    return f"{100 * mean:.2f}" if key[-1] == "accuracy" else f"{mean:.4g}"


def _reached(found: SeriesOf, key: tuple[str, str, str]) -> str:
    """Returns the first step with an accuracy of `REACHED`, mean over seeds.

    Where some seeds only have it, their mean and how many they are.
    """
    if key not in found:
        return NONE
    steps = [first_at(own, REACHED) for own in found[key].values()]
    known = [step for step in steps if step is not None]
    if not known:
        return "never"
    mean = f"{statistics.fmean(known):,.0f}"
    if len(known) < len(steps):
        return f"{mean} ({len(known)} of {len(steps)} seeds)"
    return mean
