"""Trainings: the central idea as a value.

A training is a pure function of (recipe, ticket, seed), and `Training` is
what goes into it: what an engine trains, a store finds, a worker is sent.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from tf_lottery.foundation import identity
from tf_lottery.rules.tickets import Ticket
from tf_lottery.training.peers.tfmot_schedule import PeerPruning
from tf_lottery.training.recipes import Recipe

FORMAT = 3
"""Part of every key; raised when the same recipe comes to mean something
else, so that results from before are not taken for it."""


@dataclass(frozen=True, eq=False)
class Training:
    """What decides a training's result, but for the examples' contents.

    Args:
        recipe: How to train, on what.
        ticket: From where.
        seed: Of the order of examples, and of random masks.
        peer: What another library prunes while it trains the network. None
            is a training of our own.
    """

    recipe: Recipe
    ticket: Ticket
    seed: int
    peer: PeerPruning | None = None

    @functools.cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """Every array of the ticket, by variable path."""
        return self.ticket.arrays()

    @functools.cached_property
    def _inputs(self) -> dict[str, Any]:
        inputs: dict[str, Any] = {
            "format": FORMAT,
            "recipe": self.recipe,
            "ticket": self.arrays,
            "seed": self.seed,
        }
        if self.peer:
            inputs |= self.peer.identity()
        return identity.canonical(inputs)

    def key(self, fingerprint: str) -> str:
        """Returns the hash of all that decides the result.

        Args:
            fingerprint: Of the examples, from the task's opened source.

        Raises:
            PeerError: The peer is not installed.
        """
        return identity.digest({**self._inputs, "data": fingerprint})
