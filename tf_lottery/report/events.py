"""Events: a run's numbers as TensorBoard reads them.

    <out>/tensorboard/<run>/<arm>, seed <n>, round <n>/events.out...

What is there of a run is written anew each time.
"""

import pathlib
import shutil
import urllib.parse
from collections.abc import Sequence

from tf_lottery.report import collection
from tf_lottery.runs import scan_records
from tf_lottery.store import storing


def write(paths: Sequence[pathlib.Path], out: pathlib.Path) -> pathlib.Path:
    """Writes event files of all runs in some folders that have a metrics.csv.

    Args:
        paths: Folders of runs, or folders of such folders.
        out: The report's folder.

    Returns:
        The folder to give to `tensorboard --logdir`.

    Raises:
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
    for run in collection.read_all(paths)[0]:
        metrics = run.folder / "metrics.csv"
        if not metrics.exists():
            continue
        when = metrics.stat().st_mtime
        folder = logs / run.folder.name
        with storing(folder):
            shutil.rmtree(folder, ignore_errors=True)
            writers: dict[tuple, SummaryWriter] = {}
            for r in scan_records(run.folder):
                key = r.arm, r.seed, r.round
                if key not in writers:
                    arm = urllib.parse.quote(r.arm, safe=" ,#")
                    name = f"{arm}, seed {r.seed}, round {r.round}"
                    writers[key] = SummaryWriter(str(folder / name))
                tag = f"{r.metric}/{r.split}"
                writers[key].add_scalar(tag, r.value, r.step, walltime=when)
            for writer in writers.values():
                writer.close()
    return logs
