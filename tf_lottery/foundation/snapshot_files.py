"""Snapshot files: arrays that figures need, one file an arm, seed and round.

    runs/<run>/snapshots/<arm>, seed <seed>, round <round>.npz

Folders of earlier versions call the folder `pictures`.
"""

import io
import os
import pathlib
import re
import urllib.parse
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from absl import logging

from tf_lottery.foundation.files import set_aside, storing, write_atomically
from tf_lottery.foundation.records import Snapshot

FOLDERS = ("snapshots", "pictures")
"""The folder, and that of earlier versions."""


def named(arm: str, seed: int) -> str:
    """Returns an arm and a seed as part of a file's name."""
    return f"{urllib.parse.quote(arm, safe=' ')}, seed {seed}"


def save(folder: pathlib.Path, snapshot: Snapshot) -> str:
    """Writes arrays; sets others aside that are there in their place.

    Args:
        folder: The folder of the run.
        snapshot: What is to be written.

    Returns:
        The name of the file.

    Raises:
        StorageError: It could not be written.
    """
    own = named(snapshot.arm, snapshot.seed)
    path = folder / FOLDERS[0] / f"{own}, round {snapshot.round}.npz"
    buffer = io.BytesIO()
    arrays: dict[str, Any] = dict(snapshot.arrays)
    np.savez_compressed(buffer, **arrays)
    with storing(path):
        path.parent.mkdir(exist_ok=True)
        if path.is_file() and path.read_bytes() == buffer.getvalue():
            return path.name
    if path.exists() and not _holds(path, arrays):
        why = "expected the arrays of its chain, received others"
        set_aside(path, f"{why}; it is made again", into=folder)
    write_atomically(path, buffer.getvalue())
    return path.name


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _holds(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> bool:
    """Returns whether a file has just these arrays, packed in whatever way."""
    try:
        there = _read(path)
        return list(there) == list(arrays) and all(
            np.array_equal(there[name], arrays[name], equal_nan=True)
            for name in arrays
        )
    except Exception:  # by what is damaged, of any kind
        return False


def expect_only(folder: pathlib.Path, names: Collection[str]) -> None:
    """Sets aside what is there under other names.

    Args:
        folder: The folder of the run.
        names: Of all files that there should be.

    Raises:
        StorageError: It cannot be renamed.
    """
    for place in FOLDERS:
        for path in sorted((folder / place).glob("*")):
            if path.name not in names:
                why = f"expected arrays of the plan, received {path.name}"
                set_aside(path, why, into=folder)


def scan_snapshots(folder: str | os.PathLike) -> Iterator[Snapshot]:
    """Yields the snapshots of a run, by round, arm and seed.

    The masks of a large network are many megabytes: this does not hold them
    all. A file that cannot be read costs a line that says so.
    """
    found: dict[tuple[int, str, int], pathlib.Path] = {}
    for place in reversed(FOLDERS):
        for path in (pathlib.Path(folder) / place).glob("*.npz"):
            match = re.fullmatch(r"(.*), seed (\d+), round (\d+)", path.stem)
            if match:
                arm, seed, round_ = match.groups()
                found[int(round_), urllib.parse.unquote(arm), int(seed)] = path
    for (number, name, replicate), path in sorted(found.items()):
        try:
            arrays = _read(path)
        except Exception as error:  # by what is damaged, of any kind
            logging.warning("%s is left out: %r", path, error)
            continue
        yield Snapshot(replicate, name, number, arrays)


def read_snapshots(folder: str | os.PathLike) -> list[Snapshot]:
    """Returns the snapshots of a run, by round, arm and seed."""
    return list(scan_snapshots(folder))
