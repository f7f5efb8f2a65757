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
import numbers
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
from rich.console import Console
from rich.table import Table

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.composites import (
    attach,
    detach,
    holders,
    inner_layers,
    is_built,
    kernel_attributes,
    own_variables,
    unwrap,
    wrap,
)
from tf_lottery.masking.kernels import expect_model, masked_layers
from tf_lottery.masking.layers import Masked
from tf_lottery.masking.masks import DEFAULT_RATE, FixedMask, KernelMask
from tf_lottery.masking.model_state import variable_scope
from tf_lottery.rules import pruning

RateList = Sequence[tuple[str, float | None]]

MASKED = "its layer has masks already; strip_masks takes those off"


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

    Mask the outermost model, and leave parts of it dense by their rates: what
    an outer model has compiled, and how it is saved, cannot be told to it from
    within. Layers that are frozen (`trainable = False`) are masked, too.

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
    expect_model(model)
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
    made: set[int] = set()
    for w in found:
        if w.why:
            continue
        _expect_free(w)
        mask = _new_mask(kernel_mask, w, made)
        rate = chosen[w.path]
        if isinstance(mask, FixedMask) and rate is not None:
            mask.rate = rate
        masks.setdefault(id(w.layer), (w.layer, {}))[1][w.name] = mask
    with variable_scope(model):
        for layer, of_layer in masks.values():
            attach(layer, of_layer)
    for holder in holders(model):
        wrap(holder)
    _forget_programs(model)
    if verbose:
        _print(found, chosen)
    return model


def strip_masks(model: keras.Model) -> keras.Model:
    """Takes the masks off a model, and returns it.

    The model is changed, not copied: what its layers computed with becomes
    their kernels, pruned weights at zero, and every layer is of Keras' class
    again. Learned masks are drawn once more, as `layer.kernel` draws them. A
    training after it moves all weights, those that were pruned, too.

    Args:
        model: A model with masked layers, whoever made them.

    Raises:
        InvalidValue: It has none, or is not of Keras 3.
    """
    expect_model(model)
    layers = list(masked_layers(model))
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
    expect_model(model)
    before = []
    for layer in masked_layers(model):
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
    unbuilt = [layer.name for layer in layers if not is_built(layer)]
    if unbuilt or not model.built:
        raise InvalidValue(
            "expected a model that is built, received one with layers that are "
            f"not: {', '.join(unbuilt) or model.name}. Call it once on a "
            "batch, or model.build(input_shape); take out layers that it never "
            "calls"
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


def _why_dense(
    layer: keras.Layer,
    name: str,
    variable: keras.Variable,
    users: Sequence[keras.Layer],
) -> str:
    if len(users) > 1:
        names = ", ".join(user.name for user in users)
        return f"one variable of several layers ({names})"
    if not name:
        return f"no kernel of {type(layer).__name__}"
    if isinstance(layer, Masked):
        return "it has a mask already" if name in layer.kernels else MASKED
    kept_in = [n for n, value in vars(layer).items() if value is variable]
    if len(kept_in) > 1:
        return f"kept in several attributes ({', '.join(kept_in)})"
    taken = {f"{name}_mask", f"_{name}"} & vars(layer).keys() - {*kept_in}
    if taken:
        return f"its layer uses the attribute {taken.pop()} otherwise"
    constant = any(variable is v for v in layer._non_trainable_variables)
    if constant and not _replaces_kernel(layer):
        return "it is never trained"
    return ""


def _rates(
    rates: RateList | float | None, paths: Sequence[str]
) -> pruning.Rates:
    if rates is None:
        rates = DEFAULT_RATE
    one = isinstance(rates, numbers.Real)
    pairs: Any = [(".", float(rates))] if one else rates  # type: ignore[arg-type]
    pruning.check_rates(pairs, "rates")
    return pruning.rates_by_path(pairs, paths, "rates")


def _replaces_kernel(layer: keras.Layer) -> str:
    """Returns what a layer has in place of its kernel, or ""."""
    if getattr(layer, "quantization_mode", None) is not None:
        return f"quantization ({layer.quantization_mode})"
    return "LoRA" if getattr(layer, "lora_enabled", False) else ""


def _expect_free(weights: Weights) -> None:
    taken = _replaces_kernel(weights.layer)
    if taken:
        raise InvalidValue(
            f"expected {weights.path} without LoRA and quantization, received "
            f"{taken}, which replaces the kernel that a mask is for. Mask the "
            "model first, or leave the layer dense: "
            f"rates=[({weights.path!r}, None), ('.', {DEFAULT_RATE})]"
        )


def _new_mask(
    kernel_mask: Callable[..., KernelMask], weights: Weights, made: set[int]
) -> KernelMask:
    """Returns a mask for a kernel.

    Args:
        kernel_mask: As for `mask_model`.
        weights: The kernel.
        made: Ids of the masks so far; grows.
    """
    if isinstance(kernel_mask, KernelMask):
        raise InvalidValue(
            "expected kernel_mask to build a mask for each kernel, such as "
            f"{type(kernel_mask).__name__} or functools.partial("
            f"{type(kernel_mask).__name__}, ...), received a mask"
        )
    mask = kernel_mask(dtype=weights.layer.dtype_policy)
    if not isinstance(mask, KernelMask) or mask.built or id(mask) in made:
        raise InvalidValue(
            "expected kernel_mask to build a new mask for each kernel, such as "
            f"FixedMask does, received {kernel_mask!r}, which gave {mask!r}"
        )
    if mask.learned and hasattr(weights.layer, "state_size"):
        raise InvalidValue(
            f"expected FixedMask for {weights.path}, received "
            f"{type(mask).__name__}: a recurrent cell is called in each step "
            "of a sequence, and a learned mask would be drawn anew each time"
        )
    made.add(id(mask))
    return mask


def keep_dense(paths: Iterable[str]) -> list[tuple[str, None]]:
    """Returns rates by which these kernels, and no others, stay dense."""
    return [(f"^{re.escape(path)}$", None) for path in paths]


def _forget_programs(model: keras.Model) -> None:
    """Has `fit`, `evaluate` and `predict` compile again."""
    for layer in inner_layers(model):
        if isinstance(layer, keras.Model):
            layer.train_function = None
            layer.test_function = None
            layer.predict_function = None


def _print(found: Sequence[Weights], rates: pruning.Rates) -> None:
    table = Table(box=None)
    table.add_column("kernel", overflow="fold")
    table.add_column("shape", no_wrap=True)
    table.add_column("mask")
    for w in found:
        shape = " x ".join(map(str, w.variable.shape))
        mask = f"none: {w.why}" if w.why else f"yes, rate {rates[w.path]:g}"
        table.add_row(w.path, shape, mask)
    sizes = [(math.prod(w.variable.shape), not w.why) for w in found]
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"Masked {sum(size for size, masked in sizes if masked):,} of "
        f"{sum(size for size, _ in sizes):,} weights in kernels and tables."
    )
