"""Values: the numbers of one side of a comparison, one a seed."""

import functools
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tf_lottery.report.claims.claim import DENSE, Side
from tf_lottery.report.claims.paper_protocols import ROUNDS
from tf_lottery.report.tables import rounds
from tf_lottery.report.tables.rounds import mean
from tf_lottery.report.tables.summary import Line
from tf_lottery.report.tables.survivors_table import Survivors
from tf_lottery.report.verdicts import missing_runs
from tf_lottery.report.verdicts.missing_runs import Need
from tf_lottery.report.verdicts.rules import TOO_FEW
from tf_lottery.report.verdicts.run_collection import FigureRuns

METRICS: dict[str, Callable[[Line], float]] = {
    "accuracy": rounds.accuracy_at_stop,
    "accuracy at the end": rounds.accuracy,
    "training accuracy": rounds.train_accuracy,
    # A network that is best before it trains stops at once, not at zero.
    "stop": lambda line: max(1, line.stop_step),
}


SURVIVORS: dict[str, Callable[[Survivors], float]] = {
    "near zero": lambda row: 100 * row.near_zero,
    "moved": lambda row: row.moved,
    "away from zero": lambda row: 100 * row.away_from_zero,
    "uneven in": lambda row: row.uneven_in,
    "uneven out": lambda row: row.uneven_out,
}


class Missing(Exception):
    """Something that a comparison needs is not there.

    Args:
        what: What is missing, in words.
        command: The command that makes it.
        verdict: What follows; see `rules.VERDICTS`.
    """

    def __init__(self, what: str, command: str, verdict: str = TOO_FEW) -> None:
        super().__init__(what)
        self.what = what
        self.command = command
        self.verdict = verdict


@dataclass(frozen=True)
class Values:
    """The numbers of one side.

    Args:
        metric: A key of `METRICS`, or of `SURVIVORS`.
        side: The arm, and where on the x axis.
        figure: The runs that the side is looked for in.
        need: The network and the experiment.
        among: Rounds that count; None is all.
        count: Of how many rounds that are compared this is one.
    """

    metric: str
    side: Side
    figure: FigureRuns | None
    need: Need
    among: frozenset[int] | None = None
    count: int = 1

    @functools.cached_property
    def lines(self) -> list[Line]:
        """The finished trainings of the arm at the place.

        Of a range of rounds, those that most seeds have: one seed with a round
        more must not make the others incomplete.

        Raises:
            Missing: There is none.
        """
        lines = self._at_place(self._of_arm())
        seeds: dict[int, set[int]] = {}
        for line in lines:
            seeds.setdefault(line.round, set()).add(line.seed)
        most = max(map(len, seeds.values()))
        places = {p for p, found in seeds.items() if len(found) == most}
        if self.among is not None:
            places &= self.among
        return [line for line in lines if line.round in places]

    @property
    def places(self) -> frozenset[int]:
        """The rounds that the lines are of."""
        return frozenset(line.round for line in self.lines)

    @property
    def has_rounds(self) -> bool:
        """Whether there are rounds, and not one training a seed."""
        return self.figure is not None and self.figure.traits.ladder

    @property
    def censored(self) -> frozenset[int]:
        """Rounds with an early stop at the last iteration, of that metric."""
        if self.metric != "stop":
            return frozenset()
        return frozenset(
            line.round for line in self.lines if line.stop_step >= line.steps
        )

    @property
    def decisive(self) -> list[str]:
        """What of the runs' protocol changes what is tested."""
        assert self.figure is not None
        last = 0 if self.side.place == DENSE else max(self.places)
        return self.figure.decisive(self.side.arm, last, self.metric)

    @property
    def absent(self) -> Missing | None:
        """What is missing of a range some of whose rounds were not run.

        How many weights those would have follows from their neighbours.
        """
        place = self.side.place
        if place.round is not None or place.best or not self.has_rounds:
            return None
        kept = {x.round: 100 * x.remaining for x in self._of_arm()}
        numbers, logs = [0, *sorted(kept)], [math.log(100)]
        logs += [math.log(kept[number]) for number in numbers[1:]]
        if numbers[-1] < ROUNDS:  # one more, on the way of the last two
            numbers.append(numbers[-1] + 1)
            way = (logs[-1] - logs[-2]) / (numbers[-2] - numbers[-3])
            logs.append(logs[-1] + way)
        absent = [
            number
            for number in range(1, numbers[-1] + 1)
            if number not in kept
            and place.low
            <= math.exp(np.interp(number, numbers, logs))
            <= place.high
        ]
        if not absent:
            return None
        names = ", ".join(map(str, absent))
        return Missing(
            f"round {names} of {place.low:g} to {place.high:g} % is missing",
            missing_runs.more(self.need, self.figure, self.side.arm, place),
        )

    @property
    def iterations(self) -> int:
        """How long a training is; the dense one if nothing else is trained."""
        figure = self.figure
        steps = figure.plan["recipe"]["steps"] if figure else 0
        return max(line.steps for line in self.lines) or steps

    @property
    def remaining(self) -> float:
        """Per cent of the weights remaining, mean over the lines."""
        return 100 * mean(line.remaining for line in self.lines)

    @functools.cached_property
    def by_seed(self) -> dict[int, float]:
        """A value for each seed: of several rounds, of the best of them.

        Repetitions of a control are no replicates: their mean counts.
        """
        by_round = {
            seed: values
            for seed, values in self._by_round().items()
            if values.keys() == self.places
        }
        found = {}
        for seed, values in by_round.items():
            others = [v for s, v in by_round.items() if s != seed]
            found[seed] = values[_best(others or [values])]
        return found

    def only(self, places: frozenset[int], count: int = 1) -> "Values":
        """Returns the numbers of some of the rounds, one of `count` such."""
        return replace(self, among=places, count=count)

    def _by_round(self) -> dict[int, dict[int, float]]:
        """Returns the value of each seed and round that has one."""
        metric = self._value
        found: dict[int, dict[int, list[float]]] = {}
        for line in self.lines:
            value = metric(line)
            if not math.isnan(value):
                by_round = found.setdefault(line.seed, {})
                by_round.setdefault(line.round, []).append(value)
        return {
            seed: {p: statistics.fmean(v) for p, v in by_round.items()}
            for seed, by_round in sorted(found.items())
        }

    def _value(self, line: Line) -> float:
        if self.metric not in SURVIVORS:
            return METRICS[self._metric](line)
        assert self.figure is not None
        layer = self.side.layer or "all"
        key = line.arm, line.seed, line.round, layer
        row = self.figure.survivors.get(key)
        return SURVIVORS[self.metric](row) if row else math.nan

    @property
    def _metric(self) -> str:
        figure = self.figure
        # Of a learned mask, the paper reports what it ends with.
        at_end = figure is not None and not figure.traits.ladder
        if at_end and self.metric == "accuracy":
            return "accuracy at the end"
        return self.metric

    def _of_arm(self) -> list[Line]:
        figure, arm = self.figure, self.side.arm
        if figure is None:
            raise Missing("there is no run of it", missing_runs.new(self.need))
        lines = [x for x in figure.lines if rounds.line_of(x.arm) == arm]
        lines = [x for x in lines if figure.finished(x)]
        if not lines:
            raise Missing(
                f"the arm {arm!r} is missing",
                missing_runs.more(self.need, figure, arm),
            )
        return lines

    def _at_place(self, lines: list[Line]) -> list[Line]:
        figure, place = self.figure, self.side.place
        if figure is None:
            return lines
        if not figure.traits.ladder:
            # Round 1 of a learned mask is the same one, thresholded.
            return [line for line in lines if not line.round]
        if place.round == 0:
            found = [x for x in lines if not x.round]
        else:
            low, high = place.low / 100, place.high / 100
            found = [x for x in lines if x.round and low <= x.remaining <= high]
        if found:
            return found
        if place.round is None:
            where = f"a round with {place.low:.3g} to {place.high:.3g} %"
        else:
            where = f"round {place.round} ({place.percent:.3g} %)"
        raise Missing(
            f"{where} of {self.side.arm!r} is missing",
            missing_runs.more(self.need, figure, self.side.arm, place),
        )


def _best(seeds: list[dict[int, float]]) -> int:
    """Returns the round with the highest mean over some seeds."""
    means = {p: statistics.fmean(s[p] for s in seeds) for p in seeds[0]}
    return max(means, key=lambda place: (means[place], place))
