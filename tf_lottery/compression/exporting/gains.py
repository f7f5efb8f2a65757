"""Gains: what an export came to, as rows, a table and plain sentences.

>>> rows = [
...     Measured("tflite", "dense", 1000, 930, Latency(0.020, 0.001), 0.0),
...     Measured("tflite", "pruned", 150, 120, Latency(0.021, 0.001), 0.0),
... ]
>>> for sentence in conclusions(rows):
...     print(sentence)
Nothing got faster: zeros are multiplied like any other number. A faster model
has fewer neurons or channels: see shrink().
Smaller on disk: tflite, 0.15 times the dense file.
"""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from tf_lottery.compression.exporting import measuring
from tf_lottery.compression.exporting.measuring import Latency

Pairs = Mapping[str, tuple["Measured", "Measured"]]


class Measured(NamedTuple):
    """What was measured of a file.

    Args:
        format: "keras", "saved_model" or "tflite".
        network: "dense" for what is compared with; the model itself is
            "pruned", or "model" if none of its weights is zero.
        size: Bytes on disk; 0 if it was not written.
        compressed: Bytes of the same, deflated at level 9.
        latency: Milliseconds that a run on the sample takes.
        error: Largest absolute difference of the file's outputs from those of
            the model that it holds, in Keras.
        from_dense: The same from the outputs of a dense model that was given;
            None if none was.
        path: Of the file or folder; None if it was only measured.
        note: What else is to be known of the file, or "".
        why: It was not written; "" if it was.
    """

    format: str
    network: str
    size: int = 0
    compressed: int = 0
    latency: Latency = Latency(math.nan, math.nan)
    error: float = math.nan
    from_dense: float | None = None
    path: pathlib.Path | None = None
    note: str = ""
    why: str = ""


def show(rows: Sequence[Measured], notes: Sequence[str] = ()) -> None:
    """Prints a table of the rows, and what they come to.

    Args:
        rows: As `export` returns them.
        notes: Sentences that come first.
    """
    console = Console(highlight=False)
    console.print(" ".join(notes))
    console.print(_table(rows))
    for sentence in conclusions(rows):
        # Reasons hold what a user wrote, and no markup.
        console.print(sentence, markup=False)


def conclusions(rows: Sequence[Measured]) -> list[str]:
    """Returns in sentences what got faster, what smaller, and what failed."""
    dense = {row.format: row for row in rows if row.network == "dense"}
    own = {row.format: row for row in rows if row.network != "dense"}
    pairs = {
        name: (dense[name], row)
        for name, row in own.items()
        if name in dense and not row.why and not dense[name].why
    }
    sentences = []
    if pairs:
        sentences = [*_speeds(pairs), *_sizes(pairs)]
    if not dense:
        sentences = [
            "No weight is zero, so there is no dense network to compare with."
        ]
    for row in rows:
        if row.note and row is own[row.format]:
            sentences.append(f"Of {row.format}: {row.note}.")
        if row.why and row is own[row.format]:
            sentences.append(f"No {row.format}: {row.why}.")
        elif row.why and not own[row.format].why:
            sentences.append(f"No dense {row.format}: {row.why}.")
    return sentences


def _speeds(pairs: Pairs) -> list[str]:
    faster, slower, others = [], [], []
    for name, (dense, own) in pairs.items():
        times = dense.latency.milliseconds / own.latency.milliseconds
        if measuring.is_faster(own.latency, dense.latency):
            faster.append(f"{name} ({times:.1f} times)")
        elif measuring.is_faster(dense.latency, own.latency):
            slower.append(f"{name} ({1 / times:.1f} times as long)")
        else:
            others.append(name)
    sentences = []
    if not faster:
        sentences.append(
            "Nothing got faster: zeros are multiplied like any other number. "
            "A faster model has fewer neurons or channels: see shrink()."
        )
    elif others:
        sentences.append(
            f"Faster: {_listed(faster)}. Not faster: {_listed(others)}."
        )
    else:
        sentences.append(f"Faster: {_listed(faster)}.")
    if slower:
        sentences.append(f"Slower: {_listed(slower)}.")
    return sentences


def _sizes(pairs: Pairs) -> list[str]:
    on_disk = {n: own.size / dense.size for n, (dense, own) in pairs.items()}
    smaller = [n for n, ratio in on_disk.items() if ratio < 0.95]
    others = [n for n in pairs if n not in smaller]
    sentences = []
    if smaller:
        ratios = _listed([f"{on_disk[n]:.2f}" for n in smaller])
        sentences.append(
            f"Smaller on disk: {_listed(smaller)}, {ratios} times the dense "
            f"file{'s' if len(smaller) > 1 else ''}."
        )
    if others:
        ratios = _listed(
            [
                f"{own.compressed / dense.compressed:.2f}"
                for dense, own in (pairs[n] for n in others)
            ]
        )
        sentences.append(
            f"Not smaller on disk: {_listed(others)}, zeros are stored as "
            f"they are; compressed, {ratios} times the dense "
            f"file{'s' if len(others) > 1 else ''}."
        )
    return sentences


def _table(rows: Sequence[Measured]) -> Table:
    away = any(row.from_dense is not None for row in rows)
    table = Table("file", "network", box=None, padding=(0, 1, 0, 0))
    for heading in ("bytes", "compressed", "ms", "error"):
        table.add_column(heading, justify="right")
    if away:
        table.add_column("apart", justify="right")
    dense = {row.format: row for row in rows if row.network == "dense"}
    for row in rows:
        base = dense.get(row.format, row)
        cells = ["-"] * 4
        if not row.why:
            taken = row.latency.milliseconds
            cells = [
                f"{row.size:,}" + _ratio(row, base, row.size, base.size),
                f"{row.compressed:,}"
                + _ratio(row, base, row.compressed, base.compressed),
                f"{taken:.3g}"
                + _ratio(row, base, taken, base.latency.milliseconds),
                f"{row.error:.1g}",
            ]
        if away:
            gap = row.from_dense
            cells.append("-" if gap is None else f"{gap:.1g}")
        table.add_row(row.format, row.network, *cells)
    return table


def _ratio(row: Measured, base: Measured, own: float, dense: float) -> str:
    return "" if row is base or base.why else f" ({own / dense:.2f})"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(
        [", ".join(names[:-1]), names[-1]] if names[1:] else names
    )
