"""Augmentation: images turned and moved anew in each step of a training.

What is done to an image is a function of (seed, step) and of its place in the
batch, on any number of devices.
"""

from dataclasses import dataclass

import tensorflow as tf

from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.workloads.task import Draw


@dataclass(frozen=True)
class Augmentation:
    """Mirrors half of the images, and moves all of them.

    Args:
        flip: Whether half of the images are mirrored, left to right.
        padding: How many black pixels are put around an image before a part
            of its own size is cut out of it, anywhere. 0 cuts nothing out.

    Raises:
        InvalidValue: A field is of the wrong type or range, or nothing is
            left to do.

    References:
        He et al. 2016, section 4.2, for CIFAR-10: flips, and crops with a
        padding of 4, as the defaults have it.
    """

    flip: bool = True
    padding: int = 4

    def __post_init__(self) -> None:
        checks.boolean("Augmentation.flip", self.flip)
        if self.padding != 0:
            checks.positive_int("Augmentation.padding", self.padding)
        if not self.flip and not self.padding:
            raise InvalidValue(
                "expected an Augmentation that flips or has a padding, "
                f"received {self!r}; None is no augmentation"
            )

    def __call__(self, images: tf.Tensor, draw: Draw) -> tf.Tensor:
        """Returns the images of a step, as many and of the same size.

        Args:
            images: `[n, height, width, channels]`, of any dtype; 0 is black.
            draw: The randomness of the step.

        Raises:
            InvalidValue: The padding is as large as the images, so that some
                would be black throughout.
        """
        size = images.shape[1:3]
        if self.padding >= min(size):
            raise InvalidValue(
                "expected an Augmentation.padding of less than the images' "
                f"{size[0]} x {size[1]} pixels, received {self.padding}"
            )
        # Whether to flip, and where to cut, down and across.
        chance = draw.uniform(3)
        places = tf.cast(chance[:, 1:] * (2 * self.padding + 1), tf.int32)
        rows, columns = (
            places[:, axis : axis + 1] + tf.range(size[axis]) for axis in (0, 1)
        )
        if self.flip:
            flipped = chance[:, :1] < 0.5
            columns = tf.where(flipped, columns[:, ::-1], columns)
        around = [self.padding, self.padding]
        images = tf.pad(images, [[0, 0], around, around, [0, 0]])
        images = tf.gather(images, rows, axis=1, batch_dims=1)
        # Columns of each image, for all of its rows.
        return tf.gather(images, columns, axis=2, batch_dims=1)
