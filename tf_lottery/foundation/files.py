"""Files: written as a whole or not at all, set aside where they are damaged.

Everything is written under a temporary name, flushed to disk and renamed, so
that a process which is killed leaves the old file or the new one. What it
leaves beside them, `sweep` takes away. Nothing that a user may miss is ever
thrown away: what is damaged is renamed.
"""

import os
import pathlib
import re
import shutil
import socket
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import filelock
from absl import logging

HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
TEMPORARY = re.compile(r"\..+?(-[0-9a-f]{8}-\d+)?-[0-9a-f]{32}")
"""Names of files that are being written: on which host, by which process.

Earlier versions named neither."""

STALE_SECONDS = 3600.0
"""Nobody is still writing a file that was last written to so long ago."""


class StorageError(Exception):
    """A file could not be written."""


@contextmanager
def storing(path: pathlib.Path) -> Iterator[None]:
    """Turns an OSError within into a StorageError that names the path."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"expected to write {os.fspath(path)!r}: {error.strerror}. What "
            "was stored before is intact; make room or choose another folder "
            "(of a command with --workdir), and try again"
        ) from error


def write_atomically(path: str | os.PathLike, data: bytes) -> None:
    """Writes a file as a whole or not at all.

    Raises:
        StorageError: It could not be written; what was there before stays.
    """
    path = pathlib.Path(path)
    with storing(path):
        writer = f"{HOST}-{os.getpid()}-{uuid.uuid4().hex}"
        temporary = path.with_name(f".{path.name}-{writer}")
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _flush_folder(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _flush_folder(folder: pathlib.Path) -> None:
    # The new name must be on disk before an older file is dropped for it.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: pathlib.Path, patterns: tuple[str, ...] = ("", "*/")) -> None:
    """Takes away what processes that were killed have left half written.

    Args:
        folder: Where to look.
        patterns: Of the folders there, as of a glob; the folder itself is "".
    """
    for pattern in patterns:
        for path in folder.glob(pattern + ".*-*"):
            match = TEMPORARY.fullmatch(path.name)
            if match and not path.is_dir() and not _being_written(path, match):
                path.unlink(missing_ok=True)


def _being_written(path: pathlib.Path, match: re.Match) -> bool:
    try:
        if time.time() - path.stat().st_mtime > STALE_SECONDS:
            return False
        _, host, pid = (match[1] or "--").split("-")
        if host == HOST:
            os.kill(int(pid), 0)  # no signal, but an error if there is none
    except (FileNotFoundError, ProcessLookupError):
        return False
    except PermissionError:  # a process of another user
        pass
    return True


def set_aside(
    path: pathlib.Path,
    why: str,
    suffixes: tuple[str, ...] = ("",),
    into: pathlib.Path | None = None,
) -> None:
    """Renames what is damaged, and says so in one line.

    Args:
        path: The file, or what the names of several begin with.
        why: What was expected and what was received.
        suffixes: What their names end with.
        into: The folder that it goes to; None is where it is.

    Raises:
        StorageError: It cannot be renamed.
    """
    aside = (into or path.parent) / f"damaged-{time.time_ns()}-{path.name}"
    with storing(path):
        for suffix in suffixes:
            file = path.with_name(path.name + suffix)
            if file.exists():
                file.rename(aside.with_name(aside.name + suffix))
    logging.warning("%s is set aside as %s: %s", path, aside.name, why)


def expect_file(path: pathlib.Path) -> None:
    """Sets a folder aside that is where a file should be.

    Raises:
        StorageError: It cannot be renamed.
    """
    if path.is_dir():
        set_aside(path, "expected a file, received a folder")


def expect_folder(path: pathlib.Path) -> None:
    """Makes a folder, and sets a file aside that is in its place.

    Raises:
        StorageError: It cannot be made.
    """
    if path.is_file():
        set_aside(path, "expected a folder, received a file")
    with storing(path):
        path.mkdir(exist_ok=True)


def remove(path: pathlib.Path) -> None:
    """Removes a file or a folder, if it is there.

    Raises:
        StorageError: It cannot be removed.
    """
    with storing(path):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def locked(
    path: pathlib.Path, waiting: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Holds the lock that a file is, which one process at a time can.

    Args:
        path: The file, made if it is not there.
        waiting: Called once if another holds it.

    Raises:
        StorageError: It cannot be made.
    """
    expect_file(path)
    lock = filelock.FileLock(path)
    with storing(path):
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            waiting()
            lock.acquire()
    try:
        yield
    finally:
        lock.release()
