"""Decoded image sets: arrays in memory, and a copy of them on disk.

Decoding takes seconds, and every process of a command would pay them. So what
was decoded once is kept, in a file for each choice of images and place that
they come from:

    <folder>/images-<hash>.npz      images, labels, and "about", a JSON text

The text has the arrays' fingerprint and their `origin`: the hash of all that
decides what decoding gives. Arrays of another origin are out of date, those
of another fingerprint are damaged; both are decoded again and replaced.
"""

import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging

from tf_lottery.foundation import identity
from tf_lottery.foundation.files import (
    StorageError,
    expect_file,
    storing,
    write_atomically,
)

FORMAT = 1
"""Part of every origin; raised when the same images come to be decoded, split
or stored in another way."""


@dataclass(frozen=True, eq=False)
class ImageArrays:
    """An image set in memory; see `data.images` for the layout."""

    images: np.ndarray
    labels: np.ndarray
    sizes: dict[str, int]
    classes: int

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all that training and evaluation see of the data."""
        digest = hashlib.sha256()
        for array in (self.images, self.labels):
            digest.update(repr((array.shape, array.dtype.str)).encode())
            digest.update(np.ascontiguousarray(array).data)
        digest.update(repr((sorted(self.sizes.items()), self.classes)).encode())
        return digest.hexdigest()


def get(
    folder: pathlib.Path,
    chosen: Any,
    builder: tfds.core.DatasetBuilder,
    decode: Callable[[], ImageArrays],
) -> ImageArrays:
    """Returns the arrays that `decode` gives, from disk if they are there.

    A folder that cannot be read or written costs a warning and the time.

    Args:
        folder: Where decoded sets are kept; is made if it is not there.
        chosen: Which images, as `identity.digest` takes it.
        builder: Has the images on disk.
        decode: Called if the arrays are not there, out of date or damaged.
    """
    origin = _origin(chosen, builder)
    if origin is None:
        return decode()
    place = os.path.realpath(builder.data_dir)
    path = folder / f"images-{identity.digest([chosen, place])}.npz"
    arrays = _read(path, origin)
    if arrays is None:
        arrays = decode()
        _write(path, origin, arrays)
    return arrays


def _origin(chosen: Any, builder: tfds.core.DatasetBuilder) -> str | None:
    """Returns a hash, or None if no file can be seen, as in a remote place."""
    root = os.fspath(builder.data_dir)
    files = []
    # Links are followed: classes of an image folder may be some.
    for folder, folders, names in os.walk(root, followlinks=True):
        relative = os.path.relpath(folder, root)
        if os.sep in relative:  # train/<class>: no image lies below
            folders.clear()
        files.append((relative, 0, 0))  # an empty one is a class, too
        for name in names:
            path = os.path.join(folder, name)
            try:
                status = os.stat(path)
            except OSError:  # a link to nowhere
                continue
            relative = os.path.relpath(path, root)
            files.append((relative, status.st_size, status.st_mtime_ns))
    if not any(size for _, size, _ in files):
        return None
    splits = builder.info.splits
    return identity.digest(
        {
            "format": FORMAT,
            "versions": [p.__version__ for p in (np, tf, tfds)],
            "chosen": chosen,
            "name": builder.info.full_name,
            # As the builder found them, perhaps before the last file came.
            "classes": builder.info.features["label"].num_classes,
            "sizes": {name: splits[name].num_examples for name in splits},
            "files": sorted(files),
        }
    )


def _read(path: pathlib.Path, origin: str) -> ImageArrays | None:
    try:
        expect_file(path)
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            if about["origin"] != origin:
                return None
            arrays = ImageArrays(
                file["images"], file["labels"], about["sizes"], about["classes"]
            )
        # The zip file's own checksums do not do: they go unchecked where a
        # damaged header asks for less than there is.
        if arrays.fingerprint != about["fingerprint"]:
            raise ValueError("its checksum does not hold")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # by what is damaged, of any kind
        logging.warning(
            "%s cannot be used, the images are decoded again: %r", path, error
        )
        return None
    return arrays


def _write(path: pathlib.Path, origin: str, arrays: ImageArrays) -> None:
    about = {
        "origin": origin,
        "fingerprint": arrays.fingerprint,
        "sizes": arrays.sizes,
        "classes": arrays.classes,
    }
    buffer = BytesIO()
    np.savez(
        buffer,
        about=np.array(json.dumps(about)),
        images=arrays.images,
        labels=arrays.labels,
    )
    try:
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())
    except StorageError as error:
        logging.warning("the decoded images are not kept: %s", error)
