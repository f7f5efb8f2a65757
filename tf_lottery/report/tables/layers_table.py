"""Layers: what remains of each layer, and whether its weights kept their signs.

>>> rows = [
...     Record(0, "large_final", 3, 0, "fc1/kernel", "remaining", 0.512),
...     Record(0, "large_final", 3, 0, "fc1/kernel", "sign agreement", 0.9),
... ]
>>> collect(rows)
[Layer(seed=0, arm='large_final', round=3, layer='fc1/kernel', \
remaining=0.512, sign_agreement=0.9)]
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from tf_lottery.foundation.records import Record

METRICS = ("remaining", "sign agreement")


class Layer(NamedTuple):
    """One layer's mask in one round.

    Args:
        seed: The replicate.
        arm: The line of the figure or table.
        round: 0 is the first training.
        layer: The path of the layer's kernel, or "all".
        remaining: Fraction of its weights kept.
        sign_agreement: Fraction of those that ended the training before with
            the sign they had started with; NaN if not measured.
    """

    seed: int
    arm: str
    round: int
    layer: str
    remaining: float
    sign_agreement: float


def collect(records: Iterable[Record]) -> list[Layer]:
    """Returns a row for each layer of each mask, in the order of the records.

    Args:
        records: Records of `METRICS`; others are left out.
    """
    found: dict[tuple, dict[str, float]] = defaultdict(dict)
    for r in records:
        if r.metric in METRICS:
            found[r.seed, r.arm, r.round, r.where][r.metric] = round(r.value, 6)
    return [
        Layer(*key, *(values.get(metric, math.nan) for metric in METRICS))
        for key, values in found.items()
    ]
