"""From flags to a figure: `python -m tf_lottery.main --gin_file=...`.

The whole story of a command, in the order of `main`:

    1. gin files and bindings become a plan           (`configuration`)
    2. the plan's chains of trainings run, or are found in the store
    3. every number goes to the run's folder as it is measured
    4. summary, figures and page are made; the table is printed

TensorFlow is imported after the flags are read, so that `--help` and a typo
are answered at once.
"""

import os
import pathlib
import platform
import shlex
import sys
import time
from typing import IO, TYPE_CHECKING, Any

from absl import app, flags, logging

from tf_lottery import configuration
from tf_lottery.configuration import (
    GIN_BINDINGS,
    GIN_FILE,
    IMPORT_MODULE,
    UserError,
    check,
    read_plan,
)
from tf_lottery.foundation import command_line, stopping, temporary
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.training import start_up

if TYPE_CHECKING:
    from rich.console import Console

    from tf_lottery.experiments.plan import Plan
    from tf_lottery.foundation.run_folder import RunFolder
    from tf_lottery.training.trainer import Trainer

GOES_ON = "the same command goes on from what is saved"
"""What becomes of the work when it is stopped."""

flags.adopt_module_key_flags(configuration)  # for --help
WORKDIR = flags.DEFINE_string(
    "workdir", ".", "Where runs/ and store/ are kept."
)
DATA_DIR = flags.DEFINE_string(
    "data_dir",
    None,
    "Where TFDS keeps data sets. By default $TFDS_DATA_DIR, or else "
    "~/tensorflow_datasets.",
)
for folder in (WORKDIR, DATA_DIR):
    flags.register_validator(
        folder, lambda name: name != "", "expected a folder, received ''"
    )
STRATEGY = flags.DEFINE_enum(
    "strategy",
    "auto",
    ["auto", "one", "mirrored", "tpu"],
    "Devices to train on; auto is all GPUs if there are several and the batch "
    "divides among them.",
)
WORKERS = flags.DEFINE_integer(
    "workers",
    1,
    "Processes that run arms and seeds side by side, each with its share of "
    "the cores.",
    lower_bound=1,
)
DRY_RUN = flags.DEFINE_bool(
    "dry_run",
    False,
    "Count the trainings, how many of them differ, how many are stored, and "
    "the minutes that the others will take; train nothing.",
)
PROFILE = flags.DEFINE_bool(
    "profile",
    False,
    "Trace a short stretch of the first training with TensorFlow's profiler, "
    "into the run's folder.",
)
WORKER = flags.DEFINE_string(
    "worker", None, "Used by --workers: the run's folder."
)


def main(argv: list[str]) -> None:
    """Does what the flags say."""
    if argv[1:]:
        raise UserError(f"expected only flags, received {argv[1:]}")
    if not GIN_FILE.value:
        raise UserError(
            "expected --gin_file, such as --gin_file=gin/supermask.gin"
        )
    if PROFILE.value and WORKERS.value > 1:
        raise UserError(
            f"expected --workers=1 with --profile, received {WORKERS.value}"
        )
    check(GIN_FILE.value, GIN_BINDINGS.value)
    start_up.import_tensorflow()
    from tf_lottery.training import devices

    channel = None
    if WORKER.value:
        from tf_lottery.experiments.running import workers

        channel = workers.claim_output()
        devices.take_share_of_cores(WORKERS.value)
    if WORKERS.value > 1:
        devices.share_gpus()
    plan, config = read_plan(GIN_FILE.value, GIN_BINDINGS.value)

    import tensorflow as tf
    from rich.console import Console

    from tf_lottery.experiments.running import execution
    from tf_lottery.foundation.run_folder import RunFolder
    from tf_lottery.foundation.store import Store
    from tf_lottery.training import profiling
    from tf_lottery.training.request import FORMAT
    from tf_lottery.training.trainer import Trainer

    tf.config.experimental.enable_op_determinism()
    console = Console()
    workdir = pathlib.Path(WORKDIR.value)
    store = Store(workdir / "store")
    if not channel and (older := store.older(FORMAT)):
        console.print(
            f"{workdir / 'store'} holds {older} trainings of an older format: "
            "they are left alone, and what this run needs is trained again.",
            highlight=False,
            soft_wrap=True,
        )
    trainer = Trainer(
        store=store,
        strategy=devices.strategy(
            STRATEGY.value, plan.experiment.recipe.batch_size
        ),
        data_dir=DATA_DIR.value,
        cache=workdir / "store",
    )
    if channel and WORKER.value:
        serve(channel, plan, trainer, RunFolder(WORKER.value))
    elif DRY_RUN.value:
        print_count(plan, trainer, console)
    else:
        store.tidy()
        asked = plan, trainer, config, environment(), workdir
        with execution.start(*asked, say_waiting) as run:
            if PROFILE.value:
                trainer.profile = profiling.Profile(run.folder / "profile")
            run_chains(plan, trainer, run, console)
            run.assemble(plan.chains())
            finish(run, console)
        if trainer.profile:
            print(trainer.profile.outcome())


def say_waiting(folder: pathlib.Path) -> None:
    """Says why nothing happens."""
    print(f"{folder}: another command works on it; waiting", flush=True)


def run_chains(
    plan: "Plan", trainer: "Trainer", run: "RunFolder", console: "Console"
) -> None:
    """Runs the plan's chains, here or in workers.

    Raises:
        UserError: A worker did not finish its chain.
    """
    from tf_lottery.experiments.running import execution, workers
    from tf_lottery.experiments.running.progress import Display

    chains = list(plan.chains())
    with Display(console, len(chains)) as display:
        display.say(
            f"{plan.name}: {len(chains)} arms and seeds, into {run.folder}"
        )
        if WORKERS.value == 1:
            execution.execute(plan, trainer, run, chains, display.chain)
            return
        # Neighbours differ in the seed: those of one seed start alike, and
        # would wait for each other.
        chains.sort(key=lambda chain: plan.experiment.arms.index(chain[0]))
        count = min(WORKERS.value, len(chains))
        failures = workers.share_out(
            worker_command(run, count),
            count,
            chains,
            display,
            run.folder / "workers",
        )
    if failures:
        raise UserError(
            f"{len(failures)} of {len(chains)} arms and seeds did not finish: "
            f"{'; '.join(failures)}. The others are stored, and the same "
            "command goes on with these"
        )


def worker_command(run: "RunFolder", count: int) -> list[str]:
    """Returns the command that starts one of `count` workers."""
    command = [sys.executable, "-m", "tf_lottery.main"]
    for flag in (GIN_FILE, GIN_BINDINGS, IMPORT_MODULE):
        command += [f"--{flag.name}={value}" for value in flag.value]
    for single in (WORKDIR, DATA_DIR, STRATEGY):
        if single.value is not None:
            command.append(f"--{single.name}={single.value}")
    command.append(f"--{WORKERS.name}={count}")
    return [*command, f"--{WORKER.name}={run.folder}"]


def serve(
    channel: IO[bytes], plan: "Plan", trainer: "Trainer", run: "RunFolder"
) -> None:
    """Runs the chains that the command which started this one asks for."""
    from tf_lottery.experiments.running import execution, workers

    def one(chain: tuple[str, int], watcher: Any) -> None:
        execution.execute(plan, trainer, run, [chain], lambda *_: watcher)

    workers.serve(channel, one)


def print_count(plan: "Plan", trainer: "Trainer", console: "Console") -> None:
    """Prints how many trainings a plan asks for, and what is to be done."""
    from rich.table import Table

    from tf_lottery.experiments.running import counting

    count = counting.count(plan, trainer)
    table = Table("arm", "seed", "trainings", "to do", box=None)
    for (arm, seed), (asked, new) in count.chains.items():
        table.add_row(arm, str(seed), str(asked), str(new))
    console.print(table)
    asked, different, stored = (
        number * plan.seeds // count.seeds
        for number in (count.asked, len(count.keys), count.stored)
    )
    minutes = count.seconds / 60 * plan.seeds / count.seeds
    console.print(
        f"{asked} trainings, {different} of them different: {stored} stored, "
        f"{different - stored} to do: about {minutes:.1f} minutes here, from "
        "a trial of some steps"
        + (
            "."
            if count.seeds == plan.seeds
            else f" and a count of {count.seeds} of {plan.seeds} seeds."
        ),
        highlight=False,
        soft_wrap=True,
    )


def environment() -> dict[str, Any]:
    """Returns what a run runs on, for its `env.json`."""
    import keras
    import numpy as np
    import tensorflow as tf
    import tensorflow_datasets as tfds

    import tf_lottery

    packages: tuple[Any, ...] = (tf, keras, np, tfds)
    command = ["python", "-m", "tf_lottery.main", *sys.argv[1:]]
    return {
        "command": shlex.join(command),
        "started": time.strftime("%Y-%m-%d %H:%M:%S%z"),
        "tf_lottery": tf_lottery.__version__,
        "python": platform.python_version(),
        "packages": {p.__name__: p.__version__ for p in packages},
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "devices": [d.name for d in tf.config.list_logical_devices()],
        "strategy": STRATEGY.value,
    }


def finish(run: "RunFolder", console: "Console") -> None:
    """Makes the run's summary, figures and page, and prints the table."""
    from rich import box
    from rich.table import Table

    from tf_lottery.report import run_page

    report = run_page.build(run.folder)
    run.finish()
    for title, header, cells in report.tables:
        (first, *others), *rows = fitting([header, *cells], console.width)
        table = Table(
            title=title or None,
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
        )
        table.add_column(first, no_wrap=True)
        for name in others:
            table.add_column(name, justify="right", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for note in report.notes:
        console.print(note, highlight=False)
    console.print(f"Report: {report.page}", highlight=False, soft_wrap=True)


def fitting(
    rows: "list[tuple[str, ...]]", width: int
) -> "list[tuple[str, ...]]":
    """Returns a table on its side if it is too wide and so is less wide.

    Args:
        rows: Its cells, the header first.
        width: Characters there are.
    """

    def wide(columns: "list[tuple[str, ...]]") -> int:
        # A space on both sides of each.
        return sum(max(map(len, column)) + 2 for column in columns)

    columns = list(zip(*rows, strict=True))
    fits = wide(columns) <= width or wide(columns) <= wide(rows)
    return rows if fits else columns


def _expected_errors() -> tuple[type[Exception], ...]:
    """Returns the errors that are a user's to mend, not ours."""
    from tf_lottery.foundation.files import StorageError
    from tf_lottery.report.tables.csv_tables import DamagedFile
    from tf_lottery.training.devices import DeviceError
    from tf_lottery.training.history import Diverged
    from tf_lottery.training.peers.tfmot import PeerError
    from tf_lottery.workloads.images.image_sets import DataError

    return (
        *(DamagedFile, DataError, DeviceError, Diverged),
        *(PeerError, StorageError, OSError),
    )


def run_main(argv: list[str]) -> None:
    """Runs `main`, with one line instead of a traceback for a user's error."""
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
    if WORKER.value:
        stopping.follow_parent()
    try:
        main(argv)
    except stopping.Stopped as stop:
        said = f"{stop.saved}, and {GOES_ON}" if stop.saved else GOES_ON
        print(f"\n{stopping.line(stop.number, said)}", file=sys.stderr)
        sys.exit(128 + stop.number)
    except (UserError, InvalidValue) as error:
        command_line.fail(error)
    except Exception as error:
        if not isinstance(error, _expected_errors()):
            raise
        logging.debug("the error's traceback", exc_info=True)
        command_line.fail(error)


def start() -> None:
    """Runs the command as a process of its own."""
    stopping.listen(GOES_ON)
    temporary.own_folder()
    app.run(run_main, flags_parser=command_line.parse)


if __name__ == "__main__":
    start()
