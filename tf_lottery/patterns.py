"""Patterns: masks whose every group has the same number of weights.

Hardware that skips pruned weights wants to know where they are. Of every `m`
consecutive weights along the inputs of a kernel, `n` are kept: 2 of 4 is what
NVIDIA's sparse tensor cores compute with.

>>> scores = np.array([[5.0], [1.0], [7.0], [2.0], [3.0], [0.0]])
>>> best(scores, np.ones(scores.shape, bool), n=2, m=4).ravel().tolist()
[True, False, True, False, True, True]

References:
    Mishra et al. 2021, "Accelerating Sparse Deep Neural Networks", section 3.
"""

import numpy as np

from tf_lottery.checks import InvalidValue


def best(scores: np.ndarray, mask: np.ndarray, n: int, m: int) -> np.ndarray:
    """Returns which weights are among the best `n` of their group.

    Args:
        scores: Of a kernel, `[..., inputs, outputs]`; of equal ones, the first
            is kept.
        mask: Which weights are left, of the same shape. Others are not kept,
            and so a group may have less than `n`.
        n: How many to keep.
        m: Of how many; a last group may have less.

    Returns:
        Booleans of the kernel's shape.

    Raises:
        InvalidValue: The kernel has one axis only, or the scores are booleans
            or NaN.
    """
    if scores.ndim < 2:
        raise InvalidValue(
            "expected a kernel of two or more axes, inputs and outputs, for "
            f"{n} of {m}, received shape {scores.shape}"
        )
    if scores.dtype == bool or np.isnan(scores[mask]).any():
        raise InvalidValue(
            f"expected a criterion that gives numbers for {n} of {m}, "
            f"received {'booleans' if scores.dtype == bool else 'NaN'}"
        )
    left = _grouped(mask, m)
    values = _grouped(scores, m).astype(np.float64)
    # What is pruned is lower than anything, also than minus infinity.
    order = np.lexsort((-values, ~left))
    kept = np.zeros(left.shape, bool)
    np.put_along_axis(kept, order[..., :n], True, axis=-1)
    flat = (kept & left).reshape(*left.shape[:-2], -1)
    return np.swapaxes(flat[..., : scores.shape[-2]], -1, -2)


def _grouped(values: np.ndarray, m: int) -> np.ndarray:
    """Returns `[..., outputs, groups, m]`, filled up with zeros."""
    values = np.swapaxes(values, -1, -2)
    missing = -values.shape[-1] % m
    values = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)])
    return values.reshape(*values.shape[:-1], -1, m)
