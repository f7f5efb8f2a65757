"""Series: a metric over the steps of a training, thinned.

A curve over a logarithmic axis needs a point every two per cent, and a training
has thousands: `curves.csv` has those records of `metrics.csv` that a figure
shows.

>>> rows = [
...     Record(0, "plain", 0, step, "train", "accuracy", step / 1000)
...     for step in range(1, 1001)
... ]
>>> kept = thin(rows)
>>> len(kept), kept[0].step, kept[-1].step
(183, 1, 1000)
>>> first_at(dict(series_of(kept)["plain", "train", "accuracy"][0]), 0.99)
990
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from tf_lottery.foundation.records import Record

SPLITS = ("train", "validation", "test")

SPACING = 1.02
"""How many times as many steps the next record has that is kept, at least."""

REACHED = 0.99
"""The accuracy that tables say the first step of."""

Series = Mapping[int, float]
"""Values by step, ascending."""

SeriesOf = Mapping[tuple[str, str, str], Mapping[int, Series]]
"""Series by arm, split and metric, then by seed."""


def thin(records: Iterable[Record]) -> list[Record]:
    """Returns those records of examples that a figure over steps needs.

    The first and the last of a series are there, and the first accuracy of
    `REACHED` or more.

    Args:
        records: Records of any kind; of each series, ascending by step.
    """
    found: dict[tuple, list[Record]] = defaultdict(list)
    for r in filter(_of_examples, records):
        found[r.seed, r.arm, r.round, r.where, r.metric].append(r)
    return [r for series in found.values() for r in _thinned(series)]


def _of_examples(record: Record) -> bool:
    return record.where in SPLITS and record.metric != "seconds"


def _thinned(series: list[Record]) -> Iterator[Record]:
    reached = None
    if series[0].metric == "accuracy":
        reached = next((r for r in series if r.value >= REACHED), None)
    always = (series[-1], reached)
    due = -math.inf
    for record in series:
        if record.step >= due or record in always:
            yield record
        if record.step >= due:
            due = max(record.step * SPACING, 1)


def series_of(records: Iterable[Record]) -> SeriesOf:
    """Returns the series of examples, in the order of their first records."""
    found: dict[tuple[str, str, str], dict[int, dict[int, float]]] = {}
    for r in filter(_of_examples, records):
        by_seed = found.setdefault((r.arm, r.where, r.metric), {})
        by_seed.setdefault(r.seed, {})[r.step] = r.value
    return found


def first_at(series: Series, value: float) -> int | None:
    """Returns the first step with a value or more; None if there is none."""
    return next((step for step, v in series.items() if v >= value), None)
