"""Masked layers: ordinary Keras layers whose kernel passes through a mask.

Each class here is the Keras layer of the same name, with one argument more:
`kernel_mask`, any mask of `tf_lottery.masks`. They train with `fit`, save with
`model.save`, run on Keras' TensorFlow and JAX backends, and need nothing else
of this package.

>>> import keras
>>> from tf_lottery.masking.masks import BernoulliMask
>>> layer = MaskedDense(300, kernel_mask=BernoulliMask(rescale=True))
>>> layer.build((None, 784))
>>> [v.path.split("/", 1)[1] for v in layer.trainable_variables]
['bias', 'kernel_mask/logits']

There is one class for all of them, `Masked`, and a line for each layer type:
what a layer reads as `self.kernel` is the masked kernel, and the variable
itself is `raw_kernel`. A layer type of your own needs no more:

    class MaskedMyLayer(Masked, MyLayer): ...

provided that it keeps its kernel in `kernel` (or, as Keras' own layers do, in
`_kernel` behind a property `kernel`) and names the variable "...kernel".
`tf_lottery.mask_model` masks the layers of a model that is there already.
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras

from tf_lottery.masking.masks import Array, FixedMask, KernelMask

TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
WITH_CHANNELS = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)


class MaskedKernel(NamedTuple):
    """A kernel of a masked layer.

    Args:
        layer: That uses it.
        variable: The raw kernel.
        mask: What it passes through.
    """

    layer: "Masked"
    variable: keras.Variable
    mask: KernelMask

    @property
    def effective(self) -> Array:
        """What the layer computes with, of the kernel's shape."""
        return self.mask(self.variable.value)


# Of a thread each: replicas of tf.distribute are traced in threads.
_held = threading.local()


def is_held(mask: KernelMask) -> bool:
    """Returns whether holding pruned weights still does all a mask does.

    Not of a subclass, which may do something else.
    """
    return type(mask) is FixedMask


@contextmanager
def bare_kernels() -> Iterator[None]:
    """Has layers read kernels past masks that are held for a `with` block.

    For a training that holds pruned weights at their values by itself: what
    the masks would select is then what the variables hold already.
    """
    before = getattr(_held, "bare", False)
    _held.bare = True
    try:
        yield
    finally:
        _held.bare = before


@contextmanager
def holding_kernels(layers: Iterable["Masked"]) -> Iterator[None]:
    """Has layers compute their effective kernels once for a `with` block.

    For recurrent cells, which read them in each step of a sequence.
    """
    before = getattr(_held, "kernels", {})
    now = {
        (id(c), name): getattr(c, name) for c in layers for name in c.kernels
    }
    _held.kernels = {**before, **now}
    try:
        yield
    finally:
        _held.kernels = before


def masked_kernel(name: str) -> Any:
    """Returns the property by which a layer reads its kernel masked.

    The variable is kept in `_<name>`, as Keras' own layers have it, its mask
    in `<name>_mask`.
    """

    def read(layer: Any) -> Array:
        held = getattr(_held, "kernels", {})
        if (id(layer), name) in held:
            return held[id(layer), name]
        # `.value` is the tensor in the layer's compute dtype; the mask, which
        # does not autocast, would read the variable in its own.
        kernel = getattr(layer, f"_{name}").value
        mask = getattr(layer, f"{name}_mask")
        if getattr(_held, "bare", False) and is_held(mask):
            return kernel
        return mask(kernel)

    def write(layer: Any, variable: keras.Variable) -> None:
        # Layers with a plain attribute set it when they are built.
        setattr(layer, f"_{name}", variable)

    return property(read, write, doc=f"The effective {name}.")


class Masked:
    """Gives the Keras layer it is mixed into a `kernel_mask`.

    Args:
        *args: As for the layer.
        kernel_mask: A mask that no other layer uses. None is `FixedMask()`,
            which keeps every weight until it is assigned.
        **kwargs: As for the layer.

    Raises:
        ValueError: `kernel_mask` is no mask or belongs to another kernel, or
            LoRA or quantization was asked for: both replace the kernel that
            the mask is for.
    """

    kernels: tuple[str, ...] = ("kernel",)
    """The attributes that are kernels; the mask of `kernel` is `kernel_mask`,
    and so on."""

    _kernel: keras.Variable

    def __init__(
        self,
        *args: Any,
        kernel_mask: KernelMask | dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("lora_rank") is not None:
            raise _refusal(self, "LoRA", "add to")
        super().__init__(*args, **kwargs)
        if kernel_mask is None:
            kernel_mask = FixedMask(dtype=self.dtype_policy)  # type: ignore[attr-defined]
        if isinstance(kernel_mask, dict):  # out of a saved configuration
            kernel_mask = keras.saving.deserialize_keras_object(kernel_mask)
        if not isinstance(kernel_mask, KernelMask):
            raise ValueError(
                "expected `kernel_mask` to be a mask such as FixedMask() or "
                f"BernoulliMask(), received {kernel_mask!r}"
            )
        self.kernel_mask = kernel_mask

    def build(self, input_shape: Any) -> None:
        if getattr(self, "quantization_mode", None):
            raise _refusal(self, "quantization", "replace")
        super().build(input_shape)  # type: ignore[misc]
        if self.kernel_mask.built:
            raise ValueError(
                f"expected a kernel_mask of its own for {self._kernel.path}, "
                f"received {self.kernel_mask.path}, which is in use"
            )
        self.kernel_mask.build(self._kernel.shape)

    def add_weight(self, *args: Any, **kwargs: Any) -> Any:
        if self.kernel_mask.learned and _names_kernel(kwargs.get("name")):
            # A learned mask is learned on weights that stay as they are.
            # Created frozen, so `layer.trainable = True` does not thaw them.
            kwargs["trainable"] = False
        return super().add_weight(*args, **kwargs)  # type: ignore[misc]

    kernel = masked_kernel("kernel")

    @property
    def raw_kernel(self) -> keras.Variable:
        """The variable below the mask."""
        return self._kernel

    @property
    def channel_axis(self) -> int | None:
        """Which axis of the kernel is output channels; None if none is.

        Those of a depthwise convolution are the channels of the layer before,
        those of attention are split among heads, and the last axis of a
        recurrent kernel has four gates, say.
        """
        if isinstance(self, TRANSPOSED):
            return -2
        return -1 if isinstance(self, WITH_CHANNELS) else None

    def masked_kernels(self) -> Iterator[MaskedKernel]:
        """Yields the layer's kernels; a recurrent cell, say, has two."""
        for name in self.kernels:
            mask = getattr(self, f"{name}_mask")
            yield MaskedKernel(self, getattr(self, f"_{name}"), mask)

    # Dense, Conv and EinsumDense save a fixed list of variables that they read
    # through `self.kernel`: the masked kernel, and no mask. The base class
    # saves the variables that there are.
    save_own_variables = keras.layers.Layer.save_own_variables
    load_own_variables = keras.layers.Layer.load_own_variables

    def get_config(self) -> dict[str, Any]:
        mask = keras.saving.serialize_keras_object(self.kernel_mask)
        return {**super().get_config(), "kernel_mask": mask}  # type: ignore[misc]

    def enable_lora(self, *args: Any, **kwargs: Any) -> None:
        raise _refusal(self, "LoRA", "add to")

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        if isinstance(self, Masked):
            raise _refusal(self, "quantization", "replace")
        # Keras gives a layer this very method when it is made. Its masks have
        # been taken off since.
        type(self).quantize(self, *args, **kwargs)

    def _check_quantize_args(self, *args: Any) -> None:
        # And a layer that was masked later has its own, which asks this first.
        raise _refusal(self, "quantization", "replace")


def _refusal(layer: Masked, what: str, verb: str) -> ValueError:
    return ValueError(
        f"expected no {what} on the masked layer {type(layer).__name__}: it "
        f"would {verb} the kernel that the mask is for"
    )


def _names_kernel(name: str | None) -> bool:
    return name is not None and name.endswith("kernel")


@keras.saving.register_keras_serializable("tf_lottery")
class MaskedDense(Masked, keras.layers.Dense):
    """`keras.layers.Dense` with a `kernel_mask`."""


@keras.saving.register_keras_serializable("tf_lottery")
class MaskedConv1D(Masked, keras.layers.Conv1D):
    """`keras.layers.Conv1D` with a `kernel_mask`."""


@keras.saving.register_keras_serializable("tf_lottery")
class MaskedConv2D(Masked, keras.layers.Conv2D):
    """`keras.layers.Conv2D` with a `kernel_mask`."""


@keras.saving.register_keras_serializable("tf_lottery")
class MaskedConv3D(Masked, keras.layers.Conv3D):
    """`keras.layers.Conv3D` with a `kernel_mask`."""


@keras.saving.register_keras_serializable("tf_lottery")
class MaskedEinsumDense(Masked, keras.layers.EinsumDense):
    """`keras.layers.EinsumDense` with a `kernel_mask`."""


@keras.saving.register_keras_serializable("tf_lottery")
class MaskedDepthwiseConv2D(Masked, keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` with a `kernel_mask`."""


@keras.saving.register_keras_serializable("tf_lottery")
class MaskedConv2DTranspose(Masked, keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose` with a `kernel_mask`."""
