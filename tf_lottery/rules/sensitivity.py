"""Sensitivity: criteria of what the loss would say about a weight's loss.

They look at derivatives (`gradient`, `hessian_gradient`, `flow`) and need no
training; like the others (`rules.criteria`) they give a score for each weight
of a kernel, **high = keep**.

>>> w_init, gradient = np.array([2.0, -1.0]), np.array([0.5, 3.0])
>>> snip(w_init, gradient).tolist()
[1.0, 3.0]
"""

import numpy as np


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
