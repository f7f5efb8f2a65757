"""Commands: what makes the runs that a claim lacks, ready to be pasted."""

import shlex
from collections.abc import Mapping

from tf_lottery.report.claims.catalogue import GIN_FILES
from tf_lottery.report.claims.claim import Place
from tf_lottery.report.tables import rounds
from tf_lottery.report.verdicts.read_runs import ReadRun
from tf_lottery.report.verdicts.run_collection import FigureRuns

Need = tuple[str, str]
"""A network and an experiment."""

SEEDS_NEEDED = 3
"""How many seeds a verdict needs."""

LADDER = tuple(range(1, 25))


def new(need: Need) -> str:
    """Returns the command of runs of which there is none yet."""
    macros = {}
    if need[1] == "supermask":  # whose gin files have one seed
        macros["SEEDS"] = SEEDS_NEEDED
    return _command([f"--gin_file={GIN_FILES[need]}"], macros)


def more(
    need: Need, figure: FigureRuns | None, arm: str, place: Place | None = None
) -> str:
    """Returns the command that adds to the runs of a figure.

    Args:
        need: The network and the experiment.
        figure: The runs whose settings are kept; None starts anew.
        arm: The line that must be there, with enough seeds.
        place: Where on the x axis, if what is there is elsewhere.
    """
    if figure is None:
        return new(need)
    run = _closest(figure, arm)
    known = run.plan["experiment"].get("rules") or run.plan["arms"]
    arms = [a for a in known if rounds.line_of(a) == arm]
    if not arms:
        return new(need)
    macros: dict[str, object] = {
        "ARMS": tuple(dict.fromkeys((*run.plan["arms"], *arms[:1]))),
        "SEEDS": max(SEEDS_NEEDED, run.plan["seeds"]),
    }
    if place is not None:
        before = [r for r in run.plan["rounds"] if r < (place.round or 0)]
        macros["ROUNDS"] = (*before, place.round) if place.round else LADDER
    words = [f"--gin_file={run.folder}/config.gin"]
    # A run's folder is <workdir>/runs/<name>; its store is beside that.
    if run.folder.parent.name == "runs" and run.folder.parent.parent.name:
        words.insert(0, f"--workdir={run.folder.parent.parent}")
    return _command(words, macros)


def _closest(figure: FigureRuns, arm: str) -> ReadRun:
    """Returns the run to go on from: it has the arm, most seeds and rounds."""
    return max(
        figure.runs,
        key=lambda run: (
            arm in map(rounds.line_of, run.plan["arms"]),
            run.plan["seeds"],
            len(run.plan["rounds"] or ()),
            len(run.plan["arms"]),
        ),
    )


def _command(words: list[str], macros: Mapping[str, object]) -> str:
    bindings = [f"--gin_bindings={n} = {v!r}" for n, v in macros.items()]
    return shlex.join(["python", "-m", "tf_lottery.main", *words, *bindings])
