"""Overlap: how much masks have in common, against what chance would give.

The measure is Jaccard's: weights that both masks keep over weights that at
least one keeps. Two random masks that keep a and b of a layer's n weights have
a * b / n in common, so that even unrelated masks that keep most weights overlap
much: compare with that.

>>> left = {"k": np.array([1, 1, 0, 0], bool)}
>>> right = {"k": np.array([1, 0, 1, 0], bool)}
>>> jaccard(left, right), chance(left, right)
(0.3333333333333333, 0.3333333333333333)
"""

import itertools
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tf_lottery.foundation.records import Snapshot

Masks = Mapping[str, np.ndarray]


class Overlap(NamedTuple):
    """What two masks of one round have in common.

    Args:
        between: "arms" of one seed, or "seeds" of one arm.
        arm: The arm of the first mask.
        other: The arm of the second mask; equal to `arm` between seeds.
        round: 0 is the first training.
        layer: The path of the layer's kernel, or "all".
        pairs: How many pairs of masks the numbers are of.
        jaccard: The measure of the module, mean over the pairs.
        lowest: The lowest value of a pair.
        highest: The highest value of a pair.
        chance: What independent masks would have, mean over the pairs.
    """

    between: str
    arm: str
    other: str
    round: int
    layer: str
    pairs: int
    jaccard: float
    lowest: float
    highest: float
    chance: float


def jaccard(left: Masks, right: Masks) -> float:
    """Returns what fraction of the weights in either mask is in both."""
    both = sum(int((left[p] & right[p]).sum()) for p in left)
    either = sum(int((left[p] | right[p]).sum()) for p in left)
    return both / either if either else 1.0


def chance(left: Masks, right: Masks) -> float:
    """Returns `jaccard` of random masks that keep as many of each layer.

    Both and either are taken at their expected numbers; their quotient is off
    by a fraction of the order of one over the number of weights.
    """
    both = either = 0.0
    for path, mask in left.items():
        a, b = int(mask.sum()), int(right[path].sum())
        both += a * b / mask.size
        either += a + b - a * b / mask.size
    return both / either if either else 1.0


def of_round(
    snapshots: Iterable[Snapshot], arms: Sequence[str]
) -> Iterator[Overlap]:
    """Yields what the masks of one round have in common.

    Arms with the same masks as an earlier one, in all seeds, are left out, and
    so are pairs of arms whose networks have other shapes.

    Args:
        snapshots: Those of the round; without arrays "mask <path>", one is
            left out.
        arms: The arms in the order of the legend.
    """
    masks: dict[str, dict[int, Masks]] = {}
    number = 0
    for snapshot in snapshots:
        found = masks_of(snapshot)
        if found:
            masks.setdefault(snapshot.arm, {})[snapshot.seed] = found
            number = snapshot.round
    different: list[str] = []
    for arm in arms:
        if arm in masks and not any(
            _equal(masks[arm], masks[other]) for other in different
        ):
            different.append(arm)
    for arm, other in itertools.combinations(different, 2):
        if _shapes(masks[arm]) != _shapes(masks[other]):
            continue
        seeds = sorted(masks[arm].keys() & masks[other].keys())
        pairs = [(masks[arm][s], masks[other][s]) for s in seeds]
        yield from _compare("arms", arm, other, number, pairs, layers=False)
    for arm in different:
        of_seeds = [masks[arm][seed] for seed in sorted(masks[arm])]
        pairs = list(itertools.combinations(of_seeds, 2))
        yield from _compare("seeds", arm, arm, number, pairs, layers=True)


def masks_of(snapshot: Snapshot) -> dict[str, np.ndarray]:
    """Returns the masks of a snapshot by kernel path; none if it has none."""
    prefix = "mask "
    return {
        name.removeprefix(prefix): array
        for name, array in snapshot.arrays.items()
        if name.startswith(prefix)
    }


def _shapes(of_seeds: Mapping[int, Masks]) -> dict[str, tuple[int, ...]]:
    first = next(iter(of_seeds.values()))
    return {path: mask.shape for path, mask in first.items()}


def _equal(left: Mapping[int, Masks], right: Mapping[int, Masks]) -> bool:
    alike = left.keys() == right.keys() and _shapes(left) == _shapes(right)
    return alike and all(
        np.array_equal(mask, right[seed][path])
        for seed, masks in left.items()
        for path, mask in masks.items()
    )


def _compare(
    between: str,
    arm: str,
    other: str,
    round: int,
    pairs: Sequence[tuple[Masks, Masks]],
    layers: bool,
) -> Iterator[Overlap]:
    if not pairs:
        return
    paths = list(pairs[0][0])
    for layer in [*(paths if layers else []), "all"]:
        chosen = paths if layer == "all" else [layer]
        values, expected = [], []
        for left, right in pairs:
            left, right = ({p: m[p] for p in chosen} for m in (left, right))
            values.append(jaccard(left, right))
            expected.append(chance(left, right))
        numbers = (
            statistics.fmean(values),
            min(values),
            max(values),
            statistics.fmean(expected),
        )
        yield Overlap(
            between,
            arm,
            other,
            round,
            layer,
            len(pairs),
            *(float(f"{number:.6f}") for number in numbers),
        )
