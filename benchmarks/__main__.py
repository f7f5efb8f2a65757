"""All benchmarks in one run: tables, and a file with every number.

    python -m benchmarks --json=benchmarks.json

Each part is a module of this package and a process of its own, one after the
other: what one leaves in memory costs the next nothing. It says beforehand how
long it takes; `--only steps start` runs some of them. The file is written
whenever a part has measured another network, and lists what is missing yet:
Ctrl-C loses nothing that was printed.
"""

import argparse
import contextlib
import functools
import json
import math
import os
import pathlib
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks.measuring import (
    has_torch,
    missing_line,
    progress,
    write,
)


class Part(NamedTuple):
    """A module of this package that measures.

    Args:
        minutes: On two cores of a server, without PyTorch.
        arguments: What it is called with.
        images: Whether it is told where data sets are, too.
    """

    minutes: float
    arguments: Sequence[str] = ()
    images: bool = False


PARTS = {
    "steps": Part(6, images=True),
    "shares": Part(1.7, images=True),
    "workers": Part(2, images=True),
    "start": Part(1.3, images=True),
    "seeds": Part(1.2),
    "pruning": Part(
        0.8, ["--weights", "0", "1000000", "20000000", "100000000"]
    ),
    "storing": Part(0.1),
    "report": Part(1.2),
    "masking": Part(0.6),
}


def main() -> int:
    """Runs the parts, and returns how many of them failed."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--data_dir")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=[*PARTS])
    options = parser.parse_args()
    print(expected(options.only), flush=True)
    found: dict[str, Any] = {
        "machine": {
            "platform": platform.platform(),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
        }
    }
    missing = {part: [part] for part in options.only}
    failed = []

    def left() -> list[str]:
        return [name for names in missing.values() for name in names]

    def keep(part: str, file: pathlib.Path) -> None:
        """Takes over what a part has measured up to now."""
        if not file.exists():
            return
        values = json.loads(file.read_text())
        missing[part] = [f"{part} ({n})" for n in values.pop("missing", [])]
        if values != found.get(part):
            found[part] = values
            write(found, left(), options.json)

    write(found, left(), options.json)
    # Parts that are killed leave their temporary files in this folder.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            for part in options.only:
                print(f"== {part}", flush=True)
                file = pathlib.Path(folder, f"{part}.json")
                command = [sys.executable, "-m", f"benchmarks.{part}"]
                command += [f"--json={file}"]
                command += arguments(part, options.data_dir)
                each = functools.partial(keep, part, file)
                if run(command, folder, each):
                    failed.append(part)
        finally:
            progress()
            if left():
                there = [part for part in PARTS if found.get(part)]
                where = options.json or "What is printed"
                print(missing_line(where, there, left()), file=sys.stderr)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


def expected(parts: Sequence[str]) -> str:
    """Returns a sentence that says how long parts take."""
    minutes = {part: PARTS[part].minutes for part in parts}
    total = math.ceil(sum(minutes.values()))
    each = ", ".join(f"{part} {m:g}" for part, m in minutes.items())
    more = ", and more with PyTorch" if has_torch() else ""
    return f"Takes about {total} min on two cores of a server{more}: {each}."


def arguments(part: str, data_dir: str | None) -> list[str]:
    """Returns what a part is called with."""
    images = data_dir and PARTS[part].images
    there = [f"--data_dir={data_dir}"] if images else []
    return [*PARTS[part].arguments, *there]


def run(command: Sequence[str], folder: str, each: Callable[[], None]) -> int:
    """Runs a command, and returns its status.

    Args:
        command: It ends with this process, and so does all that it starts.
        folder: For its temporary files.
        each: Called every second, and at the end.
    """
    # In a session of its own: Ctrl-C of a terminal comes to this process
    # alone, which then ends all of the other's at once.
    process = subprocess.Popen(
        command,
        start_new_session=True,
        env={**os.environ, "TMPDIR": folder},
    )
    try:
        while process.returncode is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
            each()
        return process.returncode
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            each()


if __name__ == "__main__":
    sys.exit(main())
