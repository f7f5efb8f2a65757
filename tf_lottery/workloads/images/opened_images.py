"""Images where a training reaches them: in memory, or streamed from disk.

Those in memory are uint8 on the device; scaling happens in the step. Streamed
training images are shuffled by tf.data with the epoch's seed.
"""

import pathlib
from collections.abc import Iterator

import tensorflow as tf
import tensorflow_datasets as tfds

from tf_lottery.foundation import seeds
from tf_lottery.workloads.examples import Resident, Streamed
from tf_lottery.workloads.images import image_sets
from tf_lottery.workloads.task import Batch, Shapes

SHUFFLE_BUFFER = 10_000
"""Images among which a streamed epoch is shuffled."""


def open_images(
    images: image_sets.Images,
    strategy: tf.distribute.Strategy,
    data_dir: str | None = None,
    cache: pathlib.Path | None = None,
) -> Resident | Streamed:
    """Returns images as `inputs` `[n, h, w, c]` and labels as `targets`.

    Args:
        images: Which images.
        strategy: Whose devices hold them, if they are held in memory.
        data_dir: Where TFDS keeps data sets, as for `image_sets.load`.
        cache: Where decoded images are kept, as for `image_sets.load`.

    Raises:
        DataError: The images are not to be had, as for `image_sets.load`.
    """
    if images.stream:
        return StreamedImages(images, data_dir)
    return resident(image_sets.load(images, data_dir, cache), strategy)


def resident(
    arrays: image_sets.ImageArrays, strategy: tf.distribute.Strategy
) -> Resident:
    """Returns image arrays on the devices of a strategy."""
    return Resident(
        {"inputs": arrays.images, "targets": arrays.labels},
        arrays.sizes,
        Shapes(arrays.images.shape[1:], arrays.classes),
        arrays.fingerprint,
        strategy,
    )


class StreamedImages(Streamed):
    """A TFDS data set of images on disk, read through tf.data.

    Args:
        images: Which images; the last ones of the training split are for
            validation.
        data_dir: Where TFDS keeps data sets, as for `image_sets.load`.

    Raises:
        DataError: The images are not to be had, or lie in an image folder.
    """

    def __init__(
        self, images: image_sets.Images, data_dir: str | None = None
    ) -> None:
        self._builder = image_sets.prepared_builder(images.name, data_dir)
        if isinstance(self._builder, tfds.folder_dataset.ImageFolder):
            raise image_sets.DataError(
                "expected Images.stream = False for an image folder, which "
                f"is held in memory, received True for {images.name!r}"
            )
        info = self._builder.info
        available = info.splits["train"].num_examples
        train = available - images.validation_size(available)
        self._slices = {
            "train": f"train[:{train}]",
            "validation": f"train[{train}:]",
            "test": "test",
        }
        super().__init__(
            sizes={
                "train": train,
                "validation": available - train,
                "test": info.splits["test"].num_examples,
            },
            shapes=Shapes(
                info.features["image"].shape,
                info.features["label"].num_classes,
            ),
            # Not of the contents, which would have to be read for it.
            fingerprint=repr(
                (
                    info.full_name,
                    [(n, info.splits[n].num_bytes) for n in info.splits],
                    self._slices,
                )
            ),
        )

    def batches(self, seed: int, batch_size: int, step: int) -> Iterator[Batch]:
        """Yields the training batches from `step` on, without end."""
        per_epoch = self.sizes["train"] // batch_size
        while True:
            epoch, skipped = divmod(step, per_epoch)
            data = self._read("train").shuffle(
                SHUFFLE_BUFFER, seeds.integer(seed, "order", epoch)
            )
            data = data.batch(batch_size, drop_remainder=True).skip(skipped)
            for batch in data.prefetch(tf.data.AUTOTUNE):
                yield batch
                step += 1

    def split(self, name: str, batch_size: int) -> Iterator[Batch]:
        """Yields a split once, in batches; the last may be smaller."""
        yield from self._read(name).batch(batch_size)

    def _read(self, split: str) -> tf.data.Dataset:
        data = self._builder.as_dataset(
            split=self._slices[split],
            shuffle_files=False,
            read_config=tfds.ReadConfig(interleave_cycle_length=1),
        )
        return data.map(
            lambda row: {
                "inputs": row["image"],
                "targets": tf.cast(row["label"], tf.int32),
            },
            num_parallel_calls=tf.data.AUTOTUNE,
        )
