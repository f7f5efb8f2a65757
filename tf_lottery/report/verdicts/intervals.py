"""Estimates: a mean over seeds, where it may lie, and how sure that is."""

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


class Estimate(NamedTuple):
    """A mean, or a difference of two, with Student's t around it.

    Args:
        mean: The mean.
        error: Its standard error; infinite of one value.
        freedom: The degrees of freedom of t.
    """

    mean: float
    error: float
    freedom: float

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Returns the interval with this confidence, without ends of one value.

        >>> found = estimate(np.array([1.0, 2.0, 3.0])).interval()
        >>> [round(x, 3) for x in found]
        [2.0, -0.484, 4.484]
        """
        if math.isinf(self.error):
            return Interval(self.mean, -math.inf, math.inf)
        # scipy.stats has all of this, and takes a second to import.
        t = float(special.stdtrit(self.freedom, (1 + confidence) / 2))
        half = self.error * t
        return Interval(self.mean, self.mean - half, self.mean + half)

    def p_above(self, value: float) -> float:
        """Returns the p of "it is not above the value".

        >>> round(estimate(np.array([1.0, 2.0, 3.0])).p_above(0.0), 4)
        0.0371
        """
        if math.isinf(value):
            return 0.0 if value < 0 else 1.0
        if math.isinf(self.error):
            return 0.5
        distance = self.mean - value
        if not self.error:
            return 0.0 if distance > 0 else 1.0
        return float(special.stdtr(self.freedom, -distance / self.error))

    def p_below(self, value: float) -> float:
        """Returns the p of "it is not below the value"."""
        return Estimate(-self.mean, self.error, self.freedom).p_above(-value)


def estimate(values: np.ndarray) -> Estimate:
    """Returns what is known of the mean of values, one a seed."""
    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean, math.inf, 1)
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    return Estimate(mean, error, len(values) - 1)


def independent_estimate(left: np.ndarray, right: np.ndarray) -> Estimate:
    """Returns what is known, after Welch, of the difference of two means."""
    mean = float(left.mean() - right.mean())
    if len(left) < 2 or len(right) < 2:
        return Estimate(mean, math.inf, 1)
    a, b = (float(x.var(ddof=1)) / len(x) for x in (left, right))
    if not a + b:
        return Estimate(mean, 0.0, len(left) + len(right) - 2)
    # Welch and Satterthwaite's degrees of freedom.
    freedom = (a + b) ** 2 / (a**2 / (len(left) - 1) + b**2 / (len(right) - 1))
    return Estimate(mean, math.sqrt(a + b), freedom)


def holm(ps: list[float]) -> list[float]:
    """Returns each p after Holm's correction for all of them.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]

    References:
        Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    corrected = [1.0] * len(ps)
    highest = 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[i]))
        corrected[i] = highest
    return corrected
