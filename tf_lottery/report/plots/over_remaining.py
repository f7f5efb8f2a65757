"""Curves over the per cent of weights remaining, of values by round."""

import math
from collections.abc import Iterable, Mapping

from matplotlib.axes import Axes

from tf_lottery.report.plots.style import COLOURS, MARKERS, STYLES
from tf_lottery.report.tables import rounds
from tf_lottery.report.tables.rounds import mean
from tf_lottery.report.tables.summary import Line

Curve = tuple[list[float], list[float]]
"""Its x and y values."""

Remaining = Mapping[tuple[str, int], float]
"""The per cent of weights remaining, by arm and round."""


def remaining_of(lines: Iterable[Line]) -> Remaining:
    """Returns what remains in each arm and round, mean over seeds."""
    values: dict[tuple[str, int], list[float]] = {}
    for line in lines:
        if line.round:
            key = rounds.line_of(line.arm), line.round
            values.setdefault(key, []).append(100 * line.remaining)
    return {key: mean(of_seeds) for key, of_seeds in values.items()}


def curve_of(
    arm: str, values: Mapping[int, float], remaining: Remaining
) -> Curve:
    """Returns the curve of an arm's values by round."""
    name = rounds.line_of(arm)
    places = [p for p in sorted(values) if not math.isnan(values[p])]
    return [remaining[name, p] for p in places], [values[p] for p in places]


def draw_curve(axes: Axes, curve: Curve, name: str, i: int) -> None:
    """Draws a curve with the colour, marker and style of number `i`."""
    axes.plot(
        *curve,
        color=COLOURS[i % len(COLOURS)],
        ls=STYLES[i // len(COLOURS) % len(STYLES)],
        marker=MARKERS[i % len(MARKERS)],
        lw=1.5,
        ms=4.5,
        label=name,
    )
