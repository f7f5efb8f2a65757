"""LeNet-300-100: the fully-connected network of the MNIST experiments.

>>> import keras
>>> from tf_lottery.masking.masks import fixed_mask
>>> model = LeNet()(Shapes((28, 28, 1), 10), kernel_mask=fixed_mask, seed=0)
>>> sum(layer.raw_kernel.shape[0] * layer.raw_kernel.shape[1]
...     for layer in model.layers if hasattr(layer, "raw_kernel"))
266200
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import keras

from tf_lottery.foundation import checks, memory
from tf_lottery.masking.layers import MaskedDense
from tf_lottery.masking.masks import KernelMask
from tf_lottery.workloads.models import seeded_layers
from tf_lottery.workloads.task import Shapes


@dataclass(frozen=True)
class LeNet:
    """Builds a network of masked dense layers with ReLU between them.

    Kernels start Glorot normal (truncated at two standard deviations, as in
    TensorFlow) unless it says otherwise, biases at zero.

    Args:
        hidden: Units of the hidden layers.
        use_bias: Whether layers have biases. Learned supermasks keep them at
            zero, which is the same as having none.
        initializer: Of the kernels, as Keras serializes it; None is Glorot
            normal.

    Raises:
        InvalidValue: A field is of the wrong type.

    References:
        Frankle & Carbin 2019, figure 2, "Lenet". Zhou et al. 2019, "FC".
    """

    hidden: tuple[int, ...] = (300, 100)
    use_bias: bool = True
    initializer: seeded_layers.Initializer | None = None

    def __post_init__(self) -> None:
        checks.sequence("LeNet.hidden", self.hidden)
        for units in self.hidden:
            checks.positive_int("LeNet.hidden", units)
        checks.boolean("LeNet.use_bias", self.use_bias)
        seeded_layers.new_initializer(self.initializer, seed=0)

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
        memory.expect_room_for_layers(
            "LeNet.hidden",
            [math.prod(shapes.inputs), *self.hidden, shapes.outputs],
        )
        dense = functools.partial(
            seeded_layers.layer,
            MaskedDense,
            kernel_mask=kernel_mask,
            seed=seed,
            use_bias=self.use_bias,
            initializer=self.initializer,
        )
        images = keras.Input(shapes.inputs, name="images")
        x = keras.layers.Flatten(name="flatten")(images)
        for i, units in enumerate(self.hidden, start=1):
            x = dense(units, name=f"fc{i}", activation="relu")(x)
        logits = dense(shapes.outputs, name="output")(x)
        return keras.Model(images, logits, name="lenet")
