"""Measuring: what a file weighs, how long a run of it takes.

>>> fast, slow = alternate([lambda: None, lambda: time.sleep(0.003)])
>>> is_faster(fast, slow), is_faster(slow, fast), is_faster(slow, slow)
(True, False, False)
"""

import pathlib
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

MARGIN = 0.05
"""Times that differ by less than this fraction are taken for the same."""

_WARM_UP = 3
_REPEATS = (7, 51)
_SECONDS = 2.0
_CHUNK = 1 << 20


class Latency(NamedTuple):
    """How long a run takes.

    Args:
        milliseconds: Median over the repeats.
        spread: Milliseconds from the first to the third quartile.
    """

    milliseconds: float
    spread: float


def alternate(runs: Sequence[Callable[[], Any]]) -> list[Latency]:
    """Returns how long each of some functions takes.

    They take turns, so that a machine that is busy for a while is so for all.
    A repeat of a function that is done in microseconds is many calls of it.
    """
    calls = []
    for run in runs:
        for _ in range(_WARM_UP):
            run()
        calls.append(max(1, round(1e-3 / max(_seconds(run, 3), 1e-7))))
    times: list[list[float]] = [[] for _ in runs]
    order = list(range(len(runs)))
    started = time.perf_counter()
    while len(times[0]) < _REPEATS[1]:
        for i in order:
            times[i].append(_seconds(runs[i], calls[i]))
        order.reverse()
        spent = time.perf_counter() - started
        if spent > _SECONDS and len(times[0]) >= _REPEATS[0]:
            break
    latencies = []
    for of_run in times:
        first, median, third = 1e3 * np.percentile(of_run, (25, 50, 75))
        latencies.append(Latency(float(median), float(third - first)))
    return latencies


def is_faster(one: Latency, other: Latency) -> bool:
    """Returns whether a run is faster by more than the noise.

    That is by more than `MARGIN` and by more than either's spread.
    """
    gain = other.milliseconds - one.milliseconds
    noise = max(MARGIN * other.milliseconds, one.spread, other.spread)
    return gain > noise


def size_on_disk(path: pathlib.Path) -> int:
    """Returns the bytes of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in files_of(path))


def compressed_size(path: pathlib.Path) -> int:
    """Returns the bytes that are left when each file is deflated, level 9."""
    return sum(_deflated(file) for file in files_of(path))


def files_of(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a file itself, or all files in a folder."""
    if path.is_file():
        yield path
    else:
        yield from (file for file in path.rglob("*") if file.is_file())


def difference(
    outputs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]
) -> float:
    """Returns the largest absolute difference of two models' outputs.

    They are compared by name, or in order if the models name them differently.

    Raises:
        ValueError: They have different numbers or shapes.
    """
    if outputs.keys() == expected.keys():
        outputs = {name: outputs[name] for name in expected}
    largest = 0.0
    for a, b in zip(outputs.values(), expected.values(), strict=True):
        if a.shape != b.shape:
            raise ValueError(
                f"expected an output of shape {b.shape}, received {a.shape}"
            )
        a, b = a.astype("float64"), b.astype("float64")
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        with np.errstate(invalid="ignore"):
            gaps = np.where(same, 0.0, np.abs(a - b))
        # `max` would let a NaN pass.
        largest = np.maximum(largest, np.max(gaps, initial=0.0))
    return float(largest)


def _seconds(run: Callable[[], Any], calls: int) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - started) / calls


def _deflated(file: pathlib.Path) -> int:
    deflate = zlib.compressobj(9)
    size = 0
    with open(file, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            size += len(deflate.compress(chunk))
    return size + len(deflate.flush())
