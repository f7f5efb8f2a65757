"""Files: written as a whole or not at all.

Everything is written under a temporary name, flushed to disk and renamed, so
that a process which is killed leaves the old file or the new one.
"""

import os
import pathlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager


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
        temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
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
