"""Shrinking: a pruned model becomes a smaller one with the same outputs.

Pruning single weights makes no model smaller or faster, pruning whole channels
(the scope "channel") does, once they are taken out:

>>> from tf_lottery.masking.layers import MaskedDense
>>> first, last = MaskedDense(300, activation="relu"), keras.layers.Dense(10)
>>> model = keras.Sequential([keras.Input((784,)), first, last])
>>> mask = np.ones((784, 300), bool)
>>> mask[:, 20:] = False
>>> first.kernel_mask.assign(mask)
>>> smaller = shrink(model, verbose=False)
>>> [tuple(w.shape) for w in smaller.weights]
[(784, 20), (20,), (20, 10), (10,)]

A channel without weights is not nothing: what a layer makes of its bias, and
batch normalisation of that, still reaches the layers behind. `shrink` puts it
into their biases. It cannot where a convolution pads with zeros: there a
channel can go only if it is 0, as it is after a relu unless its bias or offset
has moved above. Nor can a channel go that is added to another one which is in
use. The table that is printed says which are kept, and why.

Before a training, `silence_pruned_channels` makes pruned channels 0.

References:
    Li et al. 2017, "Pruning Filters for Efficient ConvNets", section 3.1, for
    the rows of the next layer that go with a filter.
"""

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from tf_lottery.compression.shrinking.flow import follow, is_graph
from tf_lottery.compression.shrinking.parts import Found, Part, to_numpy, total
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.composites import inner_layers
from tf_lottery.masking.conversion import stripped
from tf_lottery.masking.kernels import expect_model
from tf_lottery.masking.layers import Masked


def shrink(model: keras.Model, *, verbose: bool = True) -> keras.Model:
    """Returns a new, plain model without the channels that do nothing.

    It has the same outputs in evaluation, to rounding. Gone are channels that
    are pruned, those that read nothing else, and those that nobody reads.
    Other pruned weights are zeros. Layers that `shrinking.passes`
    does not know stay as they are.

    Args:
        model: Built, Sequential or functional, with masked layers. It stays
            as it is.
        verbose: Print what is gone, and which pruned channels are not and why.

    Raises:
        InvalidValue: The model is of another kind, not built, or has no
            masked layers.
    """
    _expect_graph(model)
    found = follow(model)
    pairs: list[tuple[keras.Layer, keras.Layer]] = []

    def clone(layer: keras.Layer) -> keras.Layer:
        if isinstance(layer, keras.layers.Lambda):
            return layer  # Keras makes no function from a configuration
        config = layer.get_config()
        if id(layer) in found.parts:
            config |= _sizes(found.parts[id(layer)], found, config)
        new = type(layer).from_config(config)
        if isinstance(layer, keras.Layer):
            pairs.append((layer, new))
        return new

    with stripped(model):
        smaller = keras.models.clone_model(
            model, clone_function=clone, recursive=True
        )
        for old, new in pairs:
            if id(old) in found.parts:
                _copy(found.parts[id(old)], found, new)
            else:
                new.set_weights(old.get_weights())
        before = model.count_params()
    if verbose:
        _print(model, found, before, smaller.count_params())
    return smaller


def silence_pruned_channels(model: keras.Model) -> keras.Model:
    """Makes pruned channels exactly 0, and returns the model.

    It sets the bias of channels that have no weights to 0, and, of the batch
    normalisation behind them, the offset to 0 and the moving mean to what it
    gets. So the outputs may change: this is for a model that is pruned and
    goes on training, shrunken. Activations that are not 0 at 0 stay what they
    are there.

    Args:
        model: As for `shrink`. It is changed, not copied.

    Raises:
        InvalidValue: As for `shrink`.
    """
    _expect_graph(model)
    follow(model, silence=True)
    return model


def _expect_graph(model: object) -> None:
    expect_model(model)
    if not is_graph(model):
        if isinstance(model, keras.Sequential):
            received = f"{model.name}, which is not built"
        else:
            received = (
                f"{type(model).__name__}, of which it is not known how its "
                "layers hang together"
            )
        raise InvalidValue(
            "expected a Sequential or functional model that is built, received "
            + received
        )
    if not any(isinstance(layer, Masked) for layer in inner_layers(model)):
        raise InvalidValue(
            "expected a model with masked layers, received one without"
        )


def _sizes(part: Part, found: Found, config: dict) -> dict:
    """Returns what of a layer's configuration is another."""
    sizes: dict = {}
    count = int(found.wiring.needed(part.outputs).sum())
    if part.size == "target_shape":
        sizes[part.size] = (*config[part.size][:-1], count)
    elif part.size:
        sizes[part.size] = count
        sizes["use_bias"] = config["use_bias"] or bool(
            _folded(part, found).any()
        )
    return sizes


def _copy(part: Part, found: Found, new: keras.Layer) -> None:
    """Sets the variables of a layer to what is left of those of another."""
    kept = found.wiring.needed(part.inputs), found.wiring.needed(part.outputs)
    for name, axes in part.axes.items():
        variable = getattr(part.layer, name, None)
        if variable is None:
            continue
        array = to_numpy(variable)
        for chosen, axis in zip(kept, axes, strict=True):
            if axis is not None:
                array = np.compress(chosen, array, axis)
        getattr(new, name).assign(array)
    if part.kernel is not None and new.use_bias:
        new.bias.assign(to_numpy(new.bias) + _folded(part, found))


def _folded(part: Part, found: Found) -> np.ndarray:
    """Returns what the inputs that are gone add to each output, `[O']`."""
    kept = found.wiring.needed(part.outputs)
    # What varies and is gone has no weights here.
    gone = ~found.wiring.needed(part.inputs) & ~part.inputs.vary
    return part.inputs.values[gone] @ total(part.kernel)[gone][:, kept]


def _print(model: keras.Model, found: Found, before: int, after: int) -> None:
    console = Console()
    table = Table("layer", "channels", "left", "dead, kept", "why", box=None)
    makers = [part for part in found.parts.values() if part.kernel is not None]
    gone = dead = 0
    for part in makers:
        needed = found.wiring.needed(part.outputs)
        stuck = ~part.outputs.vary & needed
        reasons = np.array(found.wiring.why(part.outputs))[stuck]
        gone += int((~needed).sum())
        dead += int(stuck.sum())
        if isinstance(part.layer, Masked) or not needed.all():
            table.add_row(
                part.layer.name,
                f"{len(needed):,}",
                f"{needed.sum():,}",
                f"{stuck.sum():,}" if stuck.any() else "",
                "; ".join(dict.fromkeys(reasons.tolist())),
            )
    for layer in inner_layers(model):
        if id(layer) not in found.parts and isinstance(layer, Masked):
            table.add_row(layer.name, "", "", "", "left as it is: not known")  # type: ignore[attr-defined]
    console.print(table)
    if gone:
        said = f"Took out {gone:,} channels"
    elif dead:
        said = "Took out no channel: the pruned ones are needed, see above"
    else:
        said = (
            "Took out no channel: none has all its weights pruned, nor is any "
            "unread. Prune with the scope 'channel'"
        )
    console.print(
        f"{said}. Parameters: {before:,} before, {after:,} after.",
        highlight=False,
        soft_wrap=True,
    )
