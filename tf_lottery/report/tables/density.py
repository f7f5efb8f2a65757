"""Density: where the kept and the pruned weights started and ended.

Tables of the arrays that `tf_lottery.rules.weight_plane` made, one bin a row.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from tf_lottery.foundation.records import Snapshot

FATES = ("kept", "pruned")


class Bin(NamedTuple):
    """A bin of the plane that is not empty.

    Args:
        arm: The line of the figure or table.
        seed: The replicate.
        round: In which the weights were kept or pruned.
        fate: "kept" or "pruned".
        x: Number of the bin of the initial weight, ascending from 0.
        y: Number of the bin of the final weight.
        weights: How many lie there.
    """

    arm: str
    seed: int
    round: int
    fate: str
    x: int
    y: int
    weights: int


def bins(snapshots: Iterable[Snapshot]) -> Iterator[Bin]:
    """Yields the bins of snapshots that have densities.

    Snapshots that show the same as one before are left out.
    """
    seen: list[np.ndarray] = []
    for snapshot in snapshots:
        names = [f"density {fate}" for fate in FATES]
        if not snapshot.arrays.keys() >= set(names):
            continue
        both = np.stack([snapshot.arrays[name] for name in names])
        if any(np.array_equal(both, other) for other in seen):
            continue
        seen.append(both)
        for fate, counts in zip(FATES, both, strict=True):
            for x, y in np.argwhere(counts):
                yield Bin(
                    snapshot.arm,
                    snapshot.seed,
                    snapshot.round,
                    fate,
                    int(x),
                    int(y),
                    int(counts[x, y]),
                )
