"""Style: what all figures have in common.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart.
"""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)
MARKERS = "osD^v<>P*X"
STYLES = ("-", "-.", ":")  # a new one where the colours begin again

STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    # Fixed: to find out whether a title meets an axis takes longer than both.
    "axes.titley": 1.0,
    "font.size": 10,
    # Each word of an SVG file names them all.
    "font.sans-serif": ["DejaVu Sans"],
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "tf_lottery",  # the same file for the same numbers
}


WIDTH = 5.4
"""Inches; readable on a phone, and two of them side by side on a desk."""

Drawn = dict[str, tuple[Figure, str]]
"""From a figure's name to the figure and a sentence that describes it."""


def colours(arms: Sequence[str]) -> list[str]:
    """Returns the colour of each arm."""
    return [COLOURS[i % len(COLOURS)] for i in range(len(arms))]


def new(
    height: float = 3.4, columns: int = 1, width: float = WIDTH
) -> tuple[Figure, list[Axes]]:
    """Returns a figure with some axes in a row, which share their y axis."""
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(1, columns, squeeze=False, sharey=True)
    return figure, list(grid[0])


def finish(figure: Figure, axes: Axes, *, left: float = 0.85) -> Figure:
    """Sets the margins and puts the legend of `axes` below.

    It is done by hand because matplotlib's layout engines draw every figure
    twice: a report has a hundred.

    Args:
        figure: The figure with its axes.
        axes: The axes whose handles the legend shows.
        left: How many inches labels on the left need.
    """
    handles, labels = axes.get_legend_handles_labels()
    width, height = figure.get_size_inches()
    longest = max(map(len, labels), default=0)
    columns = max(1, min(4, len(labels), int(15 * width / (longest + 8))))
    rows = -(-len(labels) // columns)
    below = 0.58 + 0.2 * rows
    figure.set_size_inches(width, height + 0.2 * rows)
    height += 0.2 * rows
    figure.subplots_adjust(
        left=left / width,
        right=1 - 0.15 / width,
        bottom=below / height,
        top=1 - (0.35 if axes.get_title() else 0.15) / height,
        wspace=0.08,
    )
    if labels:
        figure.legend(
            handles,
            labels,
            loc="lower center",
            ncols=columns,
            frameon=False,
            fontsize=9,
            borderaxespad=0.1,
            handlelength=2.4,
        )
    return figure
