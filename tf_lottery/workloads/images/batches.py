"""Batches: which images a step sees, as a function of (seed, step) alone.

An epoch is a permutation of the training images, cut into whole batches; what
is left over is dropped, and the next epoch has a permutation of its own. No
iterator keeps a position, so a training can be resumed at any step.

Two sources have this interface. `Resident` holds all images on the device as
uint8, and a batch is a row of indices: nothing but those travels while a
training runs. `Streamed` reads the training images through tf.data, for sets
that do not fit; there, an epoch's order is tf.data's shuffle with the epoch's
seed.
"""

import functools
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tf_lottery.foundation import seeds
from tf_lottery.workloads.images import image_sets as images_lib

SHUFFLE_BUFFER = 10_000
"""Images among which a streamed epoch is shuffled."""


class Resident:
    """Image arrays on the device, or on each device of a strategy.

    Args:
        arrays: The images.
        strategy: Whose devices hold them.
    """

    def __init__(
        self, arrays: images_lib.ImageArrays, strategy: tf.distribute.Strategy
    ) -> None:
        self.sizes = arrays.sizes
        self.classes = arrays.classes
        self.image_shape = arrays.images.shape[1:]
        self.fingerprint = arrays.fingerprint
        with strategy.scope():
            self._images = tf.Variable(arrays.images, trainable=False)
            self._labels = tf.Variable(arrays.labels, trainable=False)

    def start(self, split: str) -> int:
        """Returns the index of the first image of a split."""
        before = images_lib.SPLITS[: images_lib.SPLITS.index(split)]
        return sum(self.sizes[name] for name in before)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns all images, uint8 `[n, h, w, c]`, and labels `[n]`."""
        return self._images.numpy(), self._labels.numpy()

    def rows(
        self, seed: int, batch_size: int, step: int, count: int
    ) -> np.ndarray:
        """Returns the images of `count` steps from `step` on.

        Returns:
            Indices, int32 `[count, batch_size]`.
        """
        train = self.sizes["train"]
        per_epoch = train // batch_size
        return np.stack(
            [
                _permutation(seed, s // per_epoch, train)[
                    s % per_epoch * batch_size :
                ][:batch_size]
                for s in range(step, step + count)
            ]
        )

    def take(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns images in [0, 1] `[n, h, w, c]` and labels `[n]`."""
        images = tf.gather(self._images, indices)
        return scale(images), tf.gather(self._labels, indices)


class Streamed:
    """Image sets on disk, read through tf.data as they are needed.

    Args:
        images: Which images; the last ones of the training split are for
            validation.
        data_dir: As for `images.load`.

    Raises:
        DataError: As for `images.load`.
    """

    def __init__(
        self, images: images_lib.Images, data_dir: str | None = None
    ) -> None:
        self._builder = images_lib.prepared_builder(images.name, data_dir)
        if isinstance(self._builder, tfds.folder_dataset.ImageFolder):
            raise images_lib.DataError(
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
        self.sizes = {
            "train": train,
            "validation": available - train,
            "test": info.splits["test"].num_examples,
        }
        self.classes = info.features["label"].num_classes
        self.image_shape = info.features["image"].shape
        # Not of the contents, which would have to be read for it.
        self.fingerprint = repr(
            (
                info.full_name,
                [(name, info.splits[name].num_bytes) for name in info.splits],
                self._slices,
            )
        )

    def batches(
        self, seed: int, batch_size: int, step: int
    ) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Yields the training batches from `step` on, without end."""
        per_epoch = self.sizes["train"] // batch_size
        while True:
            epoch, skipped = divmod(step, per_epoch)
            data = self._read("train").shuffle(
                SHUFFLE_BUFFER, seeds.integer(seed, "order", epoch)
            )
            data = data.batch(batch_size, drop_remainder=True).skip(skipped)
            for images, labels in data.prefetch(tf.data.AUTOTUNE):
                yield images, labels
                step += 1

    def split(
        self, name: str, batch_size: int
    ) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Yields a split once, in batches; the last may be smaller."""
        yield from self._read(name).batch(batch_size)

    def _read(self, split: str) -> tf.data.Dataset:
        data = self._builder.as_dataset(
            split=self._slices[split],
            shuffle_files=False,
            read_config=tfds.ReadConfig(interleave_cycle_length=1),
        )
        return data.map(
            lambda row: (row["image"], tf.cast(row["label"], tf.int32)),
            num_parallel_calls=tf.data.AUTOTUNE,
        )


def open_source(
    images: images_lib.Images,
    strategy: tf.distribute.Strategy,
    data_dir: str | None = None,
    cache: pathlib.Path | None = None,
) -> Resident | Streamed:
    """Returns the images where a training can reach them.

    Args:
        images: Which images.
        strategy: Whose devices hold them, if they are held in memory.
        data_dir: As for `images.load`.
        cache: Likewise.

    Raises:
        DataError: As for `images.load`.
    """
    if images.stream:
        return Streamed(images, data_dir)
    return Resident(images_lib.load(images, data_dir, cache), strategy)


def scale(images: Any) -> tf.Tensor:
    """Returns uint8 images as float32 in [0, 1].

    References:
        Zhou et al. 2019 divide by 255 and do nothing else.
    """
    return tf.cast(images, tf.float32) / 255


@functools.lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    order = seeds.generator(seed, "order", epoch).permutation(n)
    return order.astype(np.int32)
