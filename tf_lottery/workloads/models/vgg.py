"""VGG for small images: VGG-11, 13, 16 and 19 with normalisation.

>>> from tf_lottery.masking.masks import fixed_mask
>>> model = Vgg(depth=16, width=4)(Shapes((32, 32, 3), 10), fixed_mask, seed=0)
>>> [layer.name for layer in model.layers if hasattr(layer, "raw_kernel")][-3:]
['conv12', 'conv13', 'output']
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

LAYERS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""How many convolutions each group has, by depth; the paper's A, B, D and E."""

CHANNELS = (1, 2, 4, 8, 8)
"""Of the groups, in widths."""


@dataclass(frozen=True)
class Vgg:
    """Builds a VGG for small images.

    Five groups of normalised convolutions of 3 x 3 with a max-pooling between
    each two, then the mean over all places and one output layer, in place of
    the three dense ones of the original. Layers are named conv1, conv2, ...,
    and output.

    Args:
        depth: 11, 13, 16 or 19.
        width: Channels of the first group.
        initializer: Of the kernels, as Keras serializes it; None is Glorot
            normal.

    Raises:
        InvalidValue: A field is of the wrong type or range.

    References:
        Simonyan & Zisserman 2015, "Very Deep Convolutional Networks for
        Large-Scale Image Recognition", table 1. Frankle & Carbin 2019,
        section 4, for the form that it has here.
    """

    depth: int = 19
    width: int = 64
    initializer: seeded_layers.Initializer | None = None

    def __post_init__(self) -> None:
        checks.positive_int("DEPTH", self.depth)
        checks.positive_int("WIDTH", self.width)
        if self.depth not in LAYERS:
            raise InvalidValue(
                f"expected DEPTH of a VGG to be one of {[*LAYERS]}, received "
                f"{self.depth}"
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
            InvalidValue: The images are too small for its poolings.
        """
        least = 2 ** (len(CHANNELS) - 1)
        seeded_layers.expect_images(f"VGG-{self.depth}", shapes, least)
        own = masked(kernel_mask, seed, self.initializer)
        images = x = keras.Input(shapes.inputs, name="images")
        number = 0
        for group, layers in enumerate(LAYERS[self.depth]):
            if group:
                x = keras.layers.MaxPooling2D(name=f"pool{group}")(x)
            for _ in range(layers):
                number += 1
                channels = self.width * CHANNELS[group]
                x = convolution(x, f"conv{number}", channels, **own)
        x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
        logits = seeded_layers.layer(
            MaskedDense, shapes.outputs, name="output", **own
        )(x)
        return keras.Model(images, logits, name=f"vgg{self.depth}")
