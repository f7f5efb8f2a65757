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

SUFFIXES = (".png", ".jpg", ".jpeg")


def find(
    name: str, data_dir: str | None
) -> tfds.folder_dataset.ImageFolder | None:
    """Returns TFDS' builder of the folder `name`, if there is one.

    Args:
        name: Of the folder.
        data_dir: Where it is; None is where TFDS keeps its data.
    """
    root = pathlib.Path(data_dir or _default_data_dir()).expanduser() / name
    images = (
        path
        for path in (root / "train").glob("*/*")
        if path.suffix.lower() in SUFFIXES
    )
    first = min(images, default=None)
    if first is None or not (root / "test").is_dir():
        return None
    image = tf.io.decode_image(first.read_bytes())
    return tfds.folder_dataset.ImageFolder(
        os.fspath(root), shape=tuple(image.shape)
    )


def _default_data_dir() -> str:
    return os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
