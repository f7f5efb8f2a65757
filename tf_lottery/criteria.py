"""Mask criteria: how much each weight deserves to be kept.

A criterion is a function from what is known of one kernel to a score for each
of its weights, **high = keep**. It names what it looks at, and gets that:

    w_init             starting values of the round, 0 where pruned before
    w_final            trained values, 0 where pruned before
    mask               True where not pruned before
    gradient           of the loss at the dense network's initial weights
    hessian_gradient   Hessian of the loss times that gradient
    flow               derivative of the synaptic flow

All are arrays of the kernel's shape, and so are the scores. A criterion that
returns booleans has no rate: it says itself which weights are kept. The last
two are known to `tf_lottery.prune_model`, and not to experiments.

>>> import numpy as np
>>> w_init, w_final = np.array([0.5, -0.2, 0.1]), np.array([0.6, 0.3, 0.1])
>>> large_final(w_final).tolist()
[0.6, 0.3, 0.1]
>>> large_final_same_sign(w_init, w_final).tolist()
[0.6, 0.0, 0.1]
>>> large_final_same_sign_single(w_init, w_final).tolist()
[True, False, True]

A criterion of your own is a function in a module of your own; the README has
an example.

Unless a docstring says otherwise, the names and formulas are those of Zhou et
al. 2019, "Deconstructing Lottery Tickets", section 2 and figure 2. Ties are
broken at random by `pruning.prune`.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tf_lottery import checks, patterns
from tf_lottery.checks import InvalidValue


def large_final(w_final: np.ndarray) -> np.ndarray:
    """Returns `|w_final|`: the criterion of the lottery tickets.

    References:
        Frankle & Carbin 2019, section 1.
    """
    return np.abs(w_final)


def small_final(w_final: np.ndarray) -> np.ndarray:
    """Returns `-|w_final|`: the control of `large_final`."""
    return -np.abs(w_final)


def random(w_final: np.ndarray) -> np.ndarray:
    """Returns a tie between all weights, which is broken at random."""
    return np.zeros_like(w_final)


def large_init(w_init: np.ndarray) -> np.ndarray:
    """Returns `|w_init|`."""
    return np.abs(w_init)


def small_init(w_init: np.ndarray) -> np.ndarray:
    """Returns `-|w_init|`: the control of `large_init`."""
    return -np.abs(w_init)


def large_init_large_final(
    w_init: np.ndarray, w_final: np.ndarray
) -> np.ndarray:
    """Returns the lower of the ranks of `|w_init|` and `|w_final|`.

    A weight is kept if both magnitudes are above the same percentile. So did
    the code that made the paper's figures; the paper's text has a factor
    between the two magnitudes, see `large_init_large_final_by_value`.
    """
    return np.minimum(_rank(np.abs(w_init)), _rank(np.abs(w_final)))


def large_init_large_final_by_value(
    w_init: np.ndarray, w_final: np.ndarray, alpha: float = 1.0
) -> np.ndarray:
    """Returns `min(alpha |w_init|, |w_final|)`, as the text has it."""
    return np.minimum(alpha * np.abs(w_init), np.abs(w_final))


def small_init_small_final(
    w_init: np.ndarray, w_final: np.ndarray
) -> np.ndarray:
    """Returns minus the higher of the ranks of `|w_init|` and `|w_final|`.

    The control of `large_init_large_final`, likewise as the code had it; see
    `small_init_small_final_by_value` for the text's reading.
    """
    return -np.maximum(_rank(np.abs(w_init)), _rank(np.abs(w_final)))


def small_init_small_final_by_value(
    w_init: np.ndarray, w_final: np.ndarray, alpha: float = 1.0
) -> np.ndarray:
    """Returns `-max(alpha |w_init|, |w_final|)`, as the text has it."""
    return -np.maximum(alpha * np.abs(w_init), np.abs(w_final))


def magnitude_increase(w_init: np.ndarray, w_final: np.ndarray) -> np.ndarray:
    """Returns `|w_final| - |w_init|`."""
    return np.abs(w_final) - np.abs(w_init)


def movement(w_init: np.ndarray, w_final: np.ndarray) -> np.ndarray:
    """Returns `|w_final - w_init|`."""
    return np.abs(w_final - w_init)


def large_final_same_sign(
    w_init: np.ndarray, w_final: np.ndarray
) -> np.ndarray:
    """Returns `|w_final|` where the sign stayed, 0 elsewhere.

    References:
        Zhou et al. 2019, section 5: the best heuristic supermask.
    """
    return np.where(_same_sign(w_init, w_final), np.abs(w_final), 0)


def large_final_diff_sign(
    w_init: np.ndarray, w_final: np.ndarray
) -> np.ndarray:
    """Returns `|w_final|` where the sign flipped, 0 elsewhere."""
    return np.where(_flipped(w_init, w_final), np.abs(w_final), 0)


def large_final_same_sign_single(
    w_init: np.ndarray, w_final: np.ndarray
) -> np.ndarray:
    """Returns which weights kept their sign: a mask without a rate."""
    return _same_sign(w_init, w_final)


def large_final_diff_sign_single(
    w_init: np.ndarray, w_final: np.ndarray
) -> np.ndarray:
    """Returns which weights changed their sign: a mask without a rate."""
    return _flipped(w_init, w_final)


def magnitude_increase_same_sign(
    w_init: np.ndarray, w_final: np.ndarray
) -> np.ndarray:
    """Returns `|w_final| - |w_init|` where the sign stayed, 0 elsewhere.

    Mind that weights which shrank have negative scores, and so go before
    those whose sign flipped. That is how the paper's code has it; the
    criterion that the name promises is `magnitude_increase_same_sign_strict`.
    """
    increase = magnitude_increase(w_init, w_final)
    return np.where(_same_sign(w_init, w_final), increase, 0)


def magnitude_increase_same_sign_strict(
    w_init: np.ndarray, w_final: np.ndarray
) -> np.ndarray:
    """Returns the same with minus infinity where the sign flipped."""
    increase = magnitude_increase(w_init, w_final)
    return np.where(_same_sign(w_init, w_final), increase, -np.inf)


def magnitude_increase_diff_sign(
    w_init: np.ndarray, w_final: np.ndarray
) -> np.ndarray:
    """Returns `|w_final| - |w_init|` where the sign flipped, 0 elsewhere."""
    increase = magnitude_increase(w_init, w_final)
    return np.where(_flipped(w_init, w_final), increase, 0)


def magnitude_increase_diff_sign_strict(
    w_init: np.ndarray, w_final: np.ndarray
) -> np.ndarray:
    """Returns the same with minus infinity where the sign stayed."""
    increase = magnitude_increase(w_init, w_final)
    return np.where(_flipped(w_init, w_final), increase, -np.inf)


def snip(w_init: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Returns `|gradient * w_init|`.

    References:
        Lee et al. 2019, "SNIP", section 4; layer-wise here, as in the code of
        Zhou et al. 2019, unless the scope is global.
    """
    return np.abs(gradient * w_init)


def grad(gradient: np.ndarray) -> np.ndarray:
    """Returns `|gradient|`."""
    return np.abs(gradient)


def grasp(w_init: np.ndarray, hessian_gradient: np.ndarray) -> np.ndarray:
    """Returns `w_init * hessian_gradient`, with its sign.

    Without a weight, the squared norm of the gradient changes by about
    `-2 w_init * hessian_gradient`. What raises it most is removed first: a
    large gradient is a loss that falls quickly.

    References:
        Wang et al. 2020, "Picking Winning Tickets Before Training by
        Preserving Gradient Flow", section 4.1 (GraSP). Its score is minus
        ours, and the largest ones are removed there; global.
    """
    return w_init * hessian_gradient


def synflow(w_init: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Returns `|flow * w_init|`.

    References:
        Tanaka et al. 2020, "Pruning neural networks without any data by
        iteratively conserving synaptic flow", section 5 (SynFlow); global,
        in 100 rounds.
    """
    return np.abs(flow * w_init)


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
    # A `partial` of keywords has an identity (`tf_lottery.identity`), which a
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
    return patterns.best(scores, there, n, m)


def _same_sign(w_init: np.ndarray, w_final: np.ndarray) -> np.ndarray:
    return np.sign(w_init) * np.sign(w_final) > 0


def _flipped(w_init: np.ndarray, w_final: np.ndarray) -> np.ndarray:
    return np.sign(w_init) * np.sign(w_final) < 0


def _rank(values: np.ndarray) -> np.ndarray:
    """Returns how many values are smaller, so that equals rank alike."""
    return np.searchsorted(np.sort(values, axis=None), values)
