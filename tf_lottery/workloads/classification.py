"""Image classification: which class an image is of."""

import pathlib
from dataclasses import dataclass, field

import tensorflow as tf

from tf_lottery.foundation import checks
from tf_lottery.workloads.examples import Resident, Streamed
from tf_lottery.workloads.images.image_sets import Images
from tf_lottery.workloads.images.opened_images import open_images
from tf_lottery.workloads.prediction import Prediction


@dataclass(frozen=True)
class ImageClassification(Prediction):
    """Learns the classes of images.

    Args:
        images: Which images to train, validate and test on.

    Raises:
        InvalidValue: `images` is no `Images`.
    """

    images: Images = field(default_factory=Images)

    def __post_init__(self) -> None:
        checks.kind("ImageClassification.images", self.images, Images)

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

    def prepare(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns uint8 images as float32 in [0, 1].

        References:
            Zhou et al. 2019 divide by 255 and do nothing else.
        """
        return tf.cast(inputs, tf.float32) / 255
