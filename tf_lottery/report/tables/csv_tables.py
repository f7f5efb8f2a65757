"""CSV: small tables of a run as files, every cell checked on the way back.

A table is a class of named tuples: its fields are the columns.
"""

import csv
import io
import pathlib
from collections.abc import Iterable
from typing import Any, TypeVar, get_type_hints

CsvLine = TypeVar("CsvLine", bound=tuple[Any, ...])


class DamagedFile(Exception):
    """A file of a run does not hold what it should."""


def to_csv(kind: type[CsvLine], rows: Iterable[CsvLine]) -> str:
    """Returns rows as a CSV table with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(get_type_hints(kind))
    writer.writerows(rows)
    return text.getvalue()


def from_csv(kind: type[CsvLine], path: pathlib.Path) -> list[CsvLine]:
    """Returns the rows of a file that `to_csv` wrote.

    Args:
        kind: The class of the rows; its fields are of type int, float or str.
        path: The path of the file.

    Raises:
        DamagedFile: It cannot be read, or a line is not a row; the message
            names file and line.
    """
    columns = get_type_hints(kind)
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedFile(f"expected a table in {path}: {error}") from error
    lines = csv.reader(io.StringIO(text, newline=""))
    if next(lines, []) != list(columns) or not text.endswith("\n"):
        raise DamagedFile(
            f"expected {path} to begin with {','.join(columns)!r} and to end "
            f"with a whole line, received {text[:60]!r} to {text[-20:]!r}"
        )
    rows = []
    kinds = list(columns.values())
    for number, cells in enumerate(lines, 2):
        try:
            values = [k(c) for k, c in zip(kinds, cells, strict=True)]
        except ValueError as error:
            raise DamagedFile(
                f"expected {len(columns)} cells in {path}, line {number}, "
                f"received {cells} ({error})"
            ) from error
        rows.append(kind(*values))
    return rows
