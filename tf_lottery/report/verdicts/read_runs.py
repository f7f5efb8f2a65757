"""Reading: the runs in folders, complete or under way, and what is damaged."""

import functools
import math
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tf_lottery.foundation import chain_files, seal
from tf_lottery.report.kinds import KINDS
from tf_lottery.report.plan_files import read_json, read_plan
from tf_lottery.report.tables import not_finite, run_tables
from tf_lottery.report.tables.csv_tables import DamagedFile
from tf_lottery.report.tables.run_tables import Tables
from tf_lottery.report.tables.summary import Line
from tf_lottery.report.tables.survivors_table import Survivors


@dataclass(frozen=True)
class ReadRun:
    """A run's folder, read.

    Args:
        folder: The path.
        plan: The configuration, spelled out.
        command: The command line that started the run.
        lines: What each training came to.
        complete: Whether all that was planned is there.
        notes: Which numbers are not finite, and which trainings diverged.
        survivors: What masks keep, where it was measured.
    """

    folder: pathlib.Path
    plan: dict[str, Any]
    command: str
    lines: list[Line]
    complete: bool
    notes: Sequence[str] = ()
    survivors: Sequence[Survivors] = ()

    @functools.cached_property
    def merge_key(self) -> dict[str, Any]:
        """What two runs have in common that may be merged."""
        own = ("arms", "rules", "rounds")
        plan, experiment = self.plan, self.plan["experiment"]
        recipe = dict(plan["recipe"])
        # Of what is in a line it changes nothing.
        recipe.pop("test_at_stop", None)
        return {
            "name": plan["name"],
            "kind": plan["kind"],
            "recipe": recipe,
            "experiment": {
                k: experiment[k] for k in experiment if k not in own
            },
            "fingerprint": plan["fingerprint"],
        }

    def details(self) -> Tables:
        """Returns all tables; of a run under way, what takes no masks.

        Raises:
            DamagedFile: A file is damaged.
        """
        if not self.complete:
            return measure(self.folder, self.plan, masks=False)
        return run_tables.read(self.folder, self.plan["arms"])


def measure(
    folder: pathlib.Path, plan: dict[str, Any], masks: bool = True
) -> Tables:
    """Returns the tables of what a run has measured.

    Args:
        folder: The folder of the run, which may be under way.
        plan: What was asked for.
        masks: Whether to look at masks, too.

    Raises:
        DamagedFile: `metrics.csv` has a line that is no record.
    """
    curves = not KINDS[plan["kind"]].masks
    return run_tables.measure(folder, plan["arms"], masks, curves)


def read_all(
    paths: Iterable[pathlib.Path], skip: Iterable[pathlib.Path] = ()
) -> tuple[list[ReadRun], list[str]]:
    """Returns the runs in some folders, and what was left out and why.

    Args:
        paths: Folders of runs, or folders of such folders. What is named twice
            counts once.
        skip: Folders that are passed over.
    """
    runs, left_out = [], []
    seen = {folder.resolve() for folder in skip}
    for folder in (f for path in paths for f in _folders(path)):
        if folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        try:
            runs.append(read(folder))
        except DamagedFile as error:
            left_out.append(str(error))
    return runs, left_out


def _folders(path: pathlib.Path) -> Iterator[pathlib.Path]:
    if not path.is_dir() or (path / "plan.json").exists():
        yield path
    else:
        yield from sorted(
            f for f in path.iterdir() if f.is_dir() and f.name[0] != "."
        )


def read(folder: pathlib.Path) -> ReadRun:
    """Returns the run of a folder, complete or under way.

    Raises:
        DamagedFile: It is no run's folder, or a file of it is damaged.
    """
    if not (folder / "plan.json").exists():
        raise DamagedFile(
            f"expected a run's folder with a plan.json, received {folder}"
        )
    plan = read_plan(folder / "plan.json")
    kind = KINDS[plan["kind"]]
    environment = folder / "env.json"
    known = read_json(environment) if environment.exists() else {}
    command = str(known.get("command", ""))
    # A run's own process writes DONE in the end; results/ has the summary only.
    summary, metrics = folder / "summary.csv", folder / "metrics.csv"
    complete = (folder / "DONE").exists() or (
        summary.exists() and not metrics.exists()
    )
    if complete:
        _expect_sealed(folder)
        lines = run_tables.read_summary(folder, plan["arms"])
        strange = run_tables.read_table(folder, "not_finite.csv")
        kept = run_tables.read_table(folder, "survivors.csv")
    else:
        found = measure(folder, plan, masks=False)
        lines, strange = found.lines, list(found.not_finite)
        kept = list(found.survivors)
        if kind.masks:  # and a mask may not be written down yet
            lines = [x for x in lines if not math.isnan(x.remaining)]
    if kind.ladder:  # a figure's x axis
        for line in lines:
            if not 0 < line.remaining <= 1:
                raise DamagedFile(
                    f"expected weights to remain in {folder}, received {line}"
                )
    said = [*not_finite.notes(strange), *chain_files.troubles(folder)]
    notes = [f"{folder}: {text}" for text in said]
    return ReadRun(folder, plan, command, lines, complete, notes, kept)


def _expect_sealed(folder: pathlib.Path) -> None:
    """Raises DamagedFile if a file was changed after the run."""
    try:
        changed = seal.changed(folder)
    except OSError as error:
        raise DamagedFile(f"expected to read {folder}: {error}") from error
    if changed:
        more = f" and {len(changed) - 1} more" if changed[1:] else ""
        raise DamagedFile(
            f"expected the files of {folder} as the run left them, received "
            f"another {changed[0]}{more}: it is not judged; the run's command "
            "makes it again from the store"
        )
