"""Builds the report of run folders: see `report.reproduction_page`.

    python -m tf_lottery.report runs/ --out=report/
    python -m tf_lottery.report runs/ --out=report/ --watch

Runs under way are shown as far as they are.
"""

import gc
import pathlib
import sys
import time
from typing import TYPE_CHECKING

from absl import app, flags

from tf_lottery.foundation import command_line, stopping, temporary

if TYPE_CHECKING:
    from tf_lottery.report.reproduction_page import Built

OUT = flags.DEFINE_string("out", "report", "Where the report goes.")
flags.register_validator(
    OUT, lambda name: name != "", "expected a folder, received ''"
)
WATCH = flags.DEFINE_bool(
    "watch", False, "Build it again whenever a run goes on, until Ctrl-C."
)
TENSORBOARD = flags.DEFINE_bool(
    "tensorboard",
    False,
    "Write event files for TensorBoard, too, of every number in the runs' "
    "metrics.csv, to <out>/tensorboard. Needs tensorboardX: "
    "pip install 'tf_lottery[tensorboard]'.",
)
ANEW = "the same command makes the report anew"
"""What becomes of a report when it is stopped."""

SECONDS = 5
"""Between two looks at the runs."""


def main(argv: list[str]) -> None:
    """Builds the report of the folders that the command line names."""
    from tf_lottery.report import reproduction_page

    # What is read stays: there is little to collect, and much to search.
    gc.disable()
    paths = [pathlib.Path(name) for name in argv[1:] or ["runs"]]
    for path in paths:
        if not path.is_dir():
            command_line.fail(
                f"expected a folder of runs, received {str(path)!r}, which is "
                "none"
            )
    out = pathlib.Path(OUT.value)
    before = None
    while True:
        now = state(paths)
        if now != before:
            built = reproduction_page.build(
                paths, out, SECONDS if WATCH.value else None
            )
            if TENSORBOARD.value:
                from tf_lottery.report import tensorboard_events

                tensorboard_events.write(paths, out)
            tell(built)
            before = now
        if not WATCH.value:
            return
        rest()


def rest() -> None:
    """Waits until the next look at the runs.

    Raises:
        Stopped: A signal came.
    """
    until = time.monotonic() + SECONDS
    with stopping.heeding():
        while time.monotonic() < until:
            stopping.check()
            time.sleep(stopping.BETWEEN_LOOKS)


def tell(built: "Built") -> None:
    """Prints what a report came to."""
    counts = (f"{number} {verdict}" for verdict, number in built.counts.items())
    lines = [f"{built.page}: {', '.join(counts)}"]
    if built.under_way:
        lines.append(f"  {built.under_way} runs are under way")
    lines += [f"  {text}" for text in built.left_out]
    print("\n".join(lines), flush=True)


def state(paths: list[pathlib.Path]) -> dict[pathlib.Path, tuple[int, int]]:
    """Returns which files of runs there are, with their sizes and times."""
    names = ("plan.json", "metrics.csv", "summary.csv", "DONE")
    found = {}
    for path in paths:
        for depth in ("", "*/"):
            for name in names:
                for file in path.glob(depth + name):
                    stat = file.stat()
                    found[file] = (stat.st_size, stat.st_mtime_ns)
    return found


def run_main(argv: list[str]) -> None:
    """Runs `main`, with one line instead of a traceback for a user's error."""
    from tf_lottery.foundation.files import StorageError
    from tf_lottery.report.tables.csv_tables import DamagedFile

    try:
        main(argv)
    except stopping.Stopped as stop:
        print(f"\n{stopping.line(stop.number, ANEW)}", file=sys.stderr)
        sys.exit(128 + stop.number)
    except (DamagedFile, ModuleNotFoundError, StorageError) as error:
        command_line.fail(error)


if __name__ == "__main__":
    stopping.listen(ANEW)
    temporary.own_folder()
    flags.FLAGS.set_gnu_getopt(True)
    app.run(run_main, flags_parser=command_line.parse)
