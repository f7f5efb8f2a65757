"""The log of a run: `metrics.csv`, a line a measured number.

Rows are known by all their columns but the value, and those that differ in the
step only are a series, written in order. A row that is there already is not
written again, so a run that is resumed, or that several processes work on, has
each row once. Rows come in the order in which they are measured; when all are
there, `chain_files` brings them into that of the plan.

Files of earlier versions are read, too: they call the column `where` `split`.
"""

import csv
import io
import os
import pathlib
import sys
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from tf_lottery.foundation.files import locked, set_aside, storing
from tf_lottery.foundation.records import Record

HEADER = ",".join(Record._fields)
HEADERS = (HEADER, HEADER.replace("where", "split"))
"""Today's, and that of earlier versions."""


LONGEST = 1000
"""More characters than a line has."""


class Latest:
    """The latest step of each series of rows."""

    def __init__(self) -> None:
        self._steps: dict[tuple, int] = {}

    def is_new(self, record: Record) -> bool:
        """Returns whether a row is later than all of its series so far."""
        return record.step > self._steps.get(_series(record), -1)

    def add(self, record: Record) -> bool:
        """Notes a row if it `is_new`, and returns whether it is."""
        new = self.is_new(record)
        if new:
            self._steps[_series(record)] = record.step
        return new


def _series(record: Record) -> tuple:
    return (*record[:3], *record[4:-1])


class MetricsLog:
    """The log, which several processes may write to.

    Args:
        path: The path of `metrics.csv`.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._lock = path.with_name(".lock")
        self._begin()

    def _begin(self) -> None:
        self._latest = Latest()
        self._read_to = 0

    def append(self, records: Iterable[Record]) -> None:
        """Adds those records that it does not have.

        Raises:
            StorageError: They could not be written.
        """
        new = [r for r in records if self._latest.is_new(r)]
        if not new:
            return
        path = self._path
        with storing(path), locked(self._lock), open(path, "a+b") as file:
            self._catch_up(file)
            file.truncate(self._read_to)
            file.seek(self._read_to)
            # Another process may have written some in the meantime.
            new = [r for r in new if self._latest.add(r)]
            if not self._read_to:
                file.write(f"{HEADER}\n".encode())
            file.write(to_lines(new).encode())
            file.flush()
            os.fsync(file.fileno())
            self._read_to = file.tell()

    def expect_records(self) -> None:
        """Sets the log aside if a line of it is no record.

        Raises:
            StorageError: It could not be read or renamed.
        """
        if not self._path.exists():
            return
        with storing(self._path), open(self._path, "rb") as file:
            garbage = self._catch_up(file)
        if garbage:
            why = f"expected records, received {garbage!r}"
            set_aside(self._path, f"{why}; it is made again")
            self._begin()

    def _catch_up(self, file: BinaryIO) -> str:
        """Reads what is there, but for a line that was not finished.

        Returns:
            The beginning of what was no record; empty if there was nothing.
        """
        if file.seek(0, os.SEEK_END) < self._read_to:  # not the file it was
            self._begin()
        file.seek(self._read_to)
        lines, garbage = self._lines(file), ""
        while True:
            try:
                for record in parse(lines):
                    self._latest.add(record)
                return garbage
            except ValueError as error:  # goes on with the next line
                garbage = garbage or str(error)

    def _lines(self, file: BinaryIO) -> Iterator[str]:
        for line in file:
            text = line.decode(errors="backslashreplace")
            if line.endswith(b"\n"):
                self._read_to += len(line)
            elif text.isprintable() and len(text) < LONGEST:
                return  # cut off while it was written
            yield text


def scan(path: pathlib.Path) -> Iterator[Record]:
    """Yields the whole lines of a `metrics.csv`, in order.

    Raises:
        ValueError: A line is no record.
    """
    with open(path, newline="", encoding="utf-8") as file:
        yield from parse(line for line in file if line.endswith("\n"))


def to_lines(records: Iterable[Record]) -> str:
    """Returns records as lines of the log."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(records)
    return text.getvalue()


def parse(lines: Iterable[str]) -> Iterator[Record]:
    """Yields the records of some lines of a log.

    Raises:
        ValueError: A line is no record; the message has its beginning.
    """
    headers = [header.split(",") for header in HEADERS]
    reader = csv.reader(lines)
    while True:
        cells: list[str] = []
        try:
            cells = next(reader)
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
        except StopIteration:
            return
        except (ValueError, csv.Error) as error:
            raise ValueError(",".join(cells)[:40] or str(error)) from error
