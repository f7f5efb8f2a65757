"""The collection: run folders, brought together figure by figure.

Runs that differ in seeds, arms or places on the ladder only belong together,
and what two of them have in common counts once. Runs of different protocols
never do: each protocol is a figure of its own, and no mean is over two.
"""

import functools
import json
import math
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tf_lottery.report.claims import catalogue, paper_protocols
from tf_lottery.report.claims.catalogue import EXPERIMENTS
from tf_lottery.report.tables import run_tables
from tf_lottery.report.tables.csv_tables import DamagedFile
from tf_lottery.report.tables.run_tables import Tables
from tf_lottery.report.tables.summary import Line

PLAN_FIELDS = {
    "name": str,
    "arms": list,
    "seeds": int,
    "data": str,
    "fingerprint": str,
    "experiment": dict,
    "recipe": dict,
    "deviations": list,
}
"""What every plan.json has."""


@dataclass(frozen=True)
class Run:
    """A run's folder, read.

    Args:
        folder: Its path.
        plan: Its configuration, spelled out.
        command: That started it.
        lines: A line a training.
        complete: Whether it is.
    """

    folder: pathlib.Path
    plan: dict[str, Any]
    command: str
    lines: list[Line]
    complete: bool

    @functools.cached_property
    def protocol(self) -> dict[str, Any]:
        """What two runs have in common that may be merged."""
        own = ("arms", "rules", "rounds")
        plan, experiment = self.plan, self.plan["experiment"]
        recipe = dict(plan["recipe"])
        # Of what is in a line it changes nothing.
        recipe.pop("test_at_stop", None)
        return {
            "name": plan["name"],
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
            return run_tables.measure(
                self.folder, self.plan["arms"], masks=False
            )
        return run_tables.read(self.folder, self.plan["arms"])


@dataclass(eq=False)
class Figure:
    """Runs of one protocol, merged: what one figure or table shows.

    Args:
        runs: In the order of their folders.
        lines: Of all of them, each training once.
        folders: Where the line of (arm, seed, round) comes from.
    """

    runs: list[Run] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    folders: dict[tuple[str, int, int], pathlib.Path] = field(
        default_factory=dict
    )

    @property
    def plan(self) -> dict[str, Any]:
        """That of the first run, which decides the order of the arms."""
        return self.runs[0].plan

    @property
    def arms(self) -> list[str]:
        """Of all runs, in the order of the legend."""
        return list(dict.fromkeys(a for r in self.runs for a in r.plan["arms"]))

    @property
    def network(self) -> str:
        """The name of the network."""
        return catalogue.network_of(self.plan)

    @property
    def kind(self) -> str:
        """Of the experiment: "rounds", "untrained" or "supermask"."""
        if not self.plan["rounds"]:
            return "supermask"
        rules = [_rule(self.plan, arm) for arm in self.plan["arms"]]
        return "untrained" if rules[0].get("untrained") else "rounds"

    @property
    def seeds(self) -> list[int]:
        """All that have a line."""
        return sorted({line.seed for line in self.lines})

    @property
    def minutes(self) -> float:
        """That the different trainings took together, as far as is known."""
        seconds = {
            # The dense network is one training, whatever the arm.
            (line.seed, line.round, line.arm if line.round else ""): (
                line.seconds
            )
            for line in self.lines
        }
        return sum(s for s in seconds.values() if s == s) / 60

    @property
    def longest(self) -> dict[str, Any]:
        """The plan with the most rounds."""
        plans = [run.plan for run in self.runs]
        return max(plans, key=lambda plan: len(plan["rounds"] or ()))

    @property
    def deviations(self) -> list[str]:
        """How it differs from what the paper did."""
        method, amount = paper_protocols.deviations_of(
            self.longest, len(self.seeds)
        )
        under_way = [r.folder for r in self.runs if not r.complete]
        return [*method, *amount, *(f"{f} is under way" for f in under_way)]

    @property
    def method_deviates(self) -> tuple[bool, int]:
        """Whether the data are others, and how much else is."""
        method, _ = paper_protocols.deviations_of(self.longest, len(self.seeds))
        return any(d.startswith("data ") for d in method), len(method)

    def finished(self, line: Line) -> bool:
        """Returns whether a line's training is, if it is to be trained."""
        if self.kind == "untrained" and line.round:
            return True
        return line.steps >= self.plan["recipe"]["steps"]


def read_all(
    paths: Iterable[pathlib.Path], skip: Iterable[pathlib.Path] = ()
) -> tuple[list[Run], list[str]]:
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


def read(folder: pathlib.Path) -> Run:
    """Returns the run of a folder, complete or under way.

    Raises:
        DamagedFile: It is no run's folder, or a file of it is damaged.
    """
    if not (folder / "plan.json").exists():
        raise DamagedFile(
            f"expected a run's folder with a plan.json, received {folder}"
        )
    plan = _plan(folder / "plan.json")
    environment = folder / "env.json"
    known = _json(environment) if environment.exists() else {}
    command = str(known.get("command", ""))
    # A run's own process writes DONE in the end; results/ has the summary only.
    summary, metrics = folder / "summary.csv", folder / "metrics.csv"
    complete = (folder / "DONE").exists() or (
        summary.exists() and not metrics.exists()
    )
    if complete:
        lines = run_tables.read_summary(folder, plan["arms"])
    else:
        measured = run_tables.measure(folder, plan["arms"], masks=False).lines
        # Its mask may not be written down yet.
        lines = [line for line in measured if not math.isnan(line.remaining)]
    if plan["rounds"]:  # a figure's x axis
        for line in lines:
            if not 0 < line.remaining <= 1:
                raise DamagedFile(
                    f"expected weights to remain in {folder}, received {line}"
                )
    return Run(folder, plan, command, lines, complete)


def _plan(path: pathlib.Path) -> dict[str, Any]:
    """Returns a plan.json with every field that reports look at."""
    plan = _json(path)
    fields: list[tuple[str, Any, object]] = [
        *((name, kind, plan.get(name)) for name, kind in PLAN_FIELDS.items()),
        ("rounds", list | None, plan.get("rounds", "missing")),
    ]
    if all(isinstance(value, kind) for _, kind, value in fields):
        recipe = plan["recipe"]
        rules = plan["experiment"].get("rules", {})
        fields += [
            ("recipe.model", dict, recipe.get("model")),
            ("recipe.steps", int, recipe.get("steps")),
            ("experiment.rules", dict, rules),
            *(("an arm", str, arm) for arm in plan["arms"] or [None]),
            *(("a round", int, number) for number in plan["rounds"] or []),
        ]
        if isinstance(rules, dict):
            fields += [("a rule", dict, rule) for rule in rules.values()]
    for name, kind, value in fields:
        if not isinstance(value, kind):
            raise DamagedFile(
                f"expected {name} to be {getattr(kind, '__name__', kind)} in "
                f"{path}, received {value!r}; the run's command writes it again"
            )
    return plan


def merge(runs: Sequence[Run]) -> tuple[list[Figure], list[str]]:
    """Returns the figures that runs make, and what was noticed.

    Args:
        runs: Complete ones count before those under way, then the order of
            their folders decides.
    """
    figures: list[Figure] = []
    notes: list[str] = []
    for run in sorted(runs, key=lambda r: (not r.complete, r.folder)):
        for figure in figures:
            if all(_together(run, other) for other in figure.runs):
                break
        else:
            figure = Figure()
            figures.append(figure)
        notes += _add(figure, run)
    figures.sort(key=_order)
    return figures, notes


def _order(figure: Figure) -> tuple:
    """Networks and experiments as the papers have them, others behind."""
    networks, experiments = list(catalogue.NETWORKS), list(EXPERIMENTS)
    name = re.sub(r"_conv\d$", "", figure.plan["name"])
    return (
        figure.network not in networks,
        networks.index(figure.network) if figure.network in networks else 0,
        name not in experiments,
        experiments.index(name) if name in experiments else 0,
        figure.plan["name"],
        -figure.plan["recipe"]["steps"],
        figure.runs[0].folder,
    )


def _add(figure: Figure, run: Run) -> list[str]:
    known = {(x.arm, x.seed, x.round): x for x in figure.lines}
    same, other = 0, 0
    for line in run.lines:
        key = line.arm, line.seed, line.round
        if key not in known:
            known[key] = line
            figure.lines.append(line)
            figure.folders[key] = run.folder
        elif _equal(known[key], line):
            same += 1
        else:
            other += 1
    figure.runs.append(run)
    first = " or ".join(str(r.folder) for r in figure.runs)
    notes = []
    if same:
        notes.append(
            f"{run.folder}: {same} of {len(run.lines)} trainings are "
            f"there twice, in {first}, and count once"
        )
    if other:
        notes.append(
            f"{run.folder}: {other} of {len(run.lines)} trainings have "
            f"another result elsewhere in {first}, which counts; these are "
            "left out"
        )
    return notes


def _equal(left: Line, right: Line) -> bool:
    # How long it took is no result, and NaN is not equal to itself.
    return repr(left._replace(seconds=0)) == repr(right._replace(seconds=0))


def _together(left: Run, right: Run) -> bool:
    """Returns whether means over both runs are means of one thing."""
    if left.protocol != right.protocol:
        return False
    arms = set(left.plan["arms"]) & set(right.plan["arms"])
    if any(_rule(left.plan, a) != _rule(right.plan, a) for a in arms):
        return False
    if Figure([left]).kind != "rounds":  # where a round knows no other
        return True
    return _ladders_agree(left.plan["rounds"], right.plan["rounds"])


def _ladders_agree(left: Sequence[int], right: Sequence[int]) -> bool:
    """Returns whether both came to their common places on the same way.

    Masks at round 7 after a stop at 3 are other masks than without.
    """
    common = [r for r in left if r in right]
    if not common:
        return False
    last = common[-1]
    return [r for r in left if r <= last] == [r for r in right if r <= last]


def _rule(plan: dict[str, Any], arm: str) -> dict[str, Any]:
    return plan["experiment"].get("rules", {}).get(arm, {})


def _json(path: pathlib.Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
        if not isinstance(value, dict):
            raise ValueError("it is no object")
    except (OSError, ValueError) as error:
        raise DamagedFile(f"expected JSON in {path}: {error}") from error
    return value
