"""Shares: where the time of a training step goes, in per cent.

    python -m benchmarks.shares

For each network of the papers (`benchmarks.nets`), a warm call of our loop is
traced by TensorFlow's profiler, on a CPU and in a process of its own that is
told to use one thread. The trace says when each operation ran, summed up as

    forward     matrix products and convolutions, with the bias and the ReLU
                that oneDNN computes along with them
    backward    those of the gradients
    update      the optimizer, with fixed masks folded in
    masks       random masks: probabilities, draws, and their gradients
    images      gathering a batch and scaling it
    layers      the rest of layers and loss: bias, ReLU, pooling, casts
    other       copies that XLA adds, and what else has no name
    overhead    when no operation runs

XLA makes one operation of several, a fusion; it counts for the last of them,
whose name it has. Where several threads work at the same time, each gets its
part of that time, so shares add up to 100. Tracing takes about a microsecond
an operation, which is overhead here; the column "ms" has the milliseconds of
a step that is not traced.
"""

import argparse
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf
from rich.console import Console
from rich.table import Table
from tensorflow.compiler.xla.service.hlo_pb2 import HloProto
from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace

from benchmarks import measuring
from benchmarks.nets import NETS, images_of, measurable
from benchmarks.steps import open_images, our_loop
from tf_lottery.training.recipes import Recipe
from tf_lottery.workloads.examples import Resident

CATEGORIES = (
    *("forward", "backward", "update", "masks", "images", "layers"),
    *("other", "overhead"),
)
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
PICOSECONDS = 10**12  # a second, as traces count

Ran = tuple[int, int, str]
"""From when to when, in picoseconds, something of a category ran."""


def classify(path: str, kind: str) -> str:
    """Returns the category of an operation.

    Args:
        path: Its name in the program that trains; empty if it has none.
        kind: What it does: the type of a TensorFlow operation, or else the
            last part of the path.
    """
    if not path:
        return "other"
    if re.search("/kernel_mask|stateless_random", path):
        return "masks"
    # The update is a function of its own, which the loop of steps calls.
    if "while/" not in path or re.search(r"/(adam|sgd)(_\d+)?/", path):
        return "update"
    if re.search("MatMul|Conv2D|convolution", kind):
        return "backward" if "gradient_tape/" in path else "forward"
    if re.search(r"while/(Gather(_\d+)?|Cast|truediv|strided_slice)$", path):
        return "images"
    return "layers"


def operations(space: XSpace) -> Iterator[Ran]:
    """Yields what ran in a trace, on whatever thread.

    Other events contain operations, or wait for those of other threads.
    """
    paths = xla_paths(space)
    for plane in space.planes:
        texts = plane.stat_metadata
        for line in plane.lines:
            for event in line.events:
                stats = {
                    texts[stat.metadata_id].name: texts[stat.ref_value].name
                    for stat in event.stats
                    if stat.WhichOneof("value") == "ref_value"
                }
                instruction = stats.get("hlo_module"), stats.get("hlo_op")
                name = plane.event_metadata[event.metadata_id].name
                match = re.fullmatch(r"(?!__inference)([^:\s]+):(\w+)", name)
                if instruction in paths:
                    path = paths[instruction]
                    category = classify(path, path.split("/")[-1])
                elif match:
                    category = classify(*match.groups())
                else:
                    continue
                start = 1000 * line.timestamp_ns + event.offset_ps
                yield start, start + event.duration_ps, category


def xla_paths(space: XSpace) -> dict[tuple[str | None, str | None], str]:
    """Returns the path of each instruction of a trace's XLA programs.

    Returns:
        By (program, instruction). One that XLA made up has that of what it
        works on, if any. Loops are left out: they contain the others.
    """
    found: dict[tuple[str | None, str | None], str] = {}
    for plane in space.planes:
        if plane.name != "/host:metadata":
            continue
        for program in plane.event_metadata.values():
            [stat] = program.stats
            module = HloProto.FromString(stat.bytes_value).hlo_module
            known = {
                i.id: i for c in module.computations for i in c.instructions
            }
            for one in known.values():
                path = one.metadata.op_name
                if not path and one.operand_ids:
                    path = known[one.operand_ids[0]].metadata.op_name
                if one.opcode not in ("while", "call", "conditional"):
                    found[module.name, one.name] = path
    return found


def shares(ran: Iterable[Ran], seconds: float) -> dict[str, float]:
    """Returns how many per cent of a call's seconds go into each category."""
    edges = []
    for start, end, category in ran:
        if end > start:
            edges += [(start, 1, category), (end, -1, category)]
    spent: dict[str, float] = dict.fromkeys(CATEGORIES, 0.0)
    running: Counter[str] = Counter()
    before = 0
    for now, change, category in sorted(edges):
        count = running.total()
        for other, n in running.items():
            if n:
                spent[other] += (now - before) * n / count
        running[category] += change
        before = now
    total = seconds * PICOSECONDS
    spent["overhead"] = total - sum(spent.values())
    return {name: 100 * spent[name] / total for name in CATEGORIES}


def measure(recipe: Recipe, source: Resident, count: int) -> dict[str, float]:
    """Returns milliseconds a step, and the shares of a call of `count`."""
    work = our_loop(recipe, source, count)
    work()  # compiles
    plain = measuring.seconds(work)
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            traced = measuring.seconds(work)
        [path] = pathlib.Path(folder).rglob("*.xplane.pb")
        space = XSpace.FromString(path.read_bytes())
    return {"ms": 1000 * plain / count, **shares(operations(space), traced)}


def main() -> None:
    """Measures each network in a process of its own, and prints a table."""
    arguments = measuring.parser(__doc__, steps=0)
    arguments.add_argument("--nets", nargs="+", choices=NETS, default=[*NETS])
    arguments.add_argument("--data_dir")
    arguments.add_argument(
        "--alone", action="store_true", help=argparse.SUPPRESS
    )
    options = arguments.parse_args()
    if options.alone:
        [name] = options.nets
        recipe = NETS[name].recipe
        source = open_images(images_of(recipe), options.data_dir)
        count = options.steps or NETS[name].steps
        print(json.dumps(measure(recipe, source, count)))
        return
    names = measurable(options.nets)
    measures = {name: functools.partial(alone, name) for name in names}
    values = measuring.measure_each(measures, options.json)
    table = Table("per cent", "ms", *CATEGORIES, box=None, padding=(0, 1, 0, 0))
    for name in names:
        cells = (f"{values[f'{name}, {c}']:.1f}" for c in CATEGORIES)
        table.add_row(name, f"{values[f'{name}, ms']:.3g}", *cells)
    Console().print(table)


def alone(name: str) -> measuring.Values:
    """Returns what this command measures of a network in its own process."""
    measuring.progress(f"{name}: a process of its own")
    command = [sys.executable, "-m", "benchmarks.shares", *sys.argv[1:]]
    # What comes last holds.
    command += ["--alone", "--nets", name]
    done = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, **ONE_THREAD},
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return {f"{name}, {what}": value for what, value in found.items()}


if __name__ == "__main__":
    main()
