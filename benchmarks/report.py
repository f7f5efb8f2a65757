"""Report: seconds from the command to the page, for many run folders.

    python -m benchmarks.report

Folders are made up: five figures of LeNet, each folder one seed, 25 rounds and
the arms of its gin file's size. The peer is a start of Python that imports
TensorFlow, which the report does without.
"""

import functools
import itertools
import json
import pathlib
import random
import subprocess
import sys
import tempfile

from benchmarks.measuring import Values, measure_each, median_seconds, parser
from tf_lottery.report.tables import density, run_tables
from tf_lottery.report.tables.density import Bin
from tf_lottery.report.tables.layers_table import Layer
from tf_lottery.report.tables.overlap import Overlap
from tf_lottery.report.tables.run_tables import Tables
from tf_lottery.report.tables.summary import Line
from tf_lottery.rules import weight_plane

ARMS = {
    "lottery_tickets": 6,
    "mask_criteria": 9,
    "init_variants": 7,
    "mask0_actions": 6,
    "heuristic_supermask": 17,
}
ROUNDS = range(25)


def main() -> None:
    """Prints the seconds of each, and that of the report over the peer's."""
    options = parser(__doc__, folders=200, rounds=5).parse_args()
    name = f"report of {options.folders} folders"
    measures = {name: lambda: measure(name, options.folders, options.rounds)}
    measure_each(measures, options.json)


def measure(name: str, folders: int, rounds: int) -> Values:
    """Returns the seconds of each, and that of the report over the peer's."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        figures = itertools.cycle(ARMS)
        for i, figure in zip(range(folders), figures, strict=False):
            run = folder / "runs" / f"{figure}-{i:08d}"
            make(run, figure, seed=i // len(ARMS))
        report = ["tf_lottery.report", "runs", "--out=report"]
        commands = {
            name: ["-m", *report],
            "import tensorflow": ["-c", "import tensorflow"],
        }
        work = {
            what: functools.partial(
                subprocess.run,
                [sys.executable, *words],
                cwd=folder,
                check=True,
                capture_output=True,
            )
            for what, words in commands.items()
        }
        medians = median_seconds("report", work, rounds)
    values = {f"{what}, seconds": m for what, m in medians.items()}
    ours, peer = medians.values()
    values["report over import tensorflow"] = ours / peer
    return values


def make(folder: pathlib.Path, name: str, seed: int) -> None:
    """Writes a run's folder with invented numbers."""
    folder.mkdir(parents=True)
    arms = [f"arm {i}" for i in range(ARMS[name])]
    rule = {"untrained": name == "heuristic_supermask"}
    plan = {
        "name": name,
        "arms": arms,
        "rounds": list(ROUNDS[1:]),
        "seeds": 1,
        "data": "mnist",
        "fingerprint": "invented",
        "experiment": {"rules": dict.fromkeys(arms, rule)},
        "recipe": {
            "model": {
                "call": "tf_lottery.workloads.models.lenet.LeNet",
                "hidden": [300, 100],
            },
            "steps": 50_000,
        },
        "deviations": [],
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    numbers = random.Random(seed)
    lines = [
        Line(
            seed=seed,
            arm=arm,
            round=number,
            steps=50_000,
            remaining=0.8**number,
            stop_step=numbers.randrange(100, 50_000, 100),
            test_accuracy_at_stop=numbers.uniform(0.9, 0.98),
            test_accuracy=numbers.uniform(0.9, 0.98),
            validation_accuracy=0.97,
            train_accuracy=0.999,
            seconds=100.0,
        )
        for arm in arms
        for number in ROUNDS
    ]
    later = ROUNDS[1:]
    layers = [
        Layer(seed, arm, number, layer, 0.8**number, 0.7)
        for arm in arms
        for number in later
        for layer in ("fc1", "fc2", "output", "all")
    ]
    overlaps = [
        Overlap("arms", arm, other, number, "all", 1, 0.3, 0.3, 0.3, 0.2)
        for number in later
        for arm, other in itertools.combinations(arms, 2)
    ]
    bins = [
        Bin(arm, seed, 3, fate, x, y, 100)
        for arm in arms
        for fate in density.FATES
        for x in range(weight_plane.BINS)
        for y in range(weight_plane.BINS)
    ]
    run_tables.write(folder, Tables(lines, layers, overlaps, bins))


if __name__ == "__main__":
    main()
