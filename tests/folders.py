"""Folders of images, for tests of what reads them."""

import numpy as np
import tensorflow as tf


def write_folder(root, shapes, classes=("cat", "dog")):
    """An image folder; images of a class have a grey of their own."""
    for split, count in (("train", 12), ("test", 4)):
        for i, name in enumerate(classes):
            folder = root / "animals" / split / name
            folder.mkdir(parents=True)
            for j in range(count):
                shape = shapes[j % len(shapes)]
                pixels = np.full(shape, 100 * i + j, np.uint8)
                data = tf.io.encode_png(pixels).numpy()
                (folder / f"{j}.png").write_bytes(data)
            (folder / ".DS_Store").write_text("of the file manager")
