"""Not finite: numbers of a run that are NaN or infinite, so that pages say so.

>>> rows = [
...     Record(0, "dense", 3, step, "test", "loss", float("inf"))
...     for step in (100, 200)
... ]
>>> notes(first_of_each(rows))
["expected finite numbers, received test loss inf of arm 'dense', seed 0, \
round 3, from step 100 on"]
"""

import math
from collections.abc import Iterable

from tf_lottery.foundation.records import Record


def first_of_each(records: Iterable[Record]) -> list[Record]:
    """Returns the first record of each series that is not finite."""
    found: dict[tuple, Record] = {}
    for record in records:
        if not math.isfinite(record.value):
            found.setdefault((*record[:3], *record[4:6]), record)
    return list(found.values())


def notes(records: Iterable[Record]) -> list[str]:
    """Returns what a reader is told: one line for each arm.

    Args:
        records: Those of `first_of_each`.
    """
    arms: dict[str, list[Record]] = {}
    for record in records:
        arms.setdefault(record.arm, []).append(record)
    return [_note(arm, own) for arm, own in arms.items()]


def _note(arm: str, records: list[Record]) -> str:
    first = records[0]
    more = f" (and {len(records) - 1} series more)" if records[1:] else ""
    return (
        f"expected finite numbers, received {first.where} {first.metric} "
        f"{first.value} of arm {arm!r}, seed {first.seed}, round "
        f"{first.round}, from step {first.step} on{more}"
    )
