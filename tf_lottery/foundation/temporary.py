"""Temporary files: in a folder of the process's own, which goes with it.

Libraries leave files in the temporary folder when a process is killed
(TensorFlow one for every function that it rewrites). In a folder with the
process's name they are found and taken away by the next one.
"""

import atexit
import functools
import os
import pathlib
import shutil
import tempfile

import filelock

from tf_lottery.foundation import stopping

PREFIX = "tf_lottery-of-"


def own_folder() -> None:
    """Makes a folder the temporary one of this process and its children.

    It is removed when the process ends, or else (it was killed) by the next
    one that calls this.
    """
    parent = pathlib.Path(tempfile.gettempdir())
    _sweep(parent)
    folder = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    # Held as long as the process lives, however it ends.
    lock = filelock.FileLock(folder / ".lock")
    lock.acquire()
    _held.append(lock)
    tempfile.tempdir = os.environ["TMPDIR"] = os.fspath(folder)
    remove = functools.partial(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(remove)
    stopping.at_end(remove)


_held: list[filelock.BaseFileLock] = []


def _sweep(parent: pathlib.Path) -> None:
    """Removes the folders of processes that are dead."""
    # Without a lock it is just being made.
    for file in parent.glob(f"{PREFIX}*/.lock"):
        folder, lock = file.parent, filelock.FileLock(file)
        try:
            lock.acquire(timeout=0)
        except (OSError, filelock.Timeout):  # it lives, or is another user's
            continue
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
