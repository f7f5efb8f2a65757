"""Array files: arrays and numbers as one record that knows whose it is.

    <key>/<name>.npz     arrays
    <key>/<name>.json    numbers, the record's key and name, checksums of all

The JSON file is written last, so a record is there as a whole or not at all,
whenever the process dies. A record is damaged if its checksums do not hold, or
if it lies under another key or name than its own.

Results of earlier versions do not hold their key. They are taken for what
their folder says if whoever reads them finds nothing else wrong: setting them
aside would cost whole stores for a fault that is rare. That it is so is said.
"""

import hashlib
import io
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from absl import logging

from tf_lottery.foundation.files import (
    StorageError,
    expect_file,
    remove,
    set_aside,
    write_atomically,
)

Arrays = Mapping[str, np.ndarray]
Entry = tuple[dict[str, np.ndarray], dict[str, Any]]
Fault = Callable[[Entry], str | None]
"""Says what is wrong with a record for whoever asks for it, if anything is."""

PAIR = (".json", ".npz")


class Damaged(Exception):
    """A record is not what it should be: what was expected, what received."""


def write(path: pathlib.Path, arrays: Arrays, meta: dict[str, Any]) -> None:
    """Writes a record.

    Args:
        path: The folder is named as its key is; without a suffix.
        arrays: Of numbers.
        meta: What else it holds, as JSON can.

    Raises:
        StorageError: It could not be written.
        ValueError: An array is of objects.
    """
    objects = [name for name, array in arrays.items() if array.dtype.hasobject]
    if objects:
        raise ValueError(f"expected arrays of numbers, received {objects}")
    buffer = io.BytesIO()
    named: dict[str, Any] = {_escape(n): a for n, a in arrays.items()}
    np.savez(buffer, **named)
    data = buffer.getvalue()
    body = {
        "key": path.parent.name,
        "name": path.name,
        "npz_sha256": hashlib.sha256(data).hexdigest(),
        "meta": meta,
    }
    text = json.dumps({**body, "sha256": _checksum(body)}, indent=1)
    to_meta, to_npz = (path.with_name(path.name + suffix) for suffix in PAIR)
    for file, content in ((to_npz, data), (to_meta, text.encode())):
        expect_file(file)
        write_atomically(file, content)


def drop(path: pathlib.Path) -> None:
    """Removes a record.

    Raises:
        StorageError: It cannot be removed.
    """
    for suffix in PAIR:  # the JSON file first: without it there is no record
        remove(path.with_name(path.name + suffix))


def read_or_set_aside(path: pathlib.Path, fault: Fault) -> Entry | None:
    """Returns a record, or None if it is not there or is set aside now.

    Raises:
        StorageError: It is there and cannot be read, or not be set aside.
    """
    try:
        return read(path, fault)
    except Damaged as error:
        set_aside(path, f"{error}; it is made anew", PAIR)
        return None


def read(path: pathlib.Path, fault: Fault) -> Entry | None:
    """Returns a record, or None if it is not there.

    Args:
        path: As of `write`.
        fault: Says what is wrong with a record whose checksums hold.

    Raises:
        Damaged: It is not what it should be.
        StorageError: It is there and cannot be read.
    """
    meta, npz = (path.with_name(path.name + suffix) for suffix in PAIR)
    if not meta.exists():
        return None
    text, data = _bytes(meta), _bytes(npz)
    try:
        body = json.loads(text)
        sha256 = body.pop("sha256")
        holds = sha256 == _checksum(body)
        arrays_hold = body["npz_sha256"] == hashlib.sha256(data).hexdigest()
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise Damaged(f"expected a record, received {text[:20]!r}") from None
    for file, checksum_holds in ((meta, holds), (npz, arrays_hold)):
        if not checksum_holds:
            raise Damaged(f"expected the checksum of {file.name} to hold")
    _expect_own(path, body)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {_unescape(name): file[name] for name in file.files}
    except Exception as error:  # by what another program wrote, of any kind
        raise Damaged(f"expected arrays in {npz.name}: {error!r}") from error
    entry = arrays, body["meta"]
    if wrong := fault(entry):
        raise Damaged(wrong)
    return entry


def _bytes(file: pathlib.Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise Damaged(f"expected a file {file.name}, received none") from None
    except IsADirectoryError:
        raise Damaged(
            f"expected a file {file.name}, received a folder"
        ) from None
    except OSError as error:
        raise StorageError(f"expected to read {file}: {error}") from error


def _expect_own(path: pathlib.Path, body: dict[str, Any]) -> None:
    """Raises Damaged unless a record is the one of its folder and name."""
    if path.name == "result" and "key" not in body:
        logging.log_first_n(
            logging.WARNING,
            "%s holds results of an earlier version, which do not say which "
            "training they are of: they are used where recipe and seed fit",
            1,
            path.parent.parent,
        )
        return
    for what, own in (("key", path.parent.name), ("name", path.name)):
        if body.get(what) != own:
            raise Damaged(
                f"expected a record of {what} {own[:20]}, received one of "
                f"{str(body.get(what))[:20]}"
            )


def _checksum(body: dict[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _escape(name: str) -> str:
    # Names in a zip file are paths, and Keras' variable paths hold slashes.
    return name.replace("/", "|")


def _unescape(name: str) -> str:
    return name.replace("|", "/")
