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
        DONE           written when everything above is there

Rows of `metrics.csv` are known by all their columns but the value, and those
that differ in the step only are a series, written in order. A row that is there
already is not written again, so a run that is resumed, or that several
processes work on, has each row once.

Folders of earlier versions are read, too: they call the column `where` of
`metrics.csv` `split`, and the folder `snapshots` `pictures`.
"""

import csv
import io
import json
import math
import os
import pathlib
import re
import sys
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import Any

import filelock
import numpy as np

from tf_lottery.foundation.files import StorageError, storing, write_atomically
from tf_lottery.foundation.records import Record, Snapshot

METRICS_HEADER = ",".join(Record._fields)
HEADERS = (METRICS_HEADER, METRICS_HEADER.replace("where", "split"))
"""That of `metrics.csv`, and that of earlier versions."""

SNAPSHOTS = ("snapshots", "pictures")
"""The folder of arrays, and that of earlier versions."""


class RunFolder:
    """A run's folder, made if it is not there.

    Args:
        folder: The path of the folder.

    Raises:
        StorageError: It cannot be made or written to.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = pathlib.Path(folder)
        # Of each series, its latest step and the value there.
        self._last: dict[tuple, tuple[int, float]] = {}
        self._read_to = 0
        with storing(self.folder):
            (self.folder / SNAPSHOTS[0]).mkdir(parents=True, exist_ok=True)
        self._lock = filelock.FileLock(self.folder / ".lock")

    @property
    def complete(self) -> bool:
        """Whether all that was planned is there."""
        return (self.folder / "DONE").exists()

    def write(self, name: str, text: str) -> None:
        """Writes one of the folder's text files."""
        write_atomically(self.folder / name, text.encode())

    def write_json(self, name: str, value: Any) -> None:
        """Writes one of the folder's JSON files."""
        self.write(name, json.dumps(value, indent=1) + "\n")

    def append(self, records: Iterable[Record]) -> None:
        """Adds those records to `metrics.csv` that it does not have."""
        new = [r for r in records if self._is_new(r)]
        if not new:
            return
        path = self.folder / "metrics.csv"
        with storing(path), self._lock, open(path, "a+b") as file:
            self._catch_up(file)
            # Another process may have written some in the meantime.
            new = [r for r in new if self._is_new(r)]
            if not self._read_to:
                file.write(f"{METRICS_HEADER}\n".encode())
            file.write(_lines(new).encode())
            file.flush()
            os.fsync(file.fileno())
            self._read_to = file.tell()
            self._note(new)

    def _catch_up(self, file: io.BufferedRandom) -> None:
        """Reads what is there, and cuts off a line that was not finished."""
        file.seek(self._read_to)
        new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read_to += len(whole)
        file.truncate(self._read_to)
        file.seek(self._read_to)
        self._note(_parse(io.StringIO(whole.decode(), newline="")))

    def _is_new(self, record: Record) -> bool:
        step, value = self._last.get(_series(record), (-1, math.nan))
        same = record.value == value or math.isnan(record.value)
        if record.step == step and not same and record.metric != "seconds":
            raise StorageError(
                f"expected {record.metric} of {record.arm!r}, seed "
                f"{record.seed}, round {record.round}, step {step} to be "
                f"{value}, as in {self.folder}, received {record.value}: "
                "something changed that the configuration does not say. Give "
                "the run another Plan.name, or remove that folder"
            )
        return record.step > step

    def _note(self, records: Iterable[Record]) -> None:
        self._last.update((_series(r), (r.step, r.value)) for r in records)

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """Writes the arrays of one arm, seed and round."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = dict(snapshot.arrays)
        np.savez_compressed(buffer, **arrays)
        arm = urllib.parse.quote(snapshot.arm, safe=" ")
        name = f"{arm}, seed {snapshot.seed}, round {snapshot.round}.npz"
        write_atomically(self.folder / SNAPSHOTS[0] / name, buffer.getvalue())


def scan_records(folder: str | os.PathLike) -> Iterator[Record]:
    """Yields the whole lines of a run's `metrics.csv`, in order.

    A figure of the papers has millions: this does not hold them all.
    """
    with open(pathlib.Path(folder) / "metrics.csv", newline="") as file:
        yield from _parse(line for line in file if line.endswith("\n"))


def read_records(folder: str | os.PathLike) -> list[Record]:
    """Returns the whole lines of a run's `metrics.csv`, in order."""
    return list(scan_records(folder))


def scan_snapshots(folder: str | os.PathLike) -> Iterator[Snapshot]:
    """Yields the snapshots of a run, by round, arm and seed.

    The masks of a large network are many megabytes: this does not hold them
    all.
    """
    found: dict[tuple[int, str, int], pathlib.Path] = {}
    for name in reversed(SNAPSHOTS):
        for path in (pathlib.Path(folder) / name).glob("*.npz"):
            match = re.fullmatch(r"(.*), seed (\d+), round (\d+)", path.stem)
            if match:
                arm, seed, round_ = match.groups()
                found[int(round_), urllib.parse.unquote(arm), int(seed)] = path
    for (number, name, replicate), path in sorted(found.items()):
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        yield Snapshot(replicate, name, number, arrays)


def read_snapshots(folder: str | os.PathLike) -> list[Snapshot]:
    """Returns the snapshots of a run, by round, arm and seed."""
    return list(scan_snapshots(folder))


def _series(record: Record) -> tuple:
    return (*record[:3], *record[4:-1])


def _lines(records: Iterable[Record]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(records)
    return text.getvalue()


def _parse(lines: Iterable[str]) -> Iterator[Record]:
    headers = [header.split(",") for header in HEADERS]
    for cells in csv.reader(lines):
        if cells in headers:
            continue
        seed, arm, round_, step, where, metric, value = cells
        yield Record(
            int(seed),
            sys.intern(arm),
            int(round_),
            int(step),
            sys.intern(where),
            sys.intern(metric),
            float(value),
        )
