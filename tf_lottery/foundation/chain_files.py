"""Chain files: what the chains of a run give, until all of them are done.

    runs/<run>/.chains/<arm>, seed <seed>.csv     every row of a chain
                       <name of a snapshot>       an empty file: it was given
                       <arm>, seed <seed>.txt     why it did not end well

`metrics.csv` grows in the order in which numbers are measured, and what became
of it since nobody knows. A chain that is done has given every row, measured
now or read from the store: `assemble` puts those together in the order of the
plan, so that the file is the same whatever it was and however many workers
there were.
"""

import filecmp
import hashlib
import io
import os
import pathlib
import shutil
from collections.abc import Callable, Iterable

from tf_lottery.foundation import metrics_log, snapshot_files
from tf_lottery.foundation.files import (
    expect_folder,
    remove,
    set_aside,
    storing,
    write_atomically,
)
from tf_lottery.foundation.metrics_log import Latest
from tf_lottery.foundation.records import Record, Snapshot

PLACE = ".chains"


class ChainFiles:
    """The files of one chain.

    Args:
        folder: The folder of the run.
        chain: Its arm and seed.
        show: Is given the numbers as they are measured.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        chain: tuple[str, int],
        show: Callable[[Iterable[Record]], None],
    ) -> None:
        self._folder, self._chain, self._show = folder, chain, show
        self._place = folder / PLACE
        self._text = io.StringIO()
        self._latest = Latest()

    def append(self, records: Iterable[Record]) -> None:
        """Adds those records that the chain did not give before.

        Raises:
            StorageError: They could not be written.
        """
        new = [record for record in records if self._latest.add(record)]
        self._text.write(metrics_log.to_lines(new))
        self._show(new)

    def save(self, snapshot: Snapshot) -> None:
        """Writes arrays of the chain.

        Raises:
            StorageError: They could not be written.
        """
        name = snapshot_files.save(self._folder, snapshot)
        expect_folder(self._place)
        with storing(self._place):
            (self._place / name).touch()

    def note(self, trouble: str) -> None:
        """Notes for reports why the chain, which is not done, will not be.

        Raises:
            StorageError: It could not be written.
        """
        expect_folder(self._place)
        path = _rows_of(self._folder, self._chain).with_suffix(".txt")
        write_atomically(path, trouble.encode())

    def close(self) -> None:
        """Keeps the rows of the chain, which is done.

        Raises:
            StorageError: They could not be written.
        """
        expect_folder(self._place)
        path = _rows_of(self._folder, self._chain)
        write_atomically(path, self._text.getvalue().encode())


def troubles(folder: pathlib.Path) -> list[str]:
    """Returns why chains of a run will not end, as far as is known."""
    paths = sorted((folder / PLACE).glob("*.txt"))
    return [path.read_text(errors="replace") for path in paths]


def clear(folder: pathlib.Path) -> None:
    """Removes the files of all chains of a run.

    Raises:
        StorageError: They cannot be removed.
    """
    remove(folder / PLACE)


def assemble(folder: pathlib.Path, chains: Iterable[tuple[str, int]]) -> None:
    """Makes `metrics.csv` of what the chains gave, all of which are done.

    A file with other rows is set aside, and so is what no chain gave in the
    folders of snapshots.

    Args:
        folder: The folder of the run.
        chains: The (arm, seed) of every chain, in the order of the rows.

    Raises:
        StorageError: It could not be written.
    """
    path, made = folder / "metrics.csv", folder / PLACE / "metrics.csv"
    with storing(made), open(made, "wb") as file:
        file.write(f"{metrics_log.HEADER}\n".encode())
        for chain in chains:
            with open(_rows_of(folder, chain), "rb") as part:
                shutil.copyfileobj(part, file)
        file.flush()
        os.fsync(file.fileno())
    if not path.exists() or not filecmp.cmp(path, made, shallow=False):
        if path.exists() and _rows(path) != _rows(made):
            why = "expected the rows that its trainings gave, received others"
            set_aside(path, f"{why}; it is made again")
        with storing(path):
            os.replace(made, path)
    given = {marker.name for marker in made.parent.iterdir()}
    snapshot_files.expect_only(folder, given)
    clear(folder)


def _rows_of(folder: pathlib.Path, chain: tuple[str, int]) -> pathlib.Path:
    return folder / PLACE / f"{snapshot_files.named(*chain)}.csv"


def _rows(path: pathlib.Path) -> tuple[int, int] | None:
    """Returns a checksum of a file's rows in any order; None of no records.

    There are millions in a figure of the papers: this does not hold them all.
    """
    count, total = 0, 0
    try:
        for record in metrics_log.scan(path):
            if record.metric == "seconds":  # no result
                record = record._replace(value=0.0)
            digest = hashlib.sha256(repr(record).encode()).digest()
            count, total = count + 1, total + int.from_bytes(digest)
    except ValueError:
        return None
    return count, total
