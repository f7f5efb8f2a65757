"""Actions: what becomes of weights between two trainings.

A mask-1 action gives the starting values of the weights that are kept.

>>> import numpy as np
>>> signed_constant(np.array([-3.0, 1.0, -1.0, 3.0])).round(3).tolist()
[-2.236, 2.236, -2.236, 2.236]
"""

import numpy as np


def rewind(w_init: np.ndarray) -> np.ndarray:
    """Returns the initial weights: `w_init`.

    References:
        Frankle & Carbin 2019, section 1. Zhou et al. 2019, section 3.2,
        "rewind".
    """
    return w_init


def signed_constant(w_init: np.ndarray) -> np.ndarray:
    """Returns the layer's standard deviation with each weight's own sign.

    `sign(w_init) * std(w_init)`, over the whole kernel, pruned weights
    included. A weight of exactly zero stays zero.

    References:
        Zhou et al. 2019, section 3.2, "constant, same sign", and section 5.
    """
    return (np.sign(w_init) * np.std(w_init)).astype(w_init.dtype)
