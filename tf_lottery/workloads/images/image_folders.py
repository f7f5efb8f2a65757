"""Image folders: a data set of one's own, without a line of code.

A folder beside the data sets of TFDS, with a file an image

    <data_dir>/<name>/train/<class>/*.png     (or .jpg, .jpeg)
    <data_dir>/<name>/test/<class>/*.png

is a data set by the name of the folder. All images have the size of the first
one; nothing is resized.
"""

import os
import pathlib

import tensorflow as tf
import tensorflow_datasets as tfds

from tf_lottery.workloads.task import DataError

SUFFIXES = (".png", ".jpg", ".jpeg")


def find(
    name: str, data_dir: str | None
) -> tfds.folder_dataset.ImageFolder | None:
    """Returns TFDS' builder of the folder `name`, if there is one.

    Args:
        name: Of the folder.
        data_dir: Where it is; None is where TFDS keeps its data.

    Raises:
        DataError: A class has no images to train or to test on.
    """
    root = place(name, data_dir)
    images = (
        path
        for path in (root / "train").glob("*/*")
        if path.suffix.lower() in SUFFIXES
    )
    first = min(images, default=None)
    if first is None:
        return None
    _expect_classes(root)
    image = tf.io.decode_image(first.read_bytes())
    return tfds.folder_dataset.ImageFolder(
        os.fspath(root), shape=tuple(image.shape)
    )


def place(name: str, data_dir: str | None) -> pathlib.Path:
    """Returns where a data set of that name would be."""
    root = pathlib.Path(data_dir or _default_data_dir()).expanduser()
    return root / name


def _expect_classes(root: pathlib.Path) -> None:
    splits = [root / "train", root / "test"]
    # A class is a folder in either, to TFDS.
    classes = {p.name for s in splits for p in s.glob("*/") if p.is_dir()}
    for split in splits:
        for name in sorted(classes):
            images = (split / name).glob("*")
            if not any(p.suffix.lower() in SUFFIXES for p in images):
                raise DataError(
                    f"expected images (.png, .jpg) in {split / name}, as of "
                    "every class to train and to test on, received none"
                )


def _default_data_dir() -> str:
    return os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
