"""Channels: which of a network's can be taken out without a trace.

A channel is one entry of the last axis of a tensor. Each has a number, which
it keeps on its way through layers that treat channels one by one, and for as
long as it is dead a value: what it is for every example at every place. NaN
says that it varies.

A convolution or dense layer makes new channels and reads others; where tensors
are added, their channels are united, since they can only go together. What is
needed is then found backwards, from the outputs of the network: a channel that
varies is needed by those that read it if they are needed. One that is dead
need not be read, its value goes into the bias of those that would.

>>> wiring = Wiring()
>>> hidden = wiring.new(np.array([np.nan, 0.5, np.nan]))
>>> output = wiring.new(np.array([np.nan]))
>>> wiring.read(hidden, output, np.array([[1], [0], [0]], bool), "fc2")
>>> wiring.need(output, "an output")
>>> wiring.solve()
>>> wiring.needed(hidden).tolist()  # one is dead, the other is not read
[True, False, False]
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Channels:
    """The channels of a tensor.

    Args:
        ids: Their numbers, `[C]`. What was flattened has each many times.
        values: Of those that are dead, NaN for the others, `[C]`.
    """

    ids: np.ndarray
    values: np.ndarray

    @property
    def vary(self) -> np.ndarray:
        """Which are not dead, `[C]`."""
        return np.isnan(self.values)


@dataclass(frozen=True, eq=False)
class Reading:
    """What a layer reads and makes.

    Args:
        inputs: `[I]`.
        outputs: `[O]`.
        reads: Which output cannot do without which input, `[I, O]`.
        name: Of the layer.
    """

    inputs: Channels
    outputs: Channels
    reads: np.ndarray
    name: str


class Wiring:
    """How the channels of a network hang together."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._readings: list[Reading] = []
        self._needs: list[tuple[Channels, str]] = []
        self._notes: list[tuple[np.ndarray, str]] = []
        self._why: dict[int, str] = {}

    def new(self, values: np.ndarray) -> Channels:
        """Returns new channels with values `[C]`."""
        first = len(self._parents)
        self._parents += range(first, first + len(values))
        return Channels(np.arange(first, first + len(values)), values)

    def unite(self, some: Channels, others: Channels) -> None:
        """Says that channels can only go in pairs, `[C]` and `[C]`."""
        pairs = np.stack([some.ids, others.ids], 1)
        for one, other in np.unique(pairs, axis=0).tolist():
            self._parents[self._root(other)] = self._root(one)

    def need(self, channels: Channels, why: str) -> None:
        """Says that channels must stay."""
        self._needs.append((channels, why))

    def read(
        self,
        inputs: Channels,
        outputs: Channels,
        reads: np.ndarray,
        name: str,
    ) -> None:
        """Says that a layer makes channels of others; see `Reading`."""
        self._readings.append(Reading(inputs, outputs, reads, name))

    def note(self, ids: np.ndarray, why: str) -> None:
        """Says why channels that are dead may have to stay."""
        self._notes.append((ids, why))

    def solve(self) -> None:
        """Finds what is needed; each layer keeps at least one channel."""
        for channels, why in self._needs:
            self._mark(channels.ids, why)
        self._spread()
        for reading in reversed(self._readings):
            if not self.needed(reading.outputs).any():
                # Rather one that reads nothing, so that it holds no other.
                last = reading.outputs.ids[reading.reads.sum(0).argmin()]
                self._mark(np.array([last]), "one channel has to stay")
                self._spread()
        for ids, why in self._notes:
            for root in self._why.keys() & self._roots(ids):
                self._why[root] = why

    def needed(self, channels: Channels) -> np.ndarray:
        """Returns which must stay, `[C]` bool."""
        return np.array([r in self._why for r in self._roots(channels.ids)])

    def why(self, channels: Channels) -> list[str]:
        """Returns why each must stay, "" if it need not."""
        return [self._why.get(r, "") for r in self._roots(channels.ids)]

    def _spread(self) -> None:
        """Follows what is needed to what that reads, to the inputs."""
        before = -1
        while before < len(self._why):
            before = len(self._why)
            for reading in reversed(self._readings):
                used = self.needed(reading.outputs)
                wanted = reading.reads[:, used].any(1)
                vary = reading.inputs.vary
                # The reasons are told of channels whose own weights are
                # pruned: if they vary here, it is not for themselves.
                for chosen, why in (
                    (
                        wanted & vary,
                        f"joined with others that {reading.name} reads",
                    ),
                    (wanted & ~vary, not_zero(reading.name)),
                ):
                    self._mark(reading.inputs.ids[chosen], why)

    def _mark(self, ids: np.ndarray, why: str) -> None:
        for root in self._roots(ids):
            self._why.setdefault(root, why)

    def _roots(self, ids: np.ndarray) -> list[int]:
        return [self._root(i) for i in ids.tolist()]

    def _root(self, channel: int) -> int:
        while (parent := self._parents[channel]) != channel:
            # Halves the way for whoever comes next.
            self._parents[channel] = self._parents[parent]
            channel = self._parents[channel]
        return channel


def not_zero(name: str) -> str:
    """Returns why a dead channel is needed before a layer that pads."""
    return f"not 0 where {name} pads with zeros"
