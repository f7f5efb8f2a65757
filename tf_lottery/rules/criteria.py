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

A criterion of your own is a function in a module of your own;
docs/extend/criterion.md has an example.

Unless a docstring says otherwise, the names and formulas are those of Zhou et
al. 2019, "Deconstructing Lottery Tickets", section 2 and figure 2. Ties are
broken at random by `pruning.prune`.
"""

import numpy as np


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

    The control of `large_init_large_final`, as the paper's code had it; see
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


def _same_sign(w_init: np.ndarray, w_final: np.ndarray) -> np.ndarray:
    return np.sign(w_init) * np.sign(w_final) > 0


def _flipped(w_init: np.ndarray, w_final: np.ndarray) -> np.ndarray:
    return np.sign(w_init) * np.sign(w_final) < 0


def _rank(values: np.ndarray) -> np.ndarray:
    """Returns how many values are smaller, so that equals rank alike."""
    return np.searchsorted(np.sort(values, axis=None), values)
