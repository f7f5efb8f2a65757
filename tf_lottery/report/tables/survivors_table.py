"""Survivors: which weights each layer keeps, and how far they moved.

>>> rows = [
...     Record(0, "winning ticket", 7, 0, "fc2/kernel", "near zero", 0.25),
...     Record(0, "winning ticket", 7, 0, "fc2/kernel", "moved", 1.5),
... ]
>>> [row] = collect(rows)
>>> row.layer, row.near_zero, row.moved
('fc2/kernel', 0.25, 1.5)
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tf_lottery.foundation.records import Record
from tf_lottery.report.tables.summary import Line
from tf_lottery.report.tables.text_table import TextTable
from tf_lottery.rules.survivors import METRICS

SHOWN_AT = 0.21
"""Fraction of the weights remaining at which a table shows them."""


class Survivors(NamedTuple):
    """What one layer kept in one round; see `tf_lottery.rules.survivors`.

    Args:
        seed: The replicate.
        arm: The line of the figure or table.
        round: 0 is the dense network, with all weights.
        layer: The path of the layer's kernel, or "all".
        near_zero: Fraction of the kept weights that started near zero.
        moved: How far they moved, over how far the pruned ones did.
        away_from_zero: Fraction that ended further from zero.
        uneven_in: How unevenly units share incoming connections; 1 is chance.
        uneven_out: How unevenly inputs share outgoing ones; 1 is chance.
    """

    seed: int
    arm: str
    round: int
    layer: str
    near_zero: float
    moved: float
    away_from_zero: float
    uneven_in: float
    uneven_out: float


def collect(records: Iterable[Record]) -> list[Survivors]:
    """Returns a row for each layer of each mask, in the order of the records.

    Args:
        records: Records of `survivors.METRICS`; others are left out.
    """
    found: dict[tuple, dict[str, float]] = defaultdict(dict)
    for r in records:
        if r.metric in METRICS:
            found[r.seed, r.arm, r.round, r.where][r.metric] = round(r.value, 6)
    return [
        Survivors(*key, *(values.get(metric, math.nan) for metric in METRICS))
        for key, values in found.items()
    ]


def tables(rows: Sequence[Survivors], lines: Iterable[Line]) -> list[TextTable]:
    """Returns the table of what survives, layer by layer; none without rows.

    Args:
        rows: Those of a run; its first arm is shown.
        lines: The lines of the summary, for what remains in a round.
    """
    known = {row.round for row in rows if row.arm == rows[0].arm and row.round}
    remaining = (
        {
            x.round: x.remaining
            for x in lines
            if x.arm == rows[0].arm and x.round in known and x.remaining > 0
        }
        if known
        else {}
    )
    if not remaining:
        return []
    at = min(remaining, key=lambda r: abs(math.log(remaining[r] / SHOWN_AT)))
    arm = rows[0].arm
    layers: dict[str, list[Survivors]] = {}
    start: dict[str, list[Survivors]] = {}
    for row in rows:
        if row.arm == arm and row.round in (0, at):
            (layers if row.round else start).setdefault(row.layer, []).append(
                row
            )

    def mean(found: Sequence[Survivors], name: str, form: str) -> str:
        values = [getattr(row, name) for row in found]
        known = [value for value in values if not math.isnan(value)]
        return format(statistics.fmean(known), form) if known else "–"

    header = (
        *("layer", "seeds", "near zero", "of all", "moved, times"),
        *("away from zero", "uneven in", "uneven out"),
    )
    body: list[tuple[str, ...]] = [
        (
            layer,
            str(len(found)),
            mean(found, "near_zero", ".1%"),
            mean(start.get(layer, []), "near_zero", ".1%"),
            mean(found, "moved", ".2f"),
            mean(found, "away_from_zero", ".1%"),
            mean(found, "uneven_in", ".2f"),
            mean(found, "uneven_out", ".2f"),
        )
        for layer, found in layers.items()
    ]
    title = (
        f"What survives of {arm} at {100 * remaining[at]:.3g} %: initial "
        "weights within half a standard deviation of zero, way in the training "
        "before over that of pruned ones, connections a unit and an input "
        "against chance (1)"
    )
    return [TextTable(title, header, body)]
