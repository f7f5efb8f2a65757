"""Conversion: masks for the layers of anybody's Keras model, and back.

`mask_model` finds every kernel of a model, whatever holds it (layers, nested
models, recurrent cells, attention, classes of your own), and sends it through
a mask. `strip_masks` takes the masks off again. Both work on the model itself:
its layers and variables stay the same objects, so shared layers stay shared,
and optimizer, weights and outputs are as they were.

>>> import keras
>>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
>>> _ = mask_model(model, verbose=False)
>>> type(model.layers[0]).__name__
'MaskedDense'
>>> type(strip_masks(model).layers[0]).__name__
'Dense'

A kernel is a variable that a layer keeps in an attribute whose name ends in
"kernel". What is called otherwise stays dense: embeddings, normalisation,
weights of an own layer with another name.

A model whose functions were compiled outside of Keras before (a `tf.function`
of yours, say) has to have them compiled again.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import keras
from rich.console import Console
from rich.table import Table

from tf_lottery import pruning
from tf_lottery.checks import InvalidValue
from tf_lottery.composites import (
    attach,
    detach,
    holders,
    inner_layers,
    own_variables,
    unwrap,
    wrap,
)
from tf_lottery.layers import Masked
from tf_lottery.masks import FixedMask, KernelMask
from tf_lottery.variables import variable_scope

RateList = Sequence[tuple[str, float | None]]

DEFAULT_RATE = 0.2
"""Of the survivors, a round: Frankle & Carbin 2019, figure 2."""


class Weights(NamedTuple):
    """A variable of two or more axes, no bias, and what becomes of it.

    Args:
        path: Of the variable.
        layer: That holds it.
        name: Of the attribute that holds it; "" if it is no kernel.
        variable: Itself.
        why: Why it has no mask; "" if it has one or can have one.
    """

    path: str
    layer: keras.Layer
    name: str
    variable: keras.Variable
    why: str


def mask_model(
    model: keras.Model,
    rates: RateList | float | None = None,
    kernel_mask: Callable[..., KernelMask] = FixedMask,
    *,
    verbose: bool = True,
) -> keras.Model:
    """Masks the kernels of a model, and returns it.

    The model is changed, not copied. Its outputs are the same until a mask is
    set. With a learned mask, compile it again: other variables are trained.

    Args:
        model: A built Keras 3 model: Sequential, functional, subclassed.
        rates: Fraction of the survivors that a round of `find_ticket` removes:
            of all kernels, or as pairs of a regular expression and a rate; the
            first that is found in a kernel's path counts, and None leaves a
            kernel dense. None is 0.2 for all.
        kernel_mask: Builds a mask, called with `dtype=`.
        verbose: Print what was masked, and what not and why.

    Raises:
        InvalidValue: The model is not built, or not of Keras 3; it has no
            kernel, or none without a mask; a rate is for no kernel; a layer is
            quantized or has LoRA.
    """
    _expect_keras_3(model)
    found = survey(model)
    paths = [w.path for w in found if not w.why]
    if not paths:
        listed = "; ".join(f"{w.path}: {w.why}" for w in found)
        raise InvalidValue(
            "expected a model with kernels to mask, received one with none "
            f"({listed or 'no weights of two or more axes'})"
        )
    chosen = _rates(rates, paths)
    if all(rate is None for rate in chosen.values()):
        raise InvalidValue(
            f"expected a rate for one of {', '.join(paths)}, received None for "
            "all: nothing would be masked"
        )
    found = [
        w._replace(why="its rate is None")
        if not w.why and chosen[w.path] is None
        else w
        for w in found
    ]
    masks: dict[int, tuple[keras.Layer, dict[str, KernelMask]]] = {}
    for w in found:
        if w.why:
            continue
        _expect_free(w)
        mask = kernel_mask(dtype=w.layer.dtype_policy)
        _expect_mask(mask, kernel_mask, w)
        if isinstance(mask, FixedMask):
            mask.rate = chosen[w.path]
        masks.setdefault(id(w.layer), (w.layer, {}))[1][w.name] = mask
    with variable_scope(model):
        for layer, of_layer in masks.values():
            attach(layer, of_layer)
    for holder in holders(model):
        wrap(holder)
    _forget_programs(model)
    if verbose:
        _print(found)
    return model


def strip_masks(model: keras.Model) -> keras.Model:
    """Takes the masks off a model, and returns it.

    The model is changed, not copied: what its layers computed with becomes
    their kernels, pruned weights at zero, and every layer is of Keras' class
    again. Learned masks are drawn once more, as `layer.kernel` draws them.

    Args:
        model: A model with masked layers, whoever made them.

    Raises:
        InvalidValue: It has none, or is not of Keras 3.
    """
    _expect_keras_3(model)
    layers = [
        layer for layer in inner_layers(model) if isinstance(layer, Masked)
    ]
    if not layers:
        raise InvalidValue(
            "expected a model with masked layers, received one without"
        )
    for layer in layers:
        for kernel in layer.masked_kernels():
            kernel.variable.assign(kernel.effective)
        detach(layer)
    for holder in holders(model):
        unwrap(holder)
    _forget_programs(model)
    return model


@contextmanager
def stripped(model: keras.Model) -> Iterator[keras.Model]:
    """Takes the masks off a model for the time of a `with` block.

    Raises:
        InvalidValue: As for `strip_masks`.
    """
    _expect_keras_3(model)
    before = []
    for layer in inner_layers(model):
        if isinstance(layer, Masked):
            raw = [
                keras.ops.convert_to_numpy(kernel.variable)
                for kernel in layer.masked_kernels()
            ]
            masks = {n: getattr(layer, f"{n}_mask") for n in layer.kernels}
            before.append((layer, type(layer), masks, raw))
    strip_masks(model)
    try:
        yield model
    finally:
        for layer, kind, masks, raw in before:
            attach(layer, masks, kind)
            kernels = layer.masked_kernels()
            for kernel, value in zip(kernels, raw, strict=True):
                kernel.variable.assign(value)
        for holder in holders(model):
            wrap(holder)
        _forget_programs(model)


def survey(model: keras.Model) -> list[Weights]:
    """Returns a model's variables of two or more axes, but biases, in order.

    Raises:
        InvalidValue: The model is not built.
    """
    layers = inner_layers(model)
    unbuilt = [layer.name for layer in layers if not _built(layer)]
    if unbuilt or not model.built:
        raise InvalidValue(
            "expected a model that is built, received one with layers that are "
            f"not: {', '.join(unbuilt) or model.name}. Call it once on a batch "
            "so that all of its layers are called, or model.build(input_shape)"
        )
    users: dict[int, list[keras.Layer]] = {}
    for layer in layers:
        for variable in own_variables(layer):
            users.setdefault(id(variable), []).append(layer)
    found, seen = [], set()
    for layer in layers:
        names = {id(v): n for n, v in kernel_attributes(layer).items()}
        for variable in own_variables(layer):
            if (
                id(variable) in seen
                or len(variable.shape) < 2
                # Those of attention and of GRU have two axes.
                or variable.name.endswith("bias")
            ):
                continue
            seen.add(id(variable))
            name = names.get(id(variable), "")
            why = _why_dense(layer, name, variable, users[id(variable)])
            found.append(Weights(variable.path, layer, name, variable, why))
    order = {id(variable): i for i, variable in enumerate(model.weights)}
    return sorted(found, key=lambda weights: order[id(weights.variable)])


def kernel_attributes(layer: keras.Layer) -> dict[str, keras.Variable]:
    """Returns the kernels that a layer keeps, by attribute without "_"."""
    own = {id(variable) for variable in own_variables(layer)}
    return {
        name.lstrip("_"): value
        for name, value in vars(layer).items()
        if name.endswith("kernel") and id(value) in own
    }


def _built(layer: keras.Layer) -> bool:
    # What has nothing to build may never be called.
    nothing = type(layer).build is keras.Layer.build and not layer._layers
    return layer.built or nothing


def _why_dense(
    layer: keras.Layer,
    name: str,
    variable: keras.Variable,
    users: Sequence[keras.Layer],
) -> str:
    if len(users) > 1:
        names = ", ".join(user.name for user in users)
        return f"one variable of several layers ({names})"
    if isinstance(layer, Masked):
        return "it has a mask already"
    if not name:
        return f"no kernel of {type(layer).__name__}"
    return ""


def _rates(
    rates: RateList | float | None, paths: Sequence[str]
) -> pruning.Rates:
    if rates is None:
        rates = DEFAULT_RATE
    if isinstance(rates, int | float):
        rates = [(".", rates)]
    pruning.check_rates(rates)
    return pruning.rates_by_path(rates, paths)


def _expect_keras_3(model: object) -> None:
    if isinstance(model, keras.Model):
        return
    kind = f"{type(model).__module__}.{type(model).__name__}"
    if kind.startswith(("tf_keras", "keras.engine", "keras.src.engine")):
        raise InvalidValue(
            f"expected a Keras 3 model, received {kind}, which is one of Keras "
            "2: save it with model.save('model.h5') and load that with "
            "keras.models.load_model of Keras 3; from_tfmot does so with "
            "models of tensorflow-model-optimization"
        )
    raise InvalidValue(f"expected a Keras model, received {kind}")


def _expect_free(weights: Weights) -> None:
    layer = weights.layer
    taken = "LoRA" if getattr(layer, "lora_enabled", False) else None
    if getattr(layer, "quantization_mode", None) is not None:
        taken = f"quantization ({layer.quantization_mode})"
    if taken:
        raise InvalidValue(
            f"expected {weights.path} without LoRA and quantization, received "
            f"{taken}, which replaces the kernel that a mask is for. Mask the "
            "model first, or leave the layer dense: "
            f"rates=[({weights.path!r}, None), ...]"
        )


def _expect_mask(mask: object, made_by: object, weights: Weights) -> None:
    if not isinstance(mask, KernelMask):
        raise InvalidValue(
            "expected kernel_mask to build a mask, such as FixedMask does, "
            f"received {made_by!r}, which built {mask!r}"
        )
    if mask.learned and hasattr(weights.layer, "state_size"):
        raise InvalidValue(
            f"expected FixedMask for {weights.path}, received "
            f"{type(mask).__name__}: a recurrent cell is called in each step "
            "of a sequence, and a learned mask would be drawn anew each time"
        )


def _forget_programs(model: keras.Model) -> None:
    """Has `fit`, `evaluate` and `predict` compile again."""
    for layer in inner_layers(model):
        if isinstance(layer, keras.Model):
            layer.train_function = None
            layer.test_function = None
            layer.predict_function = None


def _print(found: Sequence[Weights]) -> None:
    table = Table(box=None)
    table.add_column("kernel", overflow="fold")
    table.add_column("shape", no_wrap=True)
    table.add_column("mask")
    for w in found:
        shape = " x ".join(map(str, w.variable.shape))
        table.add_row(w.path, shape, f"none: {w.why}" if w.why else "yes")
    sizes = [(math.prod(w.variable.shape), not w.why) for w in found]
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"Masked {sum(size for size, masked in sizes if masked):,} of "
        f"{sum(size for size, _ in sizes):,} weights in kernels and tables."
    )
