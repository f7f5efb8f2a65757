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

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.rules.criteria import large_final


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


def n_of_m(
    n: int = 2,
    m: int = 4,
    criterion: Callable[..., np.ndarray] = large_final,
) -> Callable[..., np.ndarray]:
    """Returns the criterion that keeps the best `n` of every `m` inputs.

    Every `m` consecutive weights along the last axis but one of a kernel (the
    inputs of a dense layer, the input channels of a convolution), of one
    output and one place in space, are a group, which keeps exactly `n`: those
    with the highest scores, of equal ones the first. A last group of fewer
    weights keeps at most `n`, and so does one that has fewer left.

    What it returns names the arguments of `criterion`, and `mask`; and gives
    booleans, so it has no rate. Kernels whose last axis but one is not what
    is summed over (of transposed and depthwise convolutions, of attention)
    gain no speed by it.

    Args:
        n: How many to keep.
        m: Of how many.
        criterion: That scores weights.

    Raises:
        InvalidValue: `n` or `m` is no whole number of at least 1, `n` is
            larger than `m`, or `criterion` is no function; later, a kernel
            has one axis only, or `criterion` gives booleans or NaN.

    References:
        Mishra et al. 2021, "Accelerating Sparse Deep Neural Networks",
        section 3: 2 of 4 is what NVIDIA's sparse tensor cores compute with.

    >>> w = np.array([[5], [1], [-7], [2], [3], [0], [0], [1]])
    >>> n_of_m(2, 4)(w).ravel().astype(int).tolist()
    [1, 0, 1, 0, 1, 0, 0, 1]
    """
    checks.positive_int("n of n_of_m", n)
    checks.positive_int("m of n_of_m", m)
    if n > m:
        raise InvalidValue(f"expected n of at most m, received {n} of {m}")
    if not callable(criterion) or isinstance(criterion, type):
        raise InvalidValue(
            "expected criterion of n_of_m to be a function such as "
            f"large_final, received {criterion!r}"
        )
    # A `partial` of keywords has an identity (`foundation.identity`), which a
    # function within this one would not have.
    best: Any = functools.partial(_n_of_m, n=n, m=m, criterion=criterion)
    named = dict(inspect.signature(criterion).parameters)
    if "mask" not in named:
        kind = inspect.Parameter.KEYWORD_ONLY
        named["mask"] = inspect.Parameter("mask", kind)
    best.__signature__ = inspect.Signature(list(named.values()))
    best.__qualname__ = f"n_of_m({n}, {m})"
    return best


def _n_of_m(
    *args: np.ndarray,
    n: int,
    m: int,
    criterion: Callable[..., np.ndarray],
    mask: np.ndarray | None = None,
    **named: np.ndarray | None,
) -> np.ndarray:
    if "mask" in inspect.signature(criterion).parameters:
        named["mask"] = mask
    scores = np.asarray(criterion(*args, **named))
    there = np.ones(scores.shape, bool) if mask is None else mask.astype(bool)
    return best(scores, there, n, m)
