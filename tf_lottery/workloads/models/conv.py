"""Conv-2, Conv-4 and Conv-6: the small networks of the CIFAR-10 experiments.

Blocks of two 3x3 convolutions and a 2x2 max-pooling, 64, 128 and 256 channels
wide, then two dense layers of 256 units; scaled-down VGGs without
normalisation. They differ in the number of blocks.

>>> from tf_lottery.masking.masks import fixed_mask
>>> model = Conv(blocks=1)(Shapes((32, 32, 3), 10), fixed_mask, seed=0)
>>> sum(layer.raw_kernel.value.numpy().size
...     for layer in model.layers if hasattr(layer, "raw_kernel"))
4300992
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import keras

from tf_lottery.foundation import checks, memory, seeds
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.layers import MaskedConv2D, MaskedDense
from tf_lottery.masking.masks import KernelMask
from tf_lottery.workloads.models import seeded_layers
from tf_lottery.workloads.task import Shapes

CHANNELS = (64, 128, 256)
UNITS = (256, 256)


@dataclass(frozen=True)
class Conv:
    """Builds Conv-2, Conv-4 or Conv-6.

    Layers are named conv1, conv2, ..., fc1, fc2 and output; they start as
    `models.seeded` says.

    Args:
        blocks: 1, 2 or 3, for Conv-2, Conv-4 or Conv-6.
        use_bias: Whether layers have biases.
        initializer: Of the kernels, as Keras serializes it; None is Glorot
            normal.
        dropout: Which fraction of the hidden dense units is dropped, each
            step anew, while it trains; None is none. Each of several replicas
            drops the same places of its part of a batch.

    Raises:
        InvalidValue: A field is of the wrong type or range.

    References:
        Frankle & Carbin 2019, figure 2. Its Conv-6 is printed with 1.7
        million weights; the layers it names have 2.26 million, as here.
        Section 3.4 for `dropout`, which does not say of which layers it is.
    """

    blocks: int = 1
    use_bias: bool = True
    initializer: seeded_layers.Initializer | None = None
    dropout: float | None = None

    def __post_init__(self) -> None:
        checks.positive_int("BLOCKS", self.blocks)
        if self.blocks > len(CHANNELS):
            raise InvalidValue(
                f"expected BLOCKS of at most {len(CHANNELS)}, received "
                f"{self.blocks}"
            )
        checks.boolean("Conv.use_bias", self.use_bias)
        seeded_layers.new_initializer(self.initializer, seed=0)
        if self.dropout is not None:
            checks.fraction("Conv.dropout", self.dropout)

    def __call__(
        self,
        shapes: Shapes,
        kernel_mask: Callable[..., KernelMask],
        seed: int,
    ) -> keras.Model:
        """Returns the network, from images in [0, 1] to logits.

        Args:
            shapes: Of the images, `(height, width, channels)`, and how many
                logits there are.
            kernel_mask: Called with `seed=` for each layer's mask.
            seed: Of the initial weights and of the masks.

        Raises:
            InvalidValue: It does not fit in memory.
        """
        layer = functools.partial(
            seeded_layers.layer,
            kernel_mask=kernel_mask,
            seed=seed,
            use_bias=self.use_bias,
            initializer=self.initializer,
        )
        conv = functools.partial(
            layer, MaskedConv2D, kernel_size=3, padding="same"
        )
        dense = functools.partial(layer, MaskedDense)
        images = x = keras.Input(shapes.inputs, name="images")
        for i, channels in enumerate(CHANNELS[: self.blocks], start=1):
            for j in (2 * i - 1, 2 * i):
                x = conv(channels, name=f"conv{j}", activation="relu")(x)
            x = keras.layers.MaxPooling2D(name=f"pool{i}")(x)
        x = keras.layers.Flatten(name="flatten")(x)
        memory.expect_room_for_layers(
            "the dense layers", [x.shape[-1], *UNITS, shapes.outputs]
        )
        for i, units in enumerate(UNITS, start=1):
            x = dense(units, name=f"fc{i}", activation="relu")(x)
            if self.dropout is not None:
                own = seeds.integer(seed, "dropout", i)
                x = keras.layers.Dropout(self.dropout, seed=own)(x)
        logits = dense(shapes.outputs, name="output")(x)
        return keras.Model(images, logits, name=f"conv{2 * self.blocks}")
