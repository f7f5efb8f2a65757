"""Run folders: what a command leaves behind.

    runs/<name>-<hash>/
        config.gin     reproduces the run: --gin_file=<this file>
        plan.json      the same, spelled out, for reports
        env.json       versions, devices, command
        metrics.csv    every measured number; append-only
        snapshots/     arrays for figures, one file an arm, seed and round
        summary.csv    one line an arm, seed and round
        report.html, figures/
        profile/       a trace of some steps, if --profile asked for it
        DONE           written when everything above is there (`seal`)
        .held          a lock: one command at a time works on a run
        .chains/       what its chains gave so far (`chain_files`)
        damaged-...    what was not what it should be

What the store knows is read from the store: a command makes the files of its
run anew, and sets aside what it finds in their place, with a line that says so.
"""

import json
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tf_lottery.foundation import (
    chain_files,
    metrics_log,
    seal,
    snapshot_files,
)
from tf_lottery.foundation.chain_files import ChainFiles
from tf_lottery.foundation.files import (
    expect_file,
    locked,
    set_aside,
    storing,
    sweep,
    write_atomically,
)
from tf_lottery.foundation.metrics_log import MetricsLog
from tf_lottery.foundation.records import Record

FOLDERS = (*snapshot_files.FOLDERS, "figures", "profile", "workers")
FILES = re.compile(r".*\.(csv|gin|html|json)|DONE|\.lock")


class RunFolder:
    """A run's folder, made if it is not there.

    Args:
        folder: The path of the folder.

    Raises:
        StorageError: It cannot be made or written to.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = pathlib.Path(folder)
        self._log = MetricsLog(self.folder / "metrics.csv")
        with storing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def held(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Holds the folder, and puts it in order, while a command runs.

        Args:
            waiting: Called once if another command holds it.

        Raises:
            StorageError: It cannot be put in order.
        """
        with locked(self.folder / ".held", waiting):
            self._put_in_order()
            yield

    def _put_in_order(self) -> None:
        """Takes away what a kill left, and sets aside what is damaged."""
        chain_files.clear(self.folder)
        sweep(self.folder)
        for path in [*self.folder.iterdir(), *self.folder.glob("figures/*")]:
            if path.name.startswith("damaged-"):
                continue
            if FILES.fullmatch(path.name) or path.suffix in (".svg", ".png"):
                expect_file(path)
            elif path.name in FOLDERS and path.is_file():
                set_aside(path, "expected a folder, received a file")
        self._log.expect_records()
        for name, read in (("env.json", _json), (seal.NAME, seal.read)):
            try:
                read(self.folder)
            except (RecursionError, ValueError):
                path = self.folder / name
                set_aside(path, "expected JSON; it is written again")

    @property
    def complete(self) -> bool:
        """Whether all that was planned is there."""
        return (self.folder / seal.NAME).exists()

    def write(self, name: str, text: str) -> None:
        """Writes one of the folder's text files."""
        write_atomically(self.folder / name, text.encode())

    def write_json(self, name: str, value: Any) -> None:
        """Writes one of the folder's JSON files."""
        self.write(name, json.dumps(value, indent=1) + "\n")

    def append(self, records: Iterable[Record]) -> None:
        """Adds those records to `metrics.csv` that it does not have.

        Raises:
            StorageError: They could not be written.
        """
        self._log.append(records)

    @contextmanager
    def chain(self, arm: str, seed: int) -> Iterator[ChainFiles]:
        """Takes what a chain gives; it is done where the context ends well."""
        chain = ChainFiles(self.folder, (arm, seed), self.append)
        yield chain
        chain.close()

    def assemble(self, chains: Iterable[tuple[str, int]]) -> None:
        """Makes `metrics.csv` of what the chains gave, in their order.

        Args:
            chains: The (arm, seed) of all; they are done.

        Raises:
            StorageError: It could not be written.
        """
        chain_files.assemble(self.folder, chains)

    def finish(self) -> None:
        """Notes that all that was planned is there."""
        seal.write(self.folder)


def _json(folder: pathlib.Path) -> None:
    """Raises ValueError unless `env.json` holds an object, or is not there."""
    path = folder / "env.json"
    if path.exists() and not isinstance(json.loads(path.read_bytes()), dict):
        raise ValueError


def scan_records(folder: str | os.PathLike) -> Iterator[Record]:
    """Yields the whole lines of a run's `metrics.csv`, in order.

    A figure of the papers has millions: this does not hold them all.

    Raises:
        ValueError: A line is no record.
    """
    yield from metrics_log.scan(pathlib.Path(folder) / "metrics.csv")


def read_records(folder: str | os.PathLike) -> list[Record]:
    """Returns the whole lines of a run's `metrics.csv`, in order."""
    return list(scan_records(folder))
