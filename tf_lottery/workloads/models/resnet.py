"""Residual networks for small images: ResNet-20 and its kin.

>>> from tf_lottery.masking.masks import fixed_mask
>>> model = Resnet()(Shapes((32, 32, 3), 10), fixed_mask, seed=0)
>>> sizes = {layer.name: layer.raw_kernel.value.numpy().size
...          for layer in model.layers if hasattr(layer, "raw_kernel")}
>>> sum(n for name, n in sizes.items() if "conv" in name)
267696
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras

from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.layers import MaskedDense
from tf_lottery.masking.masks import KernelMask
from tf_lottery.workloads.models import seeded_layers
from tf_lottery.workloads.models.normalized import convolution, masked
from tf_lottery.workloads.task import Shapes

GROUPS = 3


@dataclass(frozen=True)
class Resnet:
    """Builds a residual network of depth 6n + 2 for small images.

    A convolution, then three groups of n blocks; a block is two convolutions
    of 3 x 3 and a way around them. Groups after the first begin with a stride
    of 2 and have twice the channels; the way around that is a projection of
    1 x 1. Every convolution is normalised (`models.normalized`). The mean over
    all places goes into the output layer.

    Layers are named conv1, then group1_block1_conv1, ..., and
    group2_block1_projection, and output; so the rates of the papers, which
    prune neither projections nor the output, are `(("conv", 0.2),
    ("projection", None), ("output", None))`.

    Args:
        depth: Of convolutions and the output layer: 8, 14, 20, 32, ...
        width: Channels of the first group.
        initializer: Of the kernels, as Keras serializes it; None is Glorot
            normal.

    Raises:
        InvalidValue: A field is of the wrong type or range.

    References:
        He et al. 2016, "Deep Residual Learning for Image Recognition", section
        4.2. Frankle & Carbin 2019, section 4, which says "ResNet-18" of the
        depth of 20.
    """

    depth: int = 20
    width: int = 16
    initializer: seeded_layers.Initializer | None = None

    def __post_init__(self) -> None:
        checks.positive_int("DEPTH", self.depth)
        checks.positive_int("WIDTH", self.width)
        if self.depth < 8 or self.depth % 6 != 2:
            raise InvalidValue(
                "expected DEPTH of a residual network to be 6n + 2, such as 8, "
                f"14 or 20, received {self.depth}"
            )
        seeded_layers.new_initializer(self.initializer, seed=0)

    def __call__(
        self,
        shapes: Shapes,
        kernel_mask: Callable[..., KernelMask],
        seed: int,
    ) -> keras.Model:
        """Returns the network, from images to logits.

        Args:
            shapes: Of the images, `(height, width, channels)`, and how many
                logits there are.
            kernel_mask: Called with `seed=` for each layer's mask.
            seed: Of the initial weights and of the masks.

        Raises:
            InvalidValue: The images are too small for its strides.
        """
        least = 2 ** (GROUPS - 1)
        seeded_layers.expect_images(f"ResNet-{self.depth}", shapes, least)
        own = masked(kernel_mask, seed, self.initializer)
        images = keras.Input(shapes.inputs, name="images")
        x = convolution(images, "conv1", self.width, **own)
        for group in range(GROUPS):
            channels = self.width * 2**group
            for block in range((self.depth - 2) // 6):
                name = f"group{group + 1}_block{block + 1}"
                strides = 2 if group and not block else 1
                around = x
                if strides == 2:
                    around = convolution(
                        *(x, f"{name}_projection", channels),
                        activation=False,
                        kernel_size=1,
                        strides=2,
                        **own,
                    )
                x = convolution(
                    x, f"{name}_conv1", channels, strides=strides, **own
                )
                x = convolution(
                    x, f"{name}_conv2", channels, activation=False, **own
                )
                x = keras.layers.Add(name=f"{name}_sum")([x, around])
                x = keras.layers.ReLU(name=f"{name}_relu")(x)
        x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
        logits = seeded_layers.layer(
            MaskedDense, shapes.outputs, name="output", **own
        )(x)
        return keras.Model(images, logits, name=f"resnet{self.depth}")
