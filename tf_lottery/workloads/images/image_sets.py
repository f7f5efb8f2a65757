"""Image sets: which images, how they are split, and where they come from.

`Images` names a TFDS data set and how much of its training split is kept for
validation; `load` brings it into memory as uint8, the three splits one after
another in one array:

    images   [train | validation | test]   uint8 [n, height, width, channels]
    labels   [train | validation | test]   int32 [n]

Scaling to [0, 1] happens in the training step, on the device.
"""

import functools
import os
import pathlib
import re
import urllib.error
import urllib.request
from dataclasses import dataclass

import filelock
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tf_lottery.foundation import checks, command_line, seeds
from tf_lottery.workloads.images import decoded_cache, image_folders, mnist_5k
from tf_lottery.workloads.images.decoded_cache import ImageArrays
from tf_lottery.workloads.task import SPLITS, DataError


@dataclass(frozen=True)
class Images:
    """Which images to train, validate and test on.

    Args:
        name: Of a TFDS data set of labelled images with the splits "train"
            and "test", or of an image folder (`data.folders`); "mnist_5k"
            needs no download.
        validation: How many images of the training split to validate on,
            chosen at random once and for all seeds. None is 5,000, or a tenth
            of the split where that is less.
        stream: Read the training split through tf.data rather than holding
            it in memory.

    Raises:
        InvalidValue: A field is of the wrong type.

    References:
        Frankle & Carbin 2019, appendix G.1: 5,000 validation images.
    """

    name: str = "mnist"
    validation: int | None = None
    stream: bool = False

    def __post_init__(self) -> None:
        checks.text("DATA (Images.name)", self.name)
        if self.validation is not None:
            checks.positive_int("Images.validation", self.validation)
        checks.boolean("Images.stream", self.stream)

    def validation_size(self, available: int) -> int:
        """Returns how many of `available` training images to validate on.

        Raises:
            DataError: It would leave nothing to train on.
        """
        size = self.validation or min(5000, available // 10)
        if not size:
            raise DataError(
                f"expected at least 10 training images in {self.name}, of "
                f"which a tenth is for validation, received {available}"
            )
        if size >= available:
            raise DataError(
                f"expected fewer than {available} validation images, the size "
                f"of {self.name}'s training split, received {size}"
            )
        return size


def load(
    images: Images,
    data_dir: str | None = None,
    cache: pathlib.Path | None = None,
) -> ImageArrays:
    """Returns the images, downloading them first if that is possible.

    Args:
        images: What to load.
        data_dir: Where TFDS keeps its data; None is the variable
            TFDS_DATA_DIR, or else `~/tensorflow_datasets`.
        cache: A folder where decoded sets are kept (`data.decoded`); None is
            to decode them every time.

    Raises:
        DataError: The data set is not known, not there and not to be had, or
            no set of labelled images with the splits "train" and "test".
    """
    builder = prepared_builder(images.name, data_dir)
    decode = functools.partial(_decode, images, builder)
    return (
        decoded_cache.get(cache, images, builder, decode) if cache else decode()
    )


def _decode(images: Images, builder: tfds.core.DatasetBuilder) -> ImageArrays:
    # What it gives is kept: raise decoded_cache.FORMAT when that changes.
    image, label = {}, {}
    for split in ("train", "test"):
        try:
            table = tfds.as_numpy(
                builder.as_dataset(
                    split=split, batch_size=-1, shuffle_files=False
                )
            )
        except (tf.errors.OpError, ValueError) as error:
            # A file that is no image, or one of another size.
            raise _unreadable(images.name, builder, split, error) from error
        image[split] = np.asarray(table["image"])
        label[split] = np.asarray(table["label"], np.int32)
    n = len(label["train"])
    order = seeds.generator(0, "validation").permutation(n)
    held_out = np.zeros(n, bool)
    held_out[order[: images.validation_size(n)]] = True
    for part in (image, label):
        everything = part["train"]
        part["validation"] = everything[held_out]
        part["train"] = everything[~held_out]
    return ImageArrays(
        images=np.concatenate([image[split] for split in SPLITS]),
        labels=np.concatenate([label[split] for split in SPLITS]),
        sizes={split: len(label[split]) for split in SPLITS},
        classes=builder.info.features["label"].num_classes,
    )


def prepared_builder(
    name: str, data_dir: str | None
) -> tfds.core.DatasetBuilder:
    """Returns TFDS' builder of a set of labelled images that is on disk.

    Raises:
        DataError: As for `load`.
    """
    try:
        folder = image_folders.find(name, data_dir)
    except tf.errors.OpError as error:
        raise DataError(
            f"expected images in the folder {name!r}: {error.message}"
        ) from error
    if folder is not None:
        return folder
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except Exception as error:  # by what is wrong with the name, any kind
        folder = image_folders.place(name.split("/")[0], data_dir)
        if re.match(r"\w", name) and folder.is_dir():
            raise DataError(
                f"expected a data set of TFDS, or train/<class>/*.png and "
                f"test/<class>/*.png, in {folder}, received what cannot be "
                f"read: {command_line.one_line(str(error))}"
            ) from error
        known = ["mnist_5k", *tfds.list_builders(with_community_datasets=False)]
        alike = command_line.like(name, known) or ", such as mnist or cifar10"
        raise DataError(
            f"expected DATA to name a TFDS data set{alike}, or a folder with "
            "train/<class>/*.png and test/<class>/*.png in --data_dir, "
            f"received {name!r}"
        ) from error
    if not builder.is_prepared():
        _prepare(builder)
        # Anew: one from before does not see what another process prepared.
        builder = tfds.builder(name, data_dir=data_dir)
    features, splits = builder.info.features, builder.info.splits
    if not {"image", "label"} <= set(features) or not {
        "train",
        "test",
    } <= set(splits):
        raise DataError(
            f"expected {name} to have the features image and label and the "
            f"splits train and test, received {sorted(features)} and "
            f"{sorted(splits)}"
        )
    return builder


def _prepare(builder: tfds.core.DatasetBuilder) -> None:
    local = isinstance(builder, mnist_5k.Mnist5k)
    if local:
        tfds.disable_progress_bar()  # it is over in a second
    elif not _online():
        raise _missing(builder, "there is no network to download it")
    folder = pathlib.Path(builder.data_dir).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / ".lock")
        lock.acquire()
    except OSError as error:
        raise DataError(
            f"expected to write the data set {builder.name!r} to {folder}: "
            f"{error}. Name a folder that can be written with --data_dir"
        ) from error
    try:
        # Another process may have prepared it in the meantime.
        if not builder.is_prepared():
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(
                    try_download_gcs=False
                )
            )
    except Exception as error:  # of TFDS, of what it downloads with, of disks
        raise _missing(builder, f"making it failed: {error!r}") from error
    finally:
        lock.release()


def _unreadable(
    name: str,
    builder: tfds.core.DatasetBuilder,
    split: str,
    error: Exception,
) -> DataError:
    reason = command_line.one_line(str(error))
    if isinstance(builder, tfds.folder_dataset.ImageFolder):
        # A file that is no image, or one of another size.
        return DataError(
            f"expected the {split} images of {name!r} to be of shape "
            f"{builder.info.features['image'].shape}: {reason}"
        )
    damaged = [f for f in builder.info.splits[split].filepaths if _damaged(f)]
    return DataError(
        f"expected {', '.join(map(os.fspath, damaged)) or builder.data_dir} to "
        "be whole, received what cannot be read; remove its folder and the "
        "data set is made again"
    )


def _damaged(file: os.PathLike) -> bool:
    try:
        for _ in tf.data.TFRecordDataset(os.fspath(file)):
            pass
    except tf.errors.OpError:
        return True
    return False


def _missing(builder: tfds.core.DatasetBuilder, reason: str) -> DataError:
    return DataError(
        f"expected the data set {builder.name!r} in "
        f"{os.fspath(builder.data_dir)!r}; it is not there, and {reason}. Name "
        "the folder that has it with --data_dir, or use the digits that need "
        "no download: --gin_bindings=\"DATA = 'mnist_5k'\""
    )


def _online() -> bool:
    # TFDS' own download retries for minutes before it gives up.
    try:
        urllib.request.urlopen("https://storage.googleapis.com", timeout=5)
    except urllib.error.HTTPError:
        return True  # it answered
    except OSError:
        return False
    return True
