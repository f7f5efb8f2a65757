"""Image classification: which class an image is of."""

import pathlib
from dataclasses import dataclass, field

import tensorflow as tf

from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.workloads.examples import Resident, Streamed
from tf_lottery.workloads.images.augmentation import Augmentation
from tf_lottery.workloads.images.image_sets import Images
from tf_lottery.workloads.images.opened_images import open_images
from tf_lottery.workloads.prediction import Prediction
from tf_lottery.workloads.task import Draw


@dataclass(frozen=True)
class ImageClassification(Prediction):
    """Learns the classes of images.

    Args:
        images: Which images to train, validate and test on.
        augmentation: What is done to the images that are trained on, such as
            `Augmentation()`; None is nothing.
        mean: Of each channel, subtracted from values in [0, 1]; None is 0.
        deviation: Of each channel, that they are then divided by; None is 1.

    Raises:
        InvalidValue: A field is of the wrong type or range.
    """

    images: Images = field(default_factory=Images)
    augmentation: Augmentation | None = None
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        name = "ImageClassification"
        checks.kind(f"{name}.images", self.images, Images)
        if self.augmentation is not None:
            what = f"{name}.augmentation"
            checks.kind(what, self.augmentation, Augmentation)
        for field_ in ("mean", "deviation"):
            value = getattr(self, field_)
            if value is None:
                continue
            checks.sequence(f"{name}.{field_}", value)
            for number in value:
                checks.number(f"{name}.{field_}", number)
                if field_ == "deviation" and number <= 0:
                    raise InvalidValue(
                        f"expected {name}.deviation of more than 0, received "
                        f"{value}"
                    )

    @property
    def name(self) -> str:
        """The name of the image set."""
        return self.images.name

    def open(
        self,
        strategy: tf.distribute.Strategy,
        data_dir: str | None = None,
        cache: pathlib.Path | None = None,
    ) -> Resident | Streamed:
        """Returns the images where a training can reach them.

        Args:
            strategy: Whose devices hold them, if they are held in memory.
            data_dir: Where TFDS keeps data sets.
            cache: A folder where decoded images are kept.

        Raises:
            DataError: The images are not to be had.
        """
        return open_images(self.images, strategy, data_dir, cache)

    def prepare(self, inputs: tf.Tensor, draw: Draw | None = None) -> tf.Tensor:
        """Returns uint8 images as float32, in [0, 1] or normalised.

        Args:
            inputs: `[n, height, width, channels]`.
            draw: The randomness of a training step, for the augmentation.
                None in an evaluation, which has none.

        Raises:
            InvalidValue: `mean` or `deviation` do not fit the channels.

        References:
            Zhou et al. 2019 divide by 255 and do nothing else.
        """
        if self.augmentation is not None and draw is not None:
            inputs = self.augmentation(inputs, draw)
        images = tf.cast(inputs, tf.float32) / 255
        channels = images.shape[-1]
        for name in ("mean", "deviation"):
            value = getattr(self, name)
            if value is None:
                continue
            if len(value) != channels:
                raise InvalidValue(
                    f"expected ImageClassification.{name} of {channels} "
                    f"channels, received {value}"
                )
            own = tf.constant(value, tf.float32)
            images = images - own if name == "mean" else images / own
        return images
