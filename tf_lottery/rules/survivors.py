"""Survivors: which initial weights a round keeps, and how far they moved.

Measures of Frankle & Carbin 2019, appendix F, in numbers:

    near zero       fraction of the kept weights that started within half a
                    standard deviation of zero (F.1); about 0.4 of all
    moved           how far kept weights moved in the training before, over
                    how far those did that the round pruned (F.5)
    away from zero  fraction of the kept weights that ended further from zero
                    than they had started (F.5)
    uneven in       how unevenly a layer's units share its connections, their
                    incoming ones (F.6); see `unevenness`
    uneven out      how unevenly its inputs share them, as outgoing ones

>>> start = {"fc/kernel": np.float32([[-1.0, 0.1], [1.0, -0.1]])}
>>> end = {"fc/kernel": np.float32([[-2.0, 0.1], [1.5, -0.2]])}
>>> kept = {"fc/kernel": np.array([[True, False], [True, False]])}
>>> gone = {"fc/kernel": ~kept["fc/kernel"]}
>>> found = of_round(start, end, kept, gone, scale=start)
>>> round(found["moved"]["fc/kernel"], 3), found["away from zero"]["all"]
(15.0, 1.0)
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

Arrays = Mapping[str, np.ndarray]

NEAR = 0.5
"""Standard deviations of a layer's initial weights; normal ones are within
them with a probability of 0.38, truncated at two as Keras' with 0.40."""

METRICS = ("near zero", "moved", "away from zero", "uneven in", "uneven out")

Found = dict[str, dict[str, float]]
"""By measure and path, those of weights also of "all" layers together."""


def of_start(weights: Arrays, scale: Arrays) -> Found:
    """Returns which fraction of all weights is near zero, by path.

    Args:
        weights: The initial weights, by path.
        scale: Weights whose standard deviation is the unit of their layer.
    """
    every = {path: np.ones(w.shape, bool) for path, w in weights.items()}
    return {"near zero": _near_zero(weights, every, scale)}


def of_round(
    w_init: Arrays,
    w_final: Arrays,
    kept: Arrays,
    gone: Arrays,
    scale: Arrays,
) -> Found:
    """Returns the measures of the module for what a round kept.

    Args:
        w_init: Where weights started, by path.
        w_final: Where the training before the round took them.
        kept: True where the round kept a weight.
        gone: True where it pruned one that had been there.
        scale: Weights whose standard deviation is the unit of their layer.

    Returns:
        By measure and path; NaN where there is nothing to measure.
    """
    return {
        "near zero": _near_zero(w_init, kept, scale),
        "moved": _moved(w_init, w_final, kept, gone, scale),
        "away from zero": _away(w_init, w_final, kept),
        "uneven in": {p: unevenness(m, axis=-1) for p, m in kept.items()},
        "uneven out": {p: unevenness(m, axis=-2) for p, m in kept.items()},
    }


def unevenness(mask: np.ndarray, axis: int) -> float:
    """Returns how unevenly connections are shared, 1 if chance shares them.

    It is the variance of the numbers of connections along an axis over the
    variance that they have if each connection is kept as likely as any other.

    Args:
        mask: True where a connection is; the last axis is the layer's units,
            the one before its inputs.
        axis: -1 for the units' incoming connections, -2 for the inputs'
            outgoing ones.

    Returns:
        NaN if all connections are there, or none, or the kernel has one axis.
    """
    if mask.ndim < 2:
        return math.nan
    kept = np.moveaxis(mask.astype(bool), axis, 0)
    counts = kept.reshape(len(kept), -1).sum(axis=1)
    share = kept.mean()
    by_chance = kept[0].size * share * (1 - share)
    return float(counts.var() / by_chance) if by_chance else math.nan


def _near_zero(weights: Arrays, chosen: Arrays, scale: Arrays) -> dict:
    def near(path: str) -> tuple[float, float]:
        at = chosen[path].astype(bool)
        inside = np.abs(weights[path]) <= NEAR * scale[path].std()
        return float((inside & at).sum()), float(at.sum())

    return _fractions({path: near(path) for path in weights})


def _away(w_init: Arrays, w_final: Arrays, chosen: Arrays) -> dict:
    def away(path: str) -> tuple[float, float]:
        at = chosen[path].astype(bool)
        further = np.abs(w_final[path]) > np.abs(w_init[path])
        return float((further & at).sum()), float(at.sum())

    return _fractions({path: away(path) for path in w_init})


def _moved(
    w_init: Arrays, w_final: Arrays, kept: Arrays, gone: Arrays, scale: Arrays
) -> dict[str, float]:
    ways = {
        path: np.abs(w_final[path] - start) / (scale[path].std() or 1.0)
        for path, start in w_init.items()
    }

    def mean(chosen: Arrays) -> dict[str, float]:
        parts = {p: way[chosen[p].astype(bool)] for p, way in ways.items()}
        sums = {
            p: (part.sum(dtype=float), part.size) for p, part in parts.items()
        }
        return _fractions(sums)

    others = mean(gone)
    return {
        path: value / others[path] if others[path] else math.nan
        for path, value in mean(kept).items()
    }


def _fractions(
    parts: Mapping[str, Sequence[float]],
) -> dict[str, float]:
    """Returns the quotients of pairs, and that of their sums under "all"."""
    sums = np.array(list(parts.values()), float).reshape(-1, 2).sum(axis=0)
    return {
        path: float(part / whole) if whole else math.nan
        for path, (part, whole) in {**parts, "all": tuple(sums)}.items()
    }
