"""Composites: layers that make their inner layers themselves, masked.

`MaskedDense` can be written in a model and saved with it. A `Dense` that a
layer of attention or a class of the user's makes for itself is beyond reach:
it is there once the outer layer is built, and is made anew, plain, from the
outer layer's configuration. So inner layers are masked where they are
(`attach`), and the outermost layer that a configuration knows gets a class
that saves the masks with it (`wrap`):

    LSTM(64)  ->  MaskedLSTM, a subclass that is made here: an LSTM in all
                  respects, but its configuration is that of the LSTM and the
                  masks of its cell

It is loaded the same way: first the plain layer, then the masks on it.
"""

import functools
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from tf_lottery.masking import layers
from tf_lottery.masking.kernels import all_layers
from tf_lottery.masking.layers import Masked, holding_kernels, masked_kernel
from tf_lottery.masking.masks import KernelMask

# Models whose configuration holds those of their layers.
TRANSPARENT = ("keras.src.models.functional", "keras.src.models.sequential")


def inner_layers(layer: keras.Layer) -> list[keras.Layer]:
    """Returns a layer and all within it, in order, but masks."""
    found = all_layers(layer)
    return [inner for inner in found if not isinstance(inner, KernelMask)]


def own_variables(layer: keras.Layer) -> list[keras.Variable]:
    """Returns the variables of a layer, and not those of its inner ones."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def is_built(layer: keras.Layer) -> bool:
    """Returns whether a layer has all the variables that it will have."""
    # What has nothing to build may never be called, and then is never built.
    nothing = type(layer).build is keras.Layer.build and not layer._layers
    return layer.built or nothing


def kernel_attributes(layer: keras.Layer) -> dict[str, keras.Variable]:
    """Returns the kernels that a layer keeps, by the attribute it reads."""
    own = {id(variable) for variable in own_variables(layer)}
    found = {}
    for name, value in vars(layer).items():
        if name.endswith("kernel") and id(value) in own:
            # Keras' own keep it in `_kernel`, behind a property `kernel`.
            behind = isinstance(getattr(type(layer), name[1:], None), property)
            found[name[1:] if name[0] == "_" and behind else name] = value
    return found


def holders(layer: keras.Layer) -> Iterator[keras.Layer]:
    """Yields the outermost layers that a model's configuration knows."""
    if type(layer).__module__ in TRANSPARENT:
        for inner in layer.layers:
            yield from holders(inner)
    else:
        yield layer


def attach(
    layer: keras.Layer,
    masks: Mapping[str, KernelMask],
    kind: type | None = None,
) -> None:
    """Masks a built layer, in place.

    Args:
        layer: Becomes an instance of a subclass of `Masked`.
        masks: By attribute that holds a kernel.
        kind: The class that it is to have; None is what its own asks for.
    """
    for name, mask in masks.items():
        if name in vars(layer):
            vars(layer)[f"_{name}"] = vars(layer).pop(name)
        if mask.learned:
            _freeze(layer, name)
    if kind is None:
        kind = _masked_type(plain_type(layer.__class__), tuple(masks))
    layer.__class__ = kind
    with _unlocked(layer):
        for name, mask in masks.items():
            setattr(layer, f"{name}_mask", mask)
            variable = getattr(layer, f"_{name}")
            if not mask.built:
                mask.name = f"{name.lstrip('_')}_mask"
                parent, _, last = variable.path.rpartition("/")[0].rpartition(
                    "/"
                )
                with keras.name_scope(last, override_parent=parent):
                    mask.build(variable.shape)


def detach(layer: Any) -> None:
    """Takes the masks off a layer and leaves its raw kernels, in place."""
    plain = plain_type(type(layer))
    kernels = layer.kernels
    with _unlocked(layer):
        # The last one that was frozen is the first to get its place back.
        for name in reversed(kernels):
            mask = getattr(layer, f"{name}_mask")
            layer._tracker.untrack(mask)
            delattr(layer, f"{name}_mask")
            if mask.learned:
                _thaw(layer, name)
    layer.__class__ = plain
    for name in kernels:
        if not isinstance(getattr(plain, name, None), property):
            vars(layer)[name] = vars(layer).pop(f"_{name}")


@keras.saving.register_keras_serializable("tf_lottery")
class Composite:
    """Saves the masks of a layer's inner layers beside its configuration."""

    plain: type
    """The class of the layer without masks."""

    def get_config(self) -> dict[str, Any]:
        masks = [
            {
                "layer": i,
                "kernel": name,
                "shape": list(getattr(layer, f"_{name}").shape),
                "mask": keras.saving.serialize_keras_object(
                    getattr(layer, f"{name}_mask")
                ),
            }
            for i, layer in enumerate(inner_layers(self))
            if isinstance(layer, Masked)
            for name in layer.kernels
        ]
        kind = type(self)
        self.__class__ = self.plain
        try:
            config = keras.saving.serialize_keras_object(self)
        finally:
            self.__class__ = kind
        # The masked model is compiled, once it is whole.
        config.pop("compile_config", None)
        return {"layer": config, "masks": masks}

    @classmethod
    def from_config(cls, config: dict[str, Any], **kwargs: Any) -> Any:
        layer = keras.saving.deserialize_keras_object(config["layer"], **kwargs)
        layer.__class__ = _composite_type(layer.__class__)
        vars(layer)["_masks_to_come"] = config["masks"]
        layer._attach_masks_to_come()
        return layer

    def __reduce__(self) -> Any:
        # Keras pickles a model as its file; a class that is made here has no
        # place where pickle would find it.
        of_keras: Any = super().__reduce__()
        return self.plain._unpickle_model, of_keras[1]  # type: ignore[attr-defined]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        outputs = super().__call__(*args, **kwargs)  # type: ignore[misc]
        # Inner layers without an own `build` are built when they are called.
        self._attach_masks_to_come()
        return outputs

    def _attach_masks_to_come(self) -> None:
        if "_masks_to_come" not in vars(self):
            return
        inner = inner_layers(self)
        if not all(is_built(layer) for layer in inner):
            return
        by_layer: dict[int, dict[str, KernelMask]] = {}
        for entry in vars(self).pop("_masks_to_come"):
            index, name = entry["layer"], entry["kernel"]
            _expect_kernel(self, inner, entry)
            if not isinstance(inner[index], Masked):
                mask = keras.saving.deserialize_keras_object(entry["mask"])
                by_layer.setdefault(index, {})[name] = mask
        for index, masks in by_layer.items():
            attach(inner[index], masks)
        hold_in_loops(self)


def hold_in_loops(layer: keras.Layer) -> None:
    """Has recurrent layers within a layer mask their cells' kernels once.

    And not in each step of a sequence. It is undone where there are no masks.
    """
    for inner in inner_layers(layer):
        cell = getattr(inner, "cell", None)
        cells = [
            c
            for c in getattr(cell, "cells", [cell])
            if isinstance(c, Masked) and c.compute_dtype == inner.compute_dtype  # type: ignore[attr-defined]
        ]
        if hasattr(vars(inner).get("call"), "holds"):
            del vars(inner)["call"]
        if cells:
            vars(inner)["call"] = _holding(inner.call, cells)


def _holding(call: Any, cells: Sequence[Masked]) -> Any:
    @functools.wraps(call)
    def held(*args: Any, **kwargs: Any) -> Any:
        with holding_kernels(cells):
            return call(*args, **kwargs)

    held.holds = cells  # type: ignore[attr-defined]
    return held


def wrap(holder: keras.Layer) -> None:
    """Has a holder save the masks within it, in place."""
    hold_in_loops(holder)
    masked = any(isinstance(layer, Masked) for layer in inner_layers(holder))
    if masked and not isinstance(holder, Masked | Composite):
        holder.__class__ = _composite_type(holder.__class__)


def unwrap(holder: keras.Layer) -> None:
    """Undoes `wrap`."""
    hold_in_loops(holder)
    if isinstance(holder, Composite):
        holder.__class__ = plain_type(type(holder))


@functools.cache
def _masked_type(plain: Any, kernels: Sequence[str]) -> type:
    """Returns the class of a layer whose kernels are masked."""
    for masked in vars(layers).values():
        if (
            isinstance(masked, type)
            and issubclass(masked, Masked)
            and masked.__bases__[1:] == (plain,)
        ):
            return masked
    body = {name: masked_kernel(name) for name in kernels}
    # Where `kernel` is left dense it is read as the plain layer reads it.
    body.setdefault("kernel", getattr(plain, "kernel", None))
    kind = type(
        f"Masked{plain.__name__}",
        (Composite, Masked, plain),
        {"kernels": tuple(kernels), "plain": plain, **body},
    )
    return _registered(kind)


@functools.cache
def _composite_type(plain: Any) -> type:
    if issubclass(plain, Composite):
        return plain
    kind = type(f"Masked{plain.__name__}", (Composite, plain), {"plain": plain})
    return _registered(kind)


def _registered(kind: type) -> type:
    # All under one name: `from_config` is the same for all, and the class that
    # loads a file need not be the one that wrote it.
    return keras.saving.register_keras_serializable("tf_lottery", "Composite")(
        kind
    )


def plain_type(kind: Any) -> Any:
    """Returns the class of a layer without its masks."""
    if issubclass(kind, Composite):
        return kind.plain
    return next(
        base
        for base in inspect.getmro(kind)
        if not issubclass(base, Masked) and base is not Masked
    )


@contextmanager
def _unlocked(layer: keras.Layer) -> Iterator[None]:
    """Lets a built layer have new inner layers, as Keras' own LoRA does."""
    locked = layer._tracker.locked
    layer._tracker.unlock()
    try:
        yield
    finally:
        if locked:
            layer._tracker.lock()


def _freeze(layer: keras.Layer, name: str) -> None:
    """Puts a kernel among the layer's frozen variables.

    There `layer.trainable = True` does not thaw it.
    """
    variable, trained = vars(layer)[f"_{name}"], layer._trainable_variables
    places = [i for i, v in enumerate(trained) if v is variable]
    vars(layer)[f"_{name}_before"] = (places, variable.trainable)
    if places:
        layer._untrack_variable(variable)
        variable.trainable = False
        with _unlocked(layer):
            layer._track_variable(variable)


def _thaw(layer: keras.Layer, name: str) -> None:
    """Undoes `_freeze`, to the order of variables: files go by it."""
    # A layer that was made with a learned mask has frozen its kernel itself,
    # the first of its variables.
    before = vars(layer).pop(f"_{name}_before", ([0], layer.trainable))
    places, trainable = before
    if places:
        variable = vars(layer)[f"_{name}"]
        layer._untrack_variable(variable)
        variable.trainable = True
        with _unlocked(layer):
            layer._track_variable(variable)
        trained = layer._trainable_variables
        trained.insert(places[0], trained.pop())
        variable.trainable = trainable


def _expect_kernel(
    outer: Any, inner: Sequence[keras.Layer], entry: Mapping[str, Any]
) -> None:
    index, name = entry["layer"], entry["kernel"]
    layer = inner[index] if index < len(inner) else None
    variable = getattr(layer, f"_{name}", getattr(layer, name, None))
    shape = getattr(variable, "shape", None)
    if shape is None or list(shape) != entry["shape"]:
        raise ValueError(
            f"expected layer {index} within {outer.name} to have a {name} of "
            f"shape {tuple(entry['shape'])}, as when its mask was saved, "
            f"received {layer!r}"
            + ("" if shape is None else f" with shape {tuple(shape)}")
        )
