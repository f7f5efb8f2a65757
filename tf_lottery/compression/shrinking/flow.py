"""Flow: a walk through a model that follows its channels.

The walk goes from the inputs to the outputs, into nested models, too, and asks
`PASSES` what each layer does. What is not known there, or is called in a way
that is not, needs all the channels that it gets: it stays as it is.

>>> from tf_lottery.masking.layers import MaskedDense
>>> first, last = MaskedDense(3, activation="relu"), keras.layers.Dense(1)
>>> model = keras.Sequential([keras.Input((2,)), first, last])
>>> first.kernel_mask.assign([[1, 0, 0], [1, 0, 1]])
>>> found = follow(model)
>>> found.wiring.needed(found.parts[id(first)].outputs).tolist()
[True, False, True]
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from tf_lottery.compression.shrinking.channels import Channels
from tf_lottery.compression.shrinking.passes import ONCE, PASSES, Found
from tf_lottery.masking.composites import plain_type

KnownChannels = Channels | None
"""None: of a tensor whose last axis is not channels, or has no fixed size."""


def follow(model: keras.Model, silence: bool = False) -> Found:
    """Returns which channels of a model there are and which are needed.

    Args:
        model: Built, Sequential or functional.
        silence: As for `Found`; this changes the model.
    """
    walk = Walk(model, silence)
    inputs = [walk.unknown(x, "an input") for x in model.inputs]
    for channels in walk.through(model, inputs):
        walk.need(channels, "an output of the model")
    walk.found.wiring.solve()
    return walk.found


def is_graph(layer: Any) -> bool:
    """Returns whether a layer is a model whose nodes are all it does."""
    if not isinstance(layer, keras.Model):
        return False
    calls = (kind for kind in type(layer).__mro__ if "call" in vars(kind))
    if not next(calls).__module__.startswith("keras."):
        return False
    if isinstance(layer, keras.Sequential):
        return bool(layer.built and layer.inputs)
    return isinstance(layer, keras.Function)


class Walk:
    """Of `follow`.

    Args:
        model: To walk through.
        silence: As for `Found`.
    """

    def __init__(self, model: keras.Model, silence: bool) -> None:
        self.found = Found(silence)
        self._calls = Counter(_operations(model))

    def through(
        self, model: keras.Model, inputs: Sequence[KnownChannels]
    ) -> list[KnownChannels]:
        """Returns the channels of a model's outputs."""
        known = dict(zip(map(id, model.inputs), inputs, strict=True))
        for node in _nodes(model):
            read = [known.get(id(x)) for x in node.input_tensors]
            made = self._pass(node, read)
            if made is None:
                name = node.operation.name
                for channels in read:
                    self.need(channels, f"{name} needs all")
                made = [self.unknown(x, name) for x in node.outputs]
            known.update(zip(map(id, node.outputs), made, strict=True))
        return [known[id(x)] for x in model.outputs]

    def need(self, channels: KnownChannels, why: str) -> None:
        """Notes that channels have to stay."""
        if channels is not None:
            self.found.wiring.need(channels, why)

    def unknown(self, tensor: Any, name: str) -> KnownChannels:
        """Returns new channels of which nothing is known: they stay."""
        if len(tensor.shape) < 2 or tensor.shape[-1] is None:
            return None
        channels = self.found.wiring.new(np.full(tensor.shape[-1], np.nan))
        self.need(channels, f"of {name}")
        return channels

    def _pass(
        self, node: Any, read: Sequence[KnownChannels]
    ) -> list[KnownChannels] | None:
        """Returns the channels of a node's outputs; None if it is unknown."""
        layer = node.operation
        inputs = [channels for channels in read if channels is not None]
        if not inputs or len(inputs) < len(read) or not _usual(node):
            return None
        if is_graph(layer) and len(inputs) == 1:
            # What it gets stays, for its own input has a size.
            self.need(inputs[0], f"{layer.name} is a model of its own")
            return self.through(layer, inputs)
        kind = plain_type(type(layer))
        if kind not in PASSES:
            return None
        if PASSES[kind] in ONCE and self._calls[id(layer)] > 1:
            return None
        made = PASSES[kind](self.found, node, inputs)
        return None if made is None else [made]


def _nodes(model: Any) -> Iterator[Any]:
    """Yields the calls of a model's layers and operations, in order."""
    graph = getattr(model, "_functional", None) or model
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        yield from (n for n in graph._nodes_by_depth[depth] if not n.is_input)


def _operations(model: keras.Model) -> Iterator[int]:
    """Yields the id of a layer or operation for each of its calls."""
    for node in _nodes(model):
        yield id(node.operation)
        if is_graph(node.operation):
            yield from _operations(node.operation)


def _usual(node: Any) -> bool:
    """Returns whether a layer is called with tensors only, for evaluation.

    Operations are called with numbers, too.
    """
    arguments = node.arguments
    named = dict(arguments.kwargs)
    allowed: tuple[type, ...] = (keras.KerasTensor, int, float)
    if isinstance(node.operation, keras.Layer):
        allowed = (keras.KerasTensor,)
        options = [named.pop(name, None) for name in ("training", "mask")]
        if not all(option is None or option is False for option in options):
            return False
    return all(
        isinstance(value, allowed)
        for value in keras.tree.flatten((arguments.args, named))
    )
