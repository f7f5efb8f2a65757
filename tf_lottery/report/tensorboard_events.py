"""Events: a run's numbers as TensorBoard reads them.

    <out>/tensorboard/<run>/<arm>, seed <n>, round <n>/events.out...

What is there of a run is written anew each time.
"""

import pathlib
import shutil
import urllib.parse
from collections.abc import Sequence

from tf_lottery.foundation.files import storing
from tf_lottery.foundation.records import Record
from tf_lottery.foundation.run_folder import scan_records
from tf_lottery.report.tables.csv_tables import DamagedFile
from tf_lottery.report.verdicts import read_runs


def write(paths: Sequence[pathlib.Path], out: pathlib.Path) -> pathlib.Path:
    """Writes event files of all runs in some folders that have a metrics.csv.

    Args:
        paths: Folders of runs, or folders of such folders.
        out: The report's folder.

    Returns:
        The folder to give to `tensorboard --logdir`.

    Raises:
        DamagedFile: A run's metrics.csv has a line that is no record.
        ModuleNotFoundError: tensorboardX is not installed.
        StorageError: A file could not be written.
    """
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "expected tensorboardX for --tensorboard, and it is not installed: "
            "pip install 'tf_lottery[tensorboard]'"
        ) from error
    logs = out / "tensorboard"
    with storing(logs):
        shutil.rmtree(logs, ignore_errors=True)
    for run in read_runs.read_all(paths)[0]:
        metrics = run.folder / "metrics.csv"
        if not metrics.exists():
            continue
        when = metrics.stat().st_mtime
        folder = logs / run.folder.resolve().name
        while folder.exists():  # another folder's run of the same name
            folder = folder.with_name(folder.name + "'")
        # All of a training before the next: a writer is an open file.
        trainings: dict[tuple, list[Record]] = {}
        try:
            for record in scan_records(run.folder):
                trainings.setdefault(record[:3], []).append(record)
        except ValueError as error:
            raise DamagedFile(
                f"expected records in {metrics}: {error}"
            ) from error
        for (seed, arm, round_), records in trainings.items():
            quoted = urllib.parse.quote(arm, safe=" ,#")
            name = f"{quoted}, seed {seed}, round {round_}"
            with storing(folder), SummaryWriter(str(folder / name)) as writer:
                for r in records:
                    tag = f"{r.metric}/{r.where}"
                    writer.add_scalar(tag, r.value, r.step, walltime=when)
    return logs
