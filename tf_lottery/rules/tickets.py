"""Tickets: everything that a training starts from.

A ticket is the answer to "which network?" with all numbers filled in: the
starting weights, the mask over them, what pruned weights are frozen at, and
the rest of the state (biases, normalisation, logits of a learned mask), each
by the path of its variable. `masking.model_state` reads one out of a
model and loads it into a model.

What a ticket becomes after a training is said in `rules.forgetting`.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.rules import ticket_files

Arrays = Mapping[str, np.ndarray]
Function = Callable[..., np.ndarray]

MASK_STATE = ("value", "frozen")
"""What a fixed mask adds to the state, `fc1/kernel_mask/value`."""


@dataclass(frozen=True, eq=False)
class Ticket:
    """What a training starts from, by variable path.

    Args:
        weights: Starting values of the prunable kernels, `fc1/kernel`. Those
            of pruned weights take no part in a training; actions that look at
            a whole layer see them.
        state: All other variables of the model, masks and the values of
            pruned weights included.
    """

    weights: Arrays
    state: Arrays

    def __repr__(self) -> str:
        total = sum(w.size for w in self.weights.values())
        kept = sum(
            int(np.sum(self.state.get(f"{path}_mask/value", w.size)))
            for path, w in self.weights.items()
        )
        return f"<Ticket: {kept:,} of {total:,} weights>"

    @property
    def masks(self) -> dict[str, np.ndarray]:
        """The masks by kernel path, True = kept.

        Raises:
            InvalidValue: The masks are learned, and so not part of a ticket.
        """
        return self._of_masks("value")

    @property
    def frozen(self) -> dict[str, np.ndarray]:
        """What pruned weights are held at, by kernel path."""
        return self._of_masks("frozen")

    def with_weights(self, action: Function) -> "Ticket":
        """Returns the ticket with `action` applied to each kernel."""
        weights = {path: action(w) for path, w in self.weights.items()}
        return replace(self, weights=weights)

    def with_state(self, state: Arrays) -> "Ticket":
        """Returns the ticket with some variables of its state replaced."""
        return replace(self, state={**self.state, **state})

    def pruned(
        self, weights: Arrays, masks: Arrays, frozen: Arrays
    ) -> "Ticket":
        """Returns the ticket with other weights and masks."""
        state = dict(self.state)
        for path in weights:
            state[f"{path}_mask/value"] = masks[path]
            state[f"{path}_mask/frozen"] = frozen[path]
        return Ticket(weights, state)

    @property
    def of_masks(self) -> dict[str, str]:
        """The kernel's path by the path of each part of its fixed mask."""
        return {f"{p}_mask/{n}": p for p in self.weights for n in MASK_STATE}

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns every array of the ticket by variable path.

        Kernels are as a layer uses them, with the frozen values where they
        are pruned: tickets that start the same training are equal here.
        """
        weights = dict(self.weights)
        for path in weights:
            if f"{path}_mask/value" in self.state:
                mask = self.state[f"{path}_mask/value"]
                frozen = self.state[f"{path}_mask/frozen"]
                weights[path] = np.where(mask, weights[path], frozen)
        return {**weights, **self.state}

    def save(self, path: str | os.PathLike) -> None:
        """Writes the ticket into a small file; see `ticket_files`.

        Raises:
            InvalidValue: The masks are learned, and so not part of a ticket.
            StorageError: The file could not be written; what was there before
                stays.
        """
        masks, frozen = self.masks, self.frozen
        of_masks = self.of_masks
        state = {p: v for p, v in self.state.items() if p not in of_masks}
        ticket_files.write(
            path, self.weights, masks, frozen, state, list(self.state)
        )

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Ticket":
        """Returns the ticket in a file, pruned weights starting at zero.

        Raises:
            FileNotFoundError: It is not there.
            InvalidValue: It holds no ticket, or is damaged.
        """
        weights, masks, frozen, state, order = ticket_files.read(path)
        whole = cls(weights, state).pruned(weights, masks, frozen).state
        return cls(weights, {name: whole[name] for name in order})

    def _of_masks(self, name: str) -> dict[str, np.ndarray]:
        try:
            return {p: self.state[f"{p}_mask/{name}"] for p in self.weights}
        except KeyError as error:
            raise InvalidValue(
                "expected a ticket of a model with fixed masks, received one "
                f"without {error}"
            ) from error
