"""Values: the numbers of one side of a comparison, one a seed."""

import functools
import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from tf_lottery.report import rounds
from tf_lottery.report.claims import GIN_FILES, Side
from tf_lottery.report.collection import Figure
from tf_lottery.report.summary import Line

Need = tuple[str, str]
"""A network and an experiment."""

METRICS: dict[str, Callable[[Line], float]] = {
    "accuracy": rounds.accuracy_at_stop,
    "accuracy at the end": rounds.accuracy,
    "training accuracy": rounds.train_accuracy,
    # A network that is best before it trains stops at once, not at zero.
    "stop": lambda line: max(1, line.stop_step),
    "kept": lambda line: 100 * line.remaining,
}


class Missing(Exception):
    """Something that a comparison needs is not there.

    Args:
        what: In words.
        command: That makes it.
    """

    def __init__(self, what: str, command: str) -> None:
        super().__init__(what)
        self.what = what
        self.command = command


@dataclass(frozen=True)
class Values:
    """The numbers of one side.

    Args:
        metric: A key of `METRICS`.
        side: Which arm, and where.
        figure: The runs it is looked for in.
        need: Network and experiment.
        among: Rounds that count; None is all.
    """

    metric: str
    side: Side
    figure: Figure | None
    need: Need
    among: frozenset[int] | None = None

    @functools.cached_property
    def lines(self) -> list[Line]:
        """The trainings of the arm at the place.

        Raises:
            Missing: There is none.
        """
        lines = self._at_place(self._of_arm())
        if self.among is not None:
            lines = [line for line in lines if line.round in self.among]
        if self.side.place.best:
            places = {line.round for line in lines}
            top = max(places, key=lambda p: (self._mean(lines, p), p))
            lines = [line for line in lines if line.round == top]
        return lines

    @property
    def places(self) -> frozenset[int]:
        """The rounds that the lines are of."""
        return frozenset(line.round for line in self.lines)

    @property
    def iterations(self) -> int:
        """Of a training; of the dense one if nothing else is trained."""
        figure = self.figure
        steps = figure.plan["recipe"].get("steps", 0) if figure else 0
        return max(line.steps for line in self.lines) or steps

    @property
    def remaining(self) -> float:
        """Per cent of the weights, mean over the lines."""
        return 100 * mean(line.remaining for line in self.lines)

    @functools.cached_property
    def by_seed(self) -> dict[int, float]:
        """A mean a seed, of those seeds that have all of the rounds.

        Repetitions of a control are no replicates: their mean counts.
        """
        found = {}
        for seed in sorted({line.seed for line in self.lines}):
            own = [line for line in self.lines if line.seed == seed]
            if {line.round for line in own} == self.places:
                by_round = [self._mean(own, place) for place in self.places]
                value = statistics.fmean(by_round)
                if not math.isnan(value):
                    found[seed] = value
        return found

    def only(self, places: frozenset[int]) -> "Values":
        """Returns the numbers of some of the rounds."""
        return replace(self, among=places)

    def _of_arm(self) -> list[Line]:
        figure, arm = self.figure, self.side.arm
        if figure is None:
            raise Missing("there is no run of it", command(self.need, None))
        lines = [x for x in figure.lines if rounds.line_of(x.arm) == arm]
        if not lines:
            arms = (*figure.arms, arm)
            raise Missing(
                f"the arm {arm!r} is missing",
                command(self.need, figure, ARMS=arms),
            )
        return lines

    def _at_place(self, lines: list[Line]) -> list[Line]:
        figure, place = self.figure, self.side.place
        if figure is None or figure.kind == "supermask":
            return lines
        if place.round == 0:
            found = [x for x in lines if not x.round]
        else:
            low, high = place.low / 100, place.high / 100
            found = [x for x in lines if x.round and low <= x.remaining <= high]
        if found:
            return found
        if place.round is None:
            where = f"a round with {place.low:.3g} to {place.high:.3g} %"
            ladder = tuple(range(1, 25))
        else:
            where = f"round {place.round} ({place.high / 1.1:.3g} %)"
            before = [r for r in figure.plan["rounds"] if r < place.round]
            ladder = (*before, place.round)
        raise Missing(
            f"{where} of {self.side.arm!r} is missing",
            command(self.need, figure, ROUNDS=ladder),
        )

    def _mean(self, lines: list[Line], place: int) -> float:
        metric = self.metric
        if self.figure and self.figure.kind == "supermask":
            # Of a learned mask, the paper reports what it ends with.
            metric = metric.replace("accuracy", "accuracy at the end")
        value = METRICS[metric]
        return mean(value(line) for line in lines if line.round == place)


def command(need: Need, figure: Figure | None, **macros: object) -> str:
    """Returns the command that makes what is missing.

    Args:
        need: Network and experiment.
        figure: Whose runs are to be added to; None starts anew.
        macros: That are to be set.
    """
    path = GIN_FILES[need]
    if figure is not None:
        path = f"{figure.runs[0].folder}/config.gin"
    text = f"python -m tf_lottery.main --gin_file={path}"
    for name, value in macros.items():
        text += f' --gin_bindings="{name} = {value!r}"'
    return text


def mean(values: Iterable[float]) -> float:
    """Returns the mean of those that are numbers; NaN if none is."""
    known = [value for value in values if not math.isnan(value)]
    return statistics.fmean(known) if known else math.nan
