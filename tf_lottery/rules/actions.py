"""Actions: what becomes of weights between two trainings.

A mask-1 action gives the starting values of the weights that are kept, a
mask-0 action the values at which pruned ones are frozen. Both are functions
from what is known of one kernel to an array of its shape, of which only the
kept or the pruned entries are used. An action names what it looks at:

    w_init     starting values of the round that is over, pruned ones included
    w_final    trained values; `w_init` where pruned before
    w_dense    starting values of round 0
    w_fresh    another draw from the initialiser
    mask       True where kept from now on
    pruned     True where pruned by this very round
    generator  a NumPy generator of this kernel and round

>>> import numpy as np
>>> signed_constant(np.array([-3.0, 1.0, -1.0, 3.0])).round(3).tolist()
[-2.236, 2.236, -2.236, 2.236]
>>> zero_if_shrunk(np.array([0.4, 0.4]), np.array([0.1, 0.5])).tolist()
[0.0, 0.4]

What an action made of `w_init` is the `w_init` of the next round, so reinits
and zeros accumulate over rounds, as in the code of Zhou et al. 2019. "Text"
and "code" below are that paper's.

References:
    Zhou et al. 2019, "Deconstructing Lottery Tickets", sections 3 (mask-1)
    and 4 (mask-0 actions), figures 4 and 5.
"""

import numpy as np

Generator = np.random.Generator


def rewind(w_init: np.ndarray) -> np.ndarray:
    """Returns `w_init`. For pruned weights: frozen at their initial values.

    References:
        Frankle & Carbin 2019, section 1. Zhou et al. 2019, "rewind", and
        "freeze at init" of figure 5.
    """
    return w_init


def reset(w_dense: np.ndarray) -> np.ndarray:
    """Returns the starting values of round 0, whatever came between.

    References:
        Frankle & Carbin 2019, appendix B: going back to the initial weights at
        the end only.
    """
    return w_dense


def keep(w_final: np.ndarray) -> np.ndarray:
    """Returns `w_final`: kept weights stay as the training left them.

    References:
        Zhou et al. 2022, section 3: what Knowledge Evolution and later-layer
        forgetting do with the weights that are not forgotten.
    """
    return w_final


def zero(w_init: np.ndarray) -> np.ndarray:
    """Returns zeros."""
    return np.zeros_like(w_init)


def zero_if_shrunk(w_init: np.ndarray, w_final: np.ndarray) -> np.ndarray:
    """Returns 0 where training moved a weight towards zero, `w_init` elsewhere.

    As mask-0 action it is variant 1 of figure 5; as mask-0 and mask-1 action
    it is variant 2, where kept weights that shrank start at zero and train.
    """
    return np.where(np.abs(w_init) > np.abs(w_final), 0, w_init)


def zero_if_grown(w_init: np.ndarray, w_final: np.ndarray) -> np.ndarray:
    """Returns 0 where a weight moved away from zero: variant 1 reversed."""
    return np.where(np.abs(w_init) < np.abs(w_final), 0, w_init)


def zero_shuffled(
    w_init: np.ndarray,
    w_final: np.ndarray,
    pruned: np.ndarray,
    generator: Generator,
) -> np.ndarray:
    """Returns as many zeros as variant 1 has, at random pruned places."""
    shrunk = np.abs(w_init) > np.abs(w_final)
    shrunk[pruned] = generator.permutation(shrunk[pruned])
    return np.where(shrunk, 0, w_init)


def reinit(w_init: np.ndarray, generator: Generator) -> np.ndarray:
    """Returns the whole layer's `w_init`, shuffled.

    So did the code; `reinit_fresh` is what the text says.
    """
    return generator.permutation(w_init.ravel()).reshape(w_init.shape)


def reinit_same_sign(w_init: np.ndarray, generator: Generator) -> np.ndarray:
    """Returns the magnitudes of `reinit` with the signs of `w_init`."""
    return np.abs(reinit(w_init, generator)) * np.sign(w_init)


def reinit_fresh(w_fresh: np.ndarray) -> np.ndarray:
    """Returns another draw from the initialiser.

    References:
        Frankle & Carbin 2019, section 2, "random reinitialization".
    """
    return w_fresh


def reinit_fresh_same_sign(
    w_init: np.ndarray, w_fresh: np.ndarray
) -> np.ndarray:
    """Returns the magnitudes of `reinit_fresh` with the signs of `w_init`."""
    return np.abs(w_fresh) * np.sign(w_init)


def reshuffle(
    w_init: np.ndarray, mask: np.ndarray, generator: Generator
) -> np.ndarray:
    """Returns `w_init` with the kept values shuffled among themselves."""
    shuffled = w_init.copy()
    shuffled[mask] = generator.permutation(w_init[mask])
    return shuffled


def reshuffle_same_sign(
    w_init: np.ndarray, mask: np.ndarray, generator: Generator
) -> np.ndarray:
    """Returns the magnitudes of `reshuffle` with the signs of `w_init`."""
    return np.abs(reshuffle(w_init, mask, generator)) * np.sign(w_init)


def constant(w_init: np.ndarray, generator: Generator) -> np.ndarray:
    """Returns the layer's standard deviation with shuffled signs."""
    return reinit(signed_constant(w_init), generator)


def signed_constant(w_init: np.ndarray) -> np.ndarray:
    """Returns the layer's standard deviation with each weight's own sign.

    `sign(w_init) * std(w_init)`, over the whole kernel, pruned weights
    included. A weight of exactly zero stays zero.

    References:
        Zhou et al. 2019, section 3, "constant, same sign", and section 5.
    """
    return (np.sign(w_init) * np.std(w_init)).astype(w_init.dtype)


def noisy_half(w_init: np.ndarray, generator: Generator) -> np.ndarray:
    """Returns `w_init` with noise of half its standard deviation.

    The noise is Gaussian, and the standard deviation that of the whole kernel,
    pruned weights included.

    References:
        Frankle & Carbin 2019, appendix F.7.
    """
    return _noisy(w_init, 0.5, generator)


def noisy_1(w_init: np.ndarray, generator: Generator) -> np.ndarray:
    """Returns `w_init` with noise of its standard deviation."""
    return _noisy(w_init, 1.0, generator)


def noisy_2(w_init: np.ndarray, generator: Generator) -> np.ndarray:
    """Returns `w_init` with noise of twice its standard deviation."""
    return _noisy(w_init, 2.0, generator)


def noisy_3(w_init: np.ndarray, generator: Generator) -> np.ndarray:
    """Returns `w_init` with noise of three times its standard deviation."""
    return _noisy(w_init, 3.0, generator)


def reinit_rescaled(
    w_dense: np.ndarray, mask: np.ndarray, generator: Generator
) -> np.ndarray:
    """Returns `reinit` of round 0's values, times `size / kept`."""
    return reinit(w_dense, generator) * _factor(mask)


def reinit_same_sign_rescaled(
    w_dense: np.ndarray, mask: np.ndarray, generator: Generator
) -> np.ndarray:
    """Returns `reinit_same_sign` of round 0's values, times `size / kept`."""
    return reinit_same_sign(w_dense, generator) * _factor(mask)


def constant_rescaled(
    w_dense: np.ndarray, mask: np.ndarray, generator: Generator
) -> np.ndarray:
    """Returns `constant` of round 0's values, times `size / kept`."""
    return constant(w_dense, generator) * _factor(mask)


def signed_constant_rescaled(
    w_dense: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """Returns `signed_constant` of round 0's values, times `size / kept`."""
    return signed_constant(w_dense) * _factor(mask)


def _factor(mask: np.ndarray) -> np.float32:
    # Dynamic Weight Rescaling, applied once to the starting values.
    return np.float32(mask.size / np.sum(mask))


def _noisy(
    w_init: np.ndarray, sigmas: float, generator: Generator
) -> np.ndarray:
    noise = generator.normal(0, sigmas * np.std(w_init), w_init.shape)
    return (w_init + noise).astype(w_init.dtype)
