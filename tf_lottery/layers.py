"""Masked layers: ordinary Keras layers whose kernel passes through a mask.

Each class here is the Keras layer of the same name, with one argument more:
`kernel_mask`, any mask of `tf_lottery.masks`. They train with `fit`, save with
`model.save`, run on Keras' TensorFlow and JAX backends, and need nothing else
of this package.

>>> import keras
>>> from tf_lottery.masks import BernoulliMask
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
"""

from typing import Any

import keras

from tf_lottery.masks import Array, FixedMask, KernelMask


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

    @property
    def kernel(self) -> Array:
        """The effective kernel: what the layer multiplies its input by."""
        # `.value` is the tensor in the layer's compute dtype; the mask, which
        # does not autocast, would read the variable in its own.
        return self.kernel_mask(self._kernel.value)

    @kernel.setter
    def kernel(self, variable: keras.Variable) -> None:
        # Layers with a plain attribute `kernel` set it when they are built.
        self._kernel = variable

    @property
    def raw_kernel(self) -> keras.Variable:
        """The variable below the mask."""
        return self._kernel

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
