"""Storing: milliseconds to write and read the record of a training.

    python -m benchmarks.storing

A record of the weights of a network, written to the store (checksums, flushed
to disk, renamed, read back) and found there. The peer is `numpy.savez` and
`numpy.load` of the same arrays, which do none of that.
"""

import functools
import itertools
import pathlib
import tempfile
from typing import Any

import numpy as np

from benchmarks.measuring import Values, measure_each, median_seconds, parser
from tf_lottery.foundation import seeds
from tf_lottery.foundation.store import Store

SIZES = {"LeNet": 266_610, "Conv2": 4_301_642}


def main() -> None:
    """Prints milliseconds, and ratios to the peer."""
    options = parser(__doc__, rounds=5).parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        measures = {
            name: functools.partial(measure, name, size, folder, options.rounds)
            for name, size in SIZES.items()
        }
        measure_each(measures, options.json)


def measure(name: str, size: int, folder: pathlib.Path, rounds: int) -> Values:
    """Returns what a record of so many weights takes."""
    arrays = {"w": seeds.generator(0, name).standard_normal(size, np.float32)}
    meta = {"history": [[step, "test", "loss", 0.1] for step in range(2000)]}
    store, file = Store(folder / "store"), folder / "peer.npz"
    keys = (f"{name}{i}" for i in itertools.count())

    def write() -> None:
        store.get(next(keys), lambda _: (arrays, meta))

    def load() -> dict[str, Any]:
        with np.load(file) as saved:
            return dict(saved)

    work = {
        "write": write,
        "read": functools.partial(store.find, f"{name}0"),
        "numpy.savez": functools.partial(np.savez, file, **arrays),
        "numpy.load": load,
    }
    medians = median_seconds(name, work, rounds)
    ms = {what: 1000 * median for what, median in medians.items()}
    values = {f"{name}, {what}, ms": m for what, m in ms.items()}
    for ours, peer in (("write", "numpy.savez"), ("read", "numpy.load")):
        values[f"{name}, {ours} over {peer}"] = ms[ours] / ms[peer]
    return values


if __name__ == "__main__":
    main()
