"""The store: results of trainings, under the hash of what went into them.

    store/<hash>/result.npz, result.json          a finished training
    store/<hash>/checkpoint-<step>.npz, .json     one under way
    store/<hash>/damaged-...                      what failed its checksum
    store/<hash>/.lock                            held by the one that trains
    store/format                                  of the keys, a number
    store/images-<hash>.npz                       of `data.decoded`, no record

A pair of files is one record: arrays, and a JSON file that holds numbers and
the checksums of both. The JSON file is written last, so a record is there as
a whole or not at all, whenever the process dies. A record whose checksums do
not hold is set aside with a warning and made anew.
"""

import hashlib
import io
import json
import os
import pathlib
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

import filelock
import numpy as np
from absl import logging

from tf_lottery.foundation.files import StorageError, storing, write_atomically

Arrays = Mapping[str, np.ndarray]
Entry = tuple[dict[str, np.ndarray], dict[str, Any]]

CHECKPOINT_SECONDS = 20.0
"""How much work a killed training loses at most, beside the call it is in."""


class Store:
    """Records of trainings in a folder.

    Args:
        folder: Is made if it is not there.

    Raises:
        StorageError: It cannot be made or written to.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self._folder = pathlib.Path(folder)
        with storing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self._folder).close()

    def older(self, number: int) -> int:
        """Returns how many trainings are there from before a format.

        They lie under keys that nobody asks for any more. It is said once:
        from then on the store is of this format.

        Args:
            number: The format of the keys that are asked for from now on.

        Raises:
            StorageError: The store cannot be written to.
        """
        mark = self._folder / "format"
        if mark.exists() and mark.read_text().strip() == str(number):
            return 0
        found = len(list(self._folder.glob("*/result.json")))
        write_atomically(mark, f"{number}\n".encode())
        return found

    def find(self, key: str) -> Entry | None:
        """Returns the finished training of a key, if it is there."""
        return _read(self._folder / key / "result")

    def get(
        self,
        key: str,
        make: Callable[["Checkpoint"], tuple[Arrays, dict[str, Any]]],
        waiting: Callable[[], None] = lambda: None,
    ) -> Entry:
        """Returns the finished training of a key, made now if need be.

        Of several processes that ask for the same key, one makes it and the
        others wait for it.

        Args:
            key: Hash of what goes into the training.
            make: Trains, with a place for checkpoints.
            waiting: Called once if another process is at it.

        Raises:
            StorageError: The result could not be written. Checkpoints stay.
        """
        record = self.find(key)
        if record:
            return record
        folder = self._folder / key
        with storing(folder):
            folder.mkdir(exist_ok=True)
        lock = filelock.FileLock(folder / ".lock")
        with storing(folder):
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                waiting()
                lock.acquire()
        try:
            path = folder / "result"
            record = _read(path)  # another process may have made it
            if record is None:
                _set_aside(path)
                checkpoint = Checkpoint(folder)
                arrays, meta = make(checkpoint)
                _write(path, arrays, meta)
                checkpoint.clear()
                # As it was stored: a first run sees what a later one will.
                record = _read(path)
        finally:
            lock.release()
        if record is None:
            raise StorageError(
                f"expected to read back what was written to {folder}, and its "
                "checksum does not hold: the disk or the memory is faulty"
            )
        return record


class Checkpoint:
    """The place that a training under way has in the store."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._saved_at = time.monotonic()

    def load(self) -> Entry | None:
        """Returns the latest record that is whole, if there is one."""
        for path in reversed(self._records()):
            record = _read(path)
            if record:
                return record
            _set_aside(path)
        return None

    def due(self) -> bool:
        """Returns whether it is time to save again."""
        return time.monotonic() - self._saved_at >= CHECKPOINT_SECONDS

    def save(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        """Saves a record with its `step`, and drops earlier ones.

        Raises:
            StorageError: It could not be written. Earlier ones stay.
        """
        path = self._folder / f"checkpoint-{meta['step']:09d}"
        _write(path, arrays, meta)
        for other in self._records():
            if other != path:
                _remove(other)
        self._saved_at = time.monotonic()

    def clear(self) -> None:
        """Drops all records, and what a process that was killed left half."""
        with storing(self._folder):
            for pattern in ("checkpoint-*", ".checkpoint-*", ".result*"):
                for path in self._folder.glob(pattern):
                    path.unlink()

    def _records(self) -> list[pathlib.Path]:
        files = self._folder.glob("checkpoint-*.json")
        return sorted(file.with_suffix("") for file in files)


def _write(path: pathlib.Path, arrays: Arrays, meta: dict[str, Any]) -> None:
    objects = [name for name, array in arrays.items() if array.dtype.hasobject]
    if objects:
        raise ValueError(f"expected arrays of numbers, received {objects}")
    buffer = io.BytesIO()
    named: dict[str, Any] = {_escape(n): a for n, a in arrays.items()}
    np.savez(buffer, **named)
    data = buffer.getvalue()
    body = {"npz_sha256": hashlib.sha256(data).hexdigest(), "meta": meta}
    write_atomically(path.with_name(path.name + ".npz"), data)
    text = json.dumps({**body, "sha256": _checksum(body)}, indent=1)
    write_atomically(path.with_name(path.name + ".json"), text.encode())


def _read(path: pathlib.Path) -> Entry | None:
    """Returns a record, or None if it is not there or is damaged.

    Raises:
        StorageError: It is there and cannot be read.
    """
    npz = path.with_name(path.name + ".npz")
    meta = path.with_name(path.name + ".json")
    try:
        text, data = meta.read_bytes(), npz.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"expected to read {path}: {error}") from error
    try:
        body = json.loads(text)
        if body.pop("sha256") != _checksum(body):
            raise ValueError(f"the checksum of {meta.name} does not hold")
        if body["npz_sha256"] != hashlib.sha256(data).hexdigest():
            raise ValueError(f"the checksum of {npz.name} does not hold")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        logging.warning("%s is damaged and not used: %s", path, error)
        return None
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays = {_unescape(name): file[name] for name in file.files}
    return arrays, body["meta"]


def _remove(path: pathlib.Path) -> None:
    # The JSON file first: without it there is no record.
    with storing(path):
        path.with_name(path.name + ".json").unlink()
        path.with_name(path.name + ".npz").unlink(missing_ok=True)


def _set_aside(path: pathlib.Path) -> None:
    """Renames the files of a record that could not be read, if any."""
    aside = path.with_name(f"damaged-{time.time_ns()}-{path.name}")
    with storing(path):
        for suffix in (".json", ".npz"):
            file = path.with_name(path.name + suffix)
            if file.exists():
                file.rename(aside.with_name(aside.name + suffix))
                logging.warning("%s is set aside as %s*", file, aside)


def _checksum(body: dict[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _escape(name: str) -> str:
    # Names in a zip file are paths, and Keras' variable paths hold slashes.
    return name.replace("/", "|")


def _unescape(name: str) -> str:
    return name.replace("|", "/")
