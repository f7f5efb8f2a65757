"""The store: results of trainings, under the hash of what went into them.

    store/<hash>/result.npz, result.json          a finished training
    store/<hash>/checkpoint-<step>.npz, .json     one under way
    store/<hash>/damaged-...                      what was not what it should be
    store/<hash>/.lock                            held by the one that trains
    store/format                                  of the keys, a number
    store/images-<hash>.npz                       of `data.decoded`, no record

A record (see `array_files`) that is damaged is set aside with a line that says
so, and made anew.
"""

import os
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

from absl import logging

from tf_lottery.foundation import array_files
from tf_lottery.foundation.array_files import Arrays, Damaged, Entry, Fault
from tf_lottery.foundation.files import (
    StorageError,
    expect_folder,
    locked,
    remove,
    set_aside,
    storing,
    sweep,
    write_atomically,
)

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

    def tidy(self) -> None:
        """Takes away what processes that were killed have left half written."""
        sweep(self._folder)

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
        there = "0" if not mark.exists() else _text(mark)
        if there == str(number):
            return 0
        if not there.isdigit():  # which says nothing of the trainings
            set_aside(mark, f"expected {number}, received {there[:20]!r}")
        write_atomically(mark, f"{number}\n".encode())
        found = self._folder.glob("*/result.json") if there.isdigit() else ()
        return len(list(found))

    def find(self, key: str, fault: Fault = lambda _: None) -> Entry | None:
        """Returns the finished training of a key, if it is there and whole.

        Args:
            key: Hash of what goes into the training.
            fault: Says what else is wrong with it.

        Raises:
            StorageError: It is there and cannot be read.
        """
        try:
            return array_files.read(self._folder / key / "result", fault)
        except Damaged:  # whoever makes it anew says so
            return None

    def get(
        self,
        key: str,
        make: Callable[["Checkpoint"], tuple[Arrays, dict[str, Any]]],
        waiting: Callable[[], None] = lambda: None,
        fault: Fault = lambda _: None,
    ) -> Entry:
        """Returns the finished training of a key, made now if need be.

        Of several processes that ask for the same key, one makes it and the
        others wait for it.

        Args:
            key: Hash of what goes into the training.
            make: Trains, with a place for checkpoints.
            waiting: Called once if another process is at it.
            fault: Says what is wrong with a record whose checksums hold.

        Raises:
            StorageError: The result could not be written. Checkpoints stay.
        """
        record = self.find(key, fault)
        if record:
            return record
        folder = self._folder / key
        expect_folder(folder)
        with locked(folder / ".lock", waiting):
            path = folder / "result"
            # Another process may have made it.
            record = array_files.read_or_set_aside(path, fault)
            if record is None:
                checkpoint = Checkpoint(folder)
                arrays, meta = make(checkpoint)
                array_files.write(path, arrays, meta)
                checkpoint.clear()
                # As it was stored: a first run sees what a later one will.
                record = self.find(key, fault)
        if record is None:
            raise StorageError(
                f"expected to read back what was written to {folder}, and its "
                "checksum does not hold: the disk or the memory is faulty"
            )
        return record


class Checkpoint:
    """The place that a training under way has in the store.

    Args:
        folder: Of the training's key.

    Attributes:
        computed: What the last bits of this process depend on, beside what the
            key is of. A training that was begun under others begins again.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.computed: dict[str, Any] = {}
        self._folder = folder
        self._saved_at = time.monotonic()

    def load(self, fault: Fault = lambda _: None) -> Entry | None:
        """Returns the latest record that is whole, if there is one.

        Args:
            fault: Says what is wrong with a record whose checksums hold.
        """
        for path in reversed(self._records()):
            record = array_files.read_or_set_aside(path, fault)
            if record:
                arrays, meta = record
                before = meta.pop("computed")
                if before == self.computed:
                    return arrays, meta
                logging.warning(
                    "the checkpoint at step %d was made with %s and this "
                    "process has %s, whose last bits differ: this training "
                    "begins again",
                    meta["step"],
                    _others(before, self.computed),
                    _others(self.computed, before),
                )
                self.clear()
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
        about = {**meta, "computed": self.computed}
        array_files.write(path, arrays, about)
        for other in self._records():
            if other != path:
                array_files.drop(other)
        self._saved_at = time.monotonic()

    def clear(self) -> None:
        """Drops all records, and what a process that was killed left half."""
        for pattern in ("checkpoint-*", ".checkpoint-*", ".result*"):
            for path in self._folder.glob(pattern):
                remove(path)

    def _records(self) -> list[pathlib.Path]:
        files = self._folder.glob("checkpoint-*.json")
        return sorted(file.with_suffix("") for file in files)


def _others(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Returns in words what the other dict does not have."""
    names = [name for name in one if one[name] != other.get(name)]
    return ", ".join(f"{name}={one[name]}" for name in names) or "nothing else"


def _text(path: pathlib.Path) -> str:
    if path.is_dir():
        return "a folder"
    return path.read_text(errors="replace").strip()
