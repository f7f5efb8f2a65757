"""Intervals: where a mean over seeds may lie, with 95 % confidence."""

import math
from typing import NamedTuple

import numpy as np
from scipy import special

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean and where it may lie."""

    mean: float
    low: float
    high: float


def interval(values: np.ndarray) -> Interval:
    """Returns the mean of values, one a seed, and its t interval.

    One value alone has an interval without ends.

    >>> [round(x, 3) for x in interval(np.array([1.0, 2.0, 3.0]))]
    [2.0, -0.484, 4.484]
    """
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean, -math.inf, math.inf)
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    return _around(mean, error, len(values) - 1)


def independent_interval(left: np.ndarray, right: np.ndarray) -> Interval:
    """Returns Welch's interval of the difference of two means."""
    mean = float(left.mean() - right.mean())
    if len(left) < 2 or len(right) < 2:
        return Interval(mean, -math.inf, math.inf)
    a, b = (float(x.var(ddof=1)) / len(x) for x in (left, right))
    if not a + b:
        return Interval(mean, mean, mean)
    # Welch and Satterthwaite's degrees of freedom.
    freedom = (a + b) ** 2 / (a**2 / (len(left) - 1) + b**2 / (len(right) - 1))
    return _around(mean, math.sqrt(a + b), freedom)


def _around(mean: float, error: float, freedom: float) -> Interval:
    # scipy.stats has all of this, and takes a second to import.
    half = error * float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2))
    return Interval(mean, mean - half, mean + half)
