"""One figure over the weights remaining: lines, bands, the paper's points."""

import math
import re
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tf_lottery.report.claims.paper_points import Link, PaperPoint
from tf_lottery.report.plots import hover
from tf_lottery.report.plots.axes import descending
from tf_lottery.report.plots.style import (
    COLOURS,
    MARKERS,
    STYLES,
    WIDTH,
    finish,
    new,
)
from tf_lottery.report.tables.rounds import RoundPoint

LINES_PER_PANEL = 10
POINTS_BELOW_DENSE = 10
"""Where a figure of trained networks ends; what is worse leaves it below."""


def figure(
    series: Mapping[str, list[RoundPoint]],
    dense: float,
    label: str,
    paper_points: Sequence[PaperPoint],
    link: Link | None,
) -> Figure:
    """Draws lines in one panel, or variants of many in a second one.

    Args:
        series: The points of each line.
        dense: The value of the dense network; NaN if lines have their own.
        label: The text at the y axis.
        paper_points: The paper's numbers, in the units of the y axis.
        link: Gives what a point of a line (arm and round) links to.
    """
    names = [name for name, points in series.items() if points]
    plain = [name for name in names if _base(name, names) == name]
    variants = [name for name in names if name not in plain]
    panels = [names]
    if len(names) > LINES_PER_PANEL and variants:
        panels = [plain, variants]
    drawn, grid = new(3.4, len(panels), WIDTH * len(panels))
    colours = {name: i for i, name in enumerate(plain)}
    for axes, shown in zip(grid, panels, strict=True):
        for name in shown:
            base = _base(name, names)
            i = colours[base]
            dashed = base != name and len(panels) == 1
            _line(axes, series[name], name, i, dashed)
            if link is not None:
                _link(axes, series[name], name, link)
            for paper_point in paper_points:
                if paper_point.arm == name:
                    _paper_point(axes, paper_point, i)
        if not math.isnan(dense):
            axes.axhline(
                dense,
                color="#666666",
                ls="--",
                lw=1,
                zorder=1,
                label="dense network",
            )
        lowest = min(
            (p.remaining for name in shown for p in series[name]), default=1
        )
        descending(axes, lowest)
    grid[0].set_ylabel(label)
    _limits(grid[0], series, paper_points)
    if len(panels) > 1:
        endings = {n.removeprefix(_base(n, names)) for n in variants}
        grid[0].set_title("plain", fontsize=10)
        grid[1].set_title(" or ".join(sorted(endings)), fontsize=10)
    return finish(drawn, grid[0])


def _line(
    axes: Axes, points: Sequence[RoundPoint], name: str, i: int, dashed: bool
) -> None:
    x = [point.remaining for point in points]
    axes.plot(
        x,
        [point.mean for point in points],
        color=COLOURS[i % len(COLOURS)],
        ls="--" if dashed else STYLES[i // len(COLOURS) % len(STYLES)],
        lw=1.5,
        marker=MARKERS[i % len(MARKERS)],
        ms=4.5,
        mfc="white" if dashed else None,
        label=name,
    )
    if late := [point for point in points if point.censored]:
        axes.plot(
            [point.remaining for point in late],
            [point.mean for point in late],
            ls="",
            marker="^",
            ms=9,
            mfc="none",
            mec=COLOURS[i % len(COLOURS)],
        )
    axes.fill_between(
        x,
        [min(point.values) for point in points],
        [max(point.values) for point in points],
        color=COLOURS[i % len(COLOURS)],
        alpha=0.15,
        linewidth=0,
    )


def _link(
    axes: Axes, points: Sequence[RoundPoint], name: str, link: Link
) -> None:
    """Lays something invisible over each point, with a link and its values."""
    x = [point.remaining for point in points]
    y = [point.mean for point in points]
    over = axes.scatter(x, y, s=90, alpha=0, linewidths=0)
    over.set_urls(
        [hover.titled(link(name, p.round), _values(name, p)) for p in points]
    )


def _values(name: str, point: RoundPoint) -> str:
    """Returns what a point shows, in words."""
    count = len(point.values)
    text = f"{name}, {point.remaining:.3g} % remaining: {point.mean:,.5g}"
    if count == 1:
        return f"{text} (one run)"
    low, high = min(point.values), max(point.values)
    late = f", {point.censored} at the last iteration" * bool(point.censored)
    return f"{text} ({low:,.5g} to {high:,.5g}, {count} runs{late})"


def _paper_point(axes: Axes, paper_point: PaperPoint, i: int) -> None:
    handles = axes.get_legend_handles_labels()[1]
    if math.isnan(paper_point.remaining):  # the paper does not say where
        colour = COLOURS[i % len(COLOURS)]
        axes.axhline(paper_point.value, color=colour, ls=":", lw=1.2)
        return
    axes.plot(
        paper_point.remaining,
        paper_point.value,
        ls="",
        marker="D",
        ms=7,
        mfc="none",
        mec=COLOURS[i % len(COLOURS)],
        mew=1.6,
        zorder=5,
        label="_" if "paper" in handles else "paper",
    )


def _limits(
    axes: Axes,
    series: Mapping[str, list[RoundPoint]],
    paper_points: Sequence[PaperPoint],
) -> None:
    """Cuts off what lies far below a good dense network."""
    if "accuracy" not in axes.get_ylabel() or "without" in axes.get_ylabel():
        return
    means = [point.mean for points in series.values() for point in points]
    if not means:
        return
    values = [paper_point.value for paper_point in paper_points]
    highest = max([*means, *values])
    floor = min([max(means) - POINTS_BELOW_DENSE, *(v - 1 for v in values)])
    if min(means) < floor:
        axes.set_ylim(floor, highest + 0.05 * POINTS_BELOW_DENSE)


def _base(name: str, names: Sequence[str]) -> str:
    """Returns the arm that another one is a variant of, or its own name.

    "constant, same sign" goes with "constant" if that is there, and
    "large_final SC" with "large_final".
    """
    base = re.sub(r"(, .*| SC)$", "", name)
    return base if base in names else name
