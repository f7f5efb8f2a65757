"""Figures of what masks have in common."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tf_lottery.report.plots.axes import descending, logarithmic
from tf_lottery.report.plots.over_remaining import (
    Remaining,
    curve_of,
    draw_curve,
)
from tf_lottery.report.plots.style import COLOURS, WIDTH, finish, new
from tf_lottery.report.tables import rounds
from tf_lottery.report.tables.overlap import Overlap

MATRIX_AT = 20.0
"""Per cent of the weights at which the masks of all arms are compared."""

NUMBERED = 10
"""Arms up to which the figure of all with all has numbers."""


def overlap_of_arms(
    overlaps: Sequence[Overlap], remaining: Remaining
) -> Figure:
    """Draws the overlap of the first arm's masks with those of the others."""
    first = overlaps[0].arm
    own = [o for o in overlaps if o.arm == first]
    figure, [axes] = new()
    for i, other in enumerate(dict.fromkeys(o.other for o in own)):
        values = {o.round: o.jaccard for o in own if o.other == other}
        draw_curve(axes, curve_of(first, values, remaining), other, i)
    chance = {o.round: o.chance for o in own}
    axes.plot(
        *curve_of(first, chance, remaining),
        color="#666666",
        ls="--",
        lw=1,
        label="chance",
    )
    return _overlap_axes(figure, axes, remaining)


def overlap_of_seeds(
    overlaps: Sequence[Overlap], remaining: Remaining
) -> Figure:
    """Draws the overlap of the first arm's masks between seeds, by layer."""
    own = [o for o in overlaps if o.arm == overlaps[0].arm]
    figure, [axes] = new()
    for i, layer in enumerate(dict.fromkeys(o.layer for o in own)):
        values = {o.round: o.jaccard for o in own if o.layer == layer}
        chance = {o.round: o.chance for o in own if o.layer == layer}
        draw_curve(axes, curve_of(own[0].arm, values, remaining), layer, i)
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(
            *curve_of(own[0].arm, chance, remaining),
            color=colour,
            ls="--",
            lw=1,
        )
    return _overlap_axes(figure, axes, remaining)


def _overlap_axes(figure: Figure, axes: Axes, remaining: Remaining) -> Figure:
    axes.set_ylabel("overlap of masks (Jaccard)")
    logarithmic(axes)
    axes.set_ylim(top=1)
    descending(axes, min(remaining.values()))
    return finish(figure, axes)


def overlap_matrix(
    overlaps: Sequence[Overlap], remaining: Remaining
) -> tuple[Figure, str] | None:
    """Draws the overlap of all arms with each other, if there are three."""
    if not overlaps:
        return None
    first = rounds.line_of(overlaps[0].arm)
    rounds_there = {o.round for o in overlaps if o.arm == overlaps[0].arm}
    place = min(
        rounds_there,
        key=lambda p: abs(math.log(remaining[first, p] / MATRIX_AT)),
    )
    own = {(o.arm, o.other): o for o in overlaps if o.round == place}
    names = list(dict.fromkeys(name for pair in own for name in pair))
    if len(names) < 3:
        return None
    values = np.full((len(names), len(names)), np.nan)
    for (arm, other), found in own.items():
        i, j = names.index(arm), names.index(other)
        values[max(i, j), min(i, j)] = found.jaccard
    size = 1.6 + 0.36 * len(names)
    figure, [axes] = new(size, width=max(WIDTH, size + 0.6))
    axes.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if not np.isnan(value) and len(names) <= NUMBERED:
            colour = "#010101" if value > 0.55 else "#fefefe"
            axes.text(
                j, i, f"{value:.2f}", ha="center", va="center",
                fontsize=8, color=colour,
            )  # fmt: skip
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False)
    axes.tick_params(labelsize=8, length=0)
    longest = 0.075 * max(map(len, names)) + 0.15
    width, height = figure.get_size_inches()
    figure.subplots_adjust(
        left=longest / width,
        right=1 - 0.1 / width,
        bottom=(0.7 * longest + 0.1) / height,
        top=1 - 0.1 / height,
    )
    chance = min(o.chance for o in own.values())
    return figure, (
        "How much the masks of two arms overlap in the same seed, with "
        f"{remaining[first, place]:.1f} % of the weights remaining: Jaccard "
        f"index, mean over seeds. Independent masks would have {chance:.2f}. "
        "The lighter, the more; all numbers are in the run's overlap.csv."
    )
