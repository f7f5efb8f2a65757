"""The collection: runs, brought together figure by figure.

Runs that differ in seeds, arms or places on the ladder only belong together,
and what two of them have in common counts once. Runs that differ in anything
else never do: each setting is a figure of its own, and no mean is over two.
"""

import functools
import pathlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tf_lottery.foundation.records import Record
from tf_lottery.report.claims import catalogue, paper_protocols
from tf_lottery.report.claims.catalogue import EXPERIMENTS
from tf_lottery.report.kinds import KINDS, Kind
from tf_lottery.report.plan_files import rule_of
from tf_lottery.report.tables.summary import Line
from tf_lottery.report.tables.survivors_table import Survivors
from tf_lottery.report.verdicts.read_runs import ReadRun


@dataclass(eq=False)
class FigureRuns:
    """Runs with the same settings, merged: what one figure or table shows.

    Args:
        runs: The runs, in the order of their folders.
        lines: What the trainings of all runs came to, each training once.
        folders: Where the line of (arm, seed, round) comes from.
    """

    runs: list[ReadRun] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    folders: dict[tuple[str, int, int], pathlib.Path] = field(
        default_factory=dict
    )

    @property
    def plan(self) -> dict[str, Any]:
        """The plan of the first run, which decides the order of the arms."""
        return self.runs[0].plan

    @property
    def arms(self) -> list[str]:
        """The arms of all runs, in the order of the legend."""
        return list(dict.fromkeys(a for r in self.runs for a in r.plan["arms"]))

    @property
    def network(self) -> str:
        """The name of the network."""
        return catalogue.network_of(self.plan)

    @property
    def kind(self) -> str:
        """The kind of the experiment: a key of `KINDS`."""
        return self.plan["kind"]

    @property
    def traits(self) -> Kind:
        """What is true of all runs of the kind."""
        return KINDS[self.kind]

    @property
    def seeds(self) -> list[int]:
        """All seeds that have a line."""
        return sorted({line.seed for line in self.lines})

    @functools.cached_property
    def curves(self) -> list[Record]:
        """The metrics over steps of all runs, each training once.

        Raises:
            DamagedFile: A file of a run is damaged.
        """
        return [
            record
            for run in self.runs
            for record in run.details().curves
            if self.folders.get((record.arm, record.seed, record.round))
            == run.folder
        ]

    @functools.cached_property
    def survivors(self) -> dict[tuple[str, int, int, str], Survivors]:
        """What masks keep, by arm, seed, round and layer, where it is known."""
        return {
            (row.arm, row.seed, row.round, row.layer): row
            for run in reversed(self.runs)
            for row in run.survivors
        }

    @property
    def minutes(self) -> float:
        """How long all different trainings took, as far as is known."""
        seconds = {
            # The dense network is one training for all arms of one recipe.
            (line.seed, line.round, line.arm)
            if line.round or rule_of(self.longest, line.arm).get("recipe")
            else (line.seed, 0, ""): line.seconds
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
        """How the runs differ from what the paper did."""
        method, amount = paper_protocols.deviations_of(
            self.longest, len(self.seeds)
        )
        if short := sum(not self.finished(line) for line in self.lines):
            amount.append(f"{short} trainings ended early and are left out")
        under_way = [r.folder for r in self.runs if not r.complete]
        return [*method, *amount, *(f"{f} is under way" for f in under_way)]

    def decisive(self, arm: str, last: int, metric: str) -> list[str]:
        """Returns what changes what an arm tests, up to a last round."""
        plans = [run.plan for run in self.runs]
        return paper_protocols.decisive(plans, arm, last, metric)

    @property
    def method_deviates(self) -> tuple[bool, int]:
        """Whether the data are others, and how much else is."""
        method, _ = paper_protocols.deviations_of(self.longest, len(self.seeds))
        return any(d.startswith("data ") for d in method), len(method)

    def finished(self, line: Line) -> bool:
        """Returns whether a line's training is, if it is to be trained."""
        if line.round and not self.traits.retrained:
            return True
        return line.steps >= self.plan["recipe"]["steps"]


def merge(runs: Sequence[ReadRun]) -> tuple[list[FigureRuns], list[str]]:
    """Returns the figures that runs make, and what was noticed.

    Args:
        runs: Complete ones count before those under way, then the order of
            their folders decides.
    """
    figures: list[FigureRuns] = []
    notes: list[str] = []
    for run in sorted(runs, key=lambda r: (not r.complete, r.folder)):
        for figure in figures:
            if all(_together(run, other) for other in figure.runs):
                break
        else:
            figure = FigureRuns()
            figures.append(figure)
        notes += [*_add(figure, run), *run.notes]
    figures.sort(key=_order)
    return figures, notes


def _order(figure: FigureRuns) -> tuple:
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


def _add(figure: FigureRuns, run: ReadRun) -> list[str]:
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


def _together(left: ReadRun, right: ReadRun) -> bool:
    """Returns whether means over both runs are means of one thing."""
    if left.merge_key != right.merge_key:
        return False
    arms = set(left.plan["arms"]) & set(right.plan["arms"])
    if any(rule_of(left.plan, a) != rule_of(right.plan, a) for a in arms):
        return False
    if not KINDS[left.plan["kind"]].retrained:  # a round knows no other
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
