"""Named, order-free randomness.

Every random choice in a run has a name: the replicate's seed, then what is
being drawn ("init", "order", "mask") and where (a layer's path, an epoch).
The name alone decides the numbers, so adding an arm, a layer or an epoch
never shifts what another one draws, and nothing has to be saved to resume.

>>> int(generator(0, "order", 3).integers(100))
83
>>> int(generator(0, "order", 3).integers(100))
83
>>> integer(0, "init", "fc1") == integer(0, "init", "fc2")
False
"""

import hashlib

import numpy as np


def generator(root: int, *names: str | int) -> np.random.Generator:
    """Returns the NumPy generator that belongs to `(root, *names)`."""
    return np.random.default_rng(list(_digest(root, names)))


def integer(root: int, *names: str | int) -> int:
    """Returns the seed in [0, 2**31) that belongs to `(root, *names)`.

    For libraries that take an integer, such as Keras' initializers.
    """
    return int.from_bytes(_digest(root, names)[:4], "big") >> 1


def _digest(root: int, names: tuple[str | int, ...]) -> bytes:
    # repr keeps 1 and "1" apart, and SHA-256 does not change between Python
    # processes as `hash` does.
    return hashlib.sha256(repr((int(root), *names)).encode()).digest()
