"""Tables: what a run comes to, in a few small CSV files.

    summary.csv    a line a training                      (`summary.Line`)
    layers.csv     a line a layer of each mask       (`layers_table.Layer`)
    survivors.csv  which weights each layer keeps
                                               (`survivors_table.Survivors`)
    overlap.csv    what masks have in common              (`overlap.Overlap`)
    density.csv    where kept and pruned weights lie      (`density.Bin`)
    curves.csv     metrics over steps, of trainings that a figure shows so
                                                        (`records.Record`)
    not_finite.csv numbers that are NaN or infinite, the first of each series

They are made of `metrics.csv` and `snapshots/`, which can be large, and reports
need nothing else.
"""

import itertools
import math
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from tf_lottery.foundation.files import write_atomically
from tf_lottery.foundation.records import Record
from tf_lottery.foundation.run_folder import scan_records
from tf_lottery.foundation.snapshot_files import scan_snapshots
from tf_lottery.report.tables import (
    csv_tables,
    density,
    layers_table,
    not_finite,
    overlap,
    series,
    summary,
    survivors_table,
)
from tf_lottery.report.tables.density import Bin
from tf_lottery.report.tables.layers_table import Layer
from tf_lottery.report.tables.overlap import Overlap
from tf_lottery.report.tables.summary import Line
from tf_lottery.report.tables.survivors_table import Survivors
from tf_lottery.rules import survivors, weight_plane

DENSITY_AT = 0.5
"""Fraction of the weights remaining at which densities are shown: that round
of a run that is closest to it."""


OF_MASKS = (*layers_table.METRICS, *survivors.METRICS)
"""Metrics of kernels."""


class Tables(NamedTuple):
    """The tables of a run, or of several together.

    Args:
        lines: The rows of `summary.csv`.
        layers: The rows of `layers.csv`.
        overlaps: The rows of `overlap.csv`.
        bins: The rows of `density.csv`.
        curves: The rows of `curves.csv`.
        not_finite: The rows of `not_finite.csv`.
        survivors: The rows of `survivors.csv`.
    """

    lines: list[Line]
    layers: list[Layer]
    overlaps: list[Overlap]
    bins: list[Bin]
    curves: Sequence[Record] = ()
    not_finite: Sequence[Record] = ()
    survivors: Sequence[Survivors] = ()


FILES: dict[str, Any] = {
    "summary.csv": Line,
    "layers.csv": Layer,
    "overlap.csv": Overlap,
    "density.csv": Bin,
    "curves.csv": Record,
    "not_finite.csv": Record,
    "survivors.csv": Survivors,
}


def measure(
    folder: pathlib.Path,
    arms: Sequence[str],
    masks: bool = True,
    curves: bool = False,
) -> Tables:
    """Returns the tables of a run's `metrics.csv` and `snapshots/`.

    Args:
        folder: The folder of the run, which may be under way.
        arms: The arms in the order of the legend.
        masks: Whether to look at the snapshots, too.
        curves: Whether to look at the metrics over steps, too.

    Raises:
        DamagedFile: `metrics.csv` has a line that is no record.
    """
    noted: list[Record] = []
    odd: list[Record] = []

    def noting() -> Iterator[Record]:
        for record in scan_records(folder):
            if curves or record.metric in OF_MASKS:
                noted.append(record)
            if not math.isfinite(record.value):
                odd.append(record)
            yield record

    if not (folder / "metrics.csv").exists():  # it has just begun
        return Tables([], [], [], [])
    try:
        lines = summary.summarize(noting())
    except (OSError, ValueError) as error:
        raise csv_tables.DamagedFile(
            f"expected records in {folder / 'metrics.csv'}: {error}"
        ) from error
    _check(lines, arms, folder / "metrics.csv")
    lines.sort(key=lambda line: (line.seed, arms.index(line.arm), line.round))
    overlaps: list[Overlap] = []
    bins: list[Bin] = []
    if masks:
        overlaps, bins = _masks(folder, arms, density_round(lines))
    layers = layers_table.collect(noted)
    shown = series.thin(noted) if curves else []
    strange = not_finite.first_of_each(odd)
    kept = survivors_table.collect(noted)
    return Tables(lines, layers, overlaps, bins, shown, strange, kept)


def _masks(
    folder: pathlib.Path, arms: Sequence[str], shown: int
) -> tuple[list[Overlap], list[Bin]]:
    """Returns what masks have in common, and densities of the round `shown`."""
    overlaps: list[Overlap] = []
    bins: list[Bin] = []
    found = scan_snapshots(folder)
    for round, group in itertools.groupby(found, lambda s: s.round):
        together = sorted(group, key=lambda s: arms.index(s.arm))
        overlaps += overlap.of_round(together, arms)
        if round == shown:
            first = min(s.seed for s in together)
            bins += density.bins(s for s in together if s.seed == first)
    return overlaps, bins


def density_round(lines: Iterable[Line]) -> int:
    """Returns the round whose weights remaining are closest to a half.

    In the first arm that has the round: those of others may not follow the
    ladder.
    """
    remaining: dict[int, float] = {}
    for line in lines:
        if line.round and line.remaining > 0:
            remaining.setdefault(line.round, line.remaining)
    return min(
        remaining,
        key=lambda place: abs(math.log(remaining[place] / DENSITY_AT)),
        default=0,
    )


def write(folder: pathlib.Path, tables: Tables) -> None:
    """Writes the tables that have rows.

    Raises:
        StorageError: A file could not be written.
    """
    by_name: dict[str, Any] = dict(zip(FILES, tables, strict=True))
    for name, table in by_name.items():
        if table:
            text = csv_tables.to_csv(FILES[name], table)
            write_atomically(folder / name, text.encode())
        else:  # there is none of this run, whatever is there
            (folder / name).unlink(missing_ok=True)


def read_summary(folder: pathlib.Path, arms: Sequence[str]) -> list[Line]:
    """Returns the lines that `write` wrote.

    Raises:
        DamagedFile: The file is damaged, or not there.
    """
    lines = csv_tables.from_csv(Line, folder / "summary.csv")
    _check(lines, arms, folder / "summary.csv")
    return lines


def read_table(folder: pathlib.Path, name: str) -> list[Any]:
    """Returns the rows of one of `FILES`; none if it is not there.

    Raises:
        DamagedFile: It is damaged.
    """
    path = folder / name
    return csv_tables.from_csv(FILES[name], path) if path.exists() else []


def read(folder: pathlib.Path, arms: Sequence[str]) -> Tables:
    """Returns the tables that `write` wrote; only the summary must be there.

    Raises:
        DamagedFile: A file is damaged.
    """
    lines = read_summary(folder, arms)
    places = {line.round for line in lines}
    others: list[Any] = []
    for name in list(FILES)[1:]:
        path, table = folder / name, read_table(folder, name)
        for line in table:
            if line.arm not in arms:
                raise _damaged(f"one of the arms {arms}", path, line)
            if line.round not in places:
                raise _damaged(f"a round of {places}", path, line)
            if isinstance(line, Bin) and not _in_plane(line):
                raise _damaged("a bin of the plane", path, line)
        others.append(table)
    return Tables(lines, *others)


def _check(
    lines: Sequence[Line], arms: Sequence[str], path: pathlib.Path
) -> None:
    for line in lines:
        if line.arm not in arms:
            raise _damaged(f"one of the arms {arms}", path, line)
        for name in ("remaining", "test_accuracy", "test_accuracy_at_stop"):
            value = getattr(line, name)
            if not (math.isnan(value) or 0 <= value <= 1):
                raise _damaged(f"{name} to be a fraction", path, line)


def _in_plane(b: Bin) -> bool:
    numbers = range(weight_plane.BINS)
    return b.x in numbers and b.y in numbers and b.fate in density.FATES


def _damaged(
    what: str, path: pathlib.Path, line: object
) -> csv_tables.DamagedFile:
    return csv_tables.DamagedFile(f"expected {what} in {path}, received {line}")
