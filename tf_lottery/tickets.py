"""Tickets: everything that a training starts from.

A ticket is the answer to "which network?" with all numbers filled in: the
starting weights, the mask over them, what pruned weights are frozen at, and
the rest of the state (biases, normalisation, logits of a learned mask), each
by the path of its variable. `tf_lottery.variables` reads one out of a model
and loads it into a model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Ticket:
    """What a training starts from, by variable path.

    Args:
        weights: Starting values of the prunable kernels, `fc1/kernel`.
        state: All other variables of the model, masks included.
    """

    weights: Arrays
    state: Arrays

    def with_weights(
        self, action: Callable[[np.ndarray], np.ndarray]
    ) -> "Ticket":
        """Returns the ticket with `action` applied to each kernel."""
        weights = {path: action(w) for path, w in self.weights.items()}
        return replace(self, weights=weights)

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns every array of the ticket by variable path."""
        return {**self.weights, **self.state}
