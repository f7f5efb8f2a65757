"""Curves: figures over the fraction of weights remaining.

As in the papers, the x axis is logarithmic and runs from all weights to few;
a line is the mean over seeds, its band reaches from the lowest to the highest,
and the dense network is the dashed grey line.
"""

import functools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from tf_lottery.report.claims.paper_points import Link, Mark
from tf_lottery.report.plots.style import COLOURS, STYLE, WIDTH, finish, new
from tf_lottery.report.tables import rounds
from tf_lottery.report.tables.rounds import Point
from tf_lottery.report.tables.summary import Line

MARKERS = "osD^v<>P*X"
STYLES = ("-", "-.", ":")  # a new one where the colours begin again
TICKS = (100, 30, 10, 3, 1, 0.3, 0.1, 0.03, 0.01)
LINES_PER_PANEL = 10
POINTS_BELOW_DENSE = 10
"""Where a figure of trained networks ends; what is worse leaves it below."""


def draw(
    lines: Sequence[Line],
    arms: Sequence[str],
    marks: Iterable[Mark] = (),
    link: Link | None = None,
) -> dict[str, tuple[Figure, str]]:
    """Returns the figures of an experiment in rounds.

    Args:
        lines: Of the summary.
        arms: In the order of the legend.
        marks: Drawn as diamonds.
        link: Gives what a point of a line (arm and round) links to.

    Returns:
        From a figure's name to the figure and a sentence that describes it.
    """
    described = (
        "over the per cent of weights remaining, a line an arm: mean over "
        "seeds, and a band from the lowest to the highest. Dashed grey: the "
        "dense network."
    )
    marks = list(marks)
    shown = lines
    if rounds.untrained(lines):
        shown = rounds.later(lines)
        chosen = {
            "accuracy": (
                "accuracy",
                rounds.accuracy,
                "test accuracy without training (%)",
                f"Test accuracy of masked networks nobody trained, {described}",
            )
        }
    else:
        chosen = {
            "accuracy_at_stop": (
                "accuracy",
                rounds.accuracy_at_stop,
                "test accuracy at early stop (%)",
                f"Test accuracy at the lowest validation loss, {described}",
            ),
            "stop_step": (
                "stop",
                rounds.stop_step,
                "early-stop iteration",
                f"Iteration of the lowest validation loss, {described}",
            ),
            "accuracy_at_end": (
                "accuracy at the end",
                rounds.accuracy,
                "test accuracy at the end (%)",
                f"Test accuracy after the last iteration, {described}",
            ),
            "train_accuracy": (
                "training accuracy",
                rounds.train_accuracy,
                "training accuracy at the end (%)",
                "Accuracy on the batches of the last iterations, measured "
                f"while training on them, {described}",
            ),
        }
    drawn = {}
    with matplotlib.rc_context(STYLE):
        for name, (metric, value, label, caption) in chosen.items():
            dense = rounds.dense(lines, value)
            series = rounds.points(shown, arms, value)
            own = [m for m in marks if m.metric == metric and m.arm in series]
            if own:
                caption += (
                    " Diamonds: the paper; where it has a difference or a "
                    "ratio, put on our other side. Dotted: the paper's best."
                )
            drawn[name] = (_figure(series, dense, label, own, link), caption)
    return drawn


def _figure(
    series: Mapping[str, list[Point]],
    dense: float,
    label: str,
    marks: Sequence[Mark],
    link: Link | None,
) -> Figure:
    """Draws lines in one panel, or variants of many in a second one."""
    names = [name for name, points in series.items() if points]
    plain = [name for name in names if _base(name, names) == name]
    variants = [name for name in names if name not in plain]
    panels = [names]
    if len(names) > LINES_PER_PANEL and variants:
        panels = [plain, variants]
    figure, grid = new(3.4, len(panels), WIDTH * len(panels))
    colours = {name: i for i, name in enumerate(plain)}
    for axes, shown in zip(grid, panels, strict=True):
        for name in shown:
            base = _base(name, names)
            i = colours[base]
            dashed = base != name and len(panels) == 1
            _line(axes, series[name], name, i, dashed)
            if link is not None:
                _link(axes, series[name], functools.partial(link, name))
            for mark in marks:
                if mark.arm == name:
                    _mark(axes, mark, i)
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
    _limits(grid[0], series, marks)
    if len(panels) > 1:
        endings = {n.removeprefix(_base(n, names)) for n in variants}
        grid[0].set_title("plain", fontsize=10)
        grid[1].set_title(" or ".join(sorted(endings)), fontsize=10)
    return finish(figure, grid[0])


def _line(
    axes: Axes, points: Sequence[Point], name: str, i: int, dashed: bool
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
    axes.fill_between(
        x,
        [min(point.values) for point in points],
        [max(point.values) for point in points],
        color=COLOURS[i % len(COLOURS)],
        alpha=0.15,
        linewidth=0,
    )


def _link(
    axes: Axes, points: Sequence[Point], link: Callable[[int], str]
) -> None:
    """Lays something invisible over each point that can be clicked."""
    x = [point.remaining for point in points]
    y = [point.mean for point in points]
    over = axes.scatter(x, y, s=90, alpha=0, linewidths=0)
    over.set_urls([link(point.round) for point in points])


def _mark(axes: Axes, mark: Mark, i: int) -> None:
    handles = axes.get_legend_handles_labels()[1]
    if math.isnan(mark.remaining):  # the paper does not say where
        colour = COLOURS[i % len(COLOURS)]
        axes.axhline(mark.value, color=colour, ls=":", lw=1.2)
        return
    axes.plot(
        mark.remaining,
        mark.value,
        ls="",
        marker="D",
        ms=7,
        mfc="none",
        mec=COLOURS[i % len(COLOURS)],
        mew=1.6,
        zorder=5,
        label="_" if "paper" in handles else "paper",
    )


def descending(axes: Axes, lowest: float) -> None:
    """Makes the x axis the papers': logarithmic, from all weights to few."""
    axes.set_xscale("log")
    axes.set_xlim(115, lowest / 1.15)
    shown = [tick for tick in TICKS if tick > lowest / 1.15]
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("weights remaining (%)")


def _limits(
    axes: Axes, series: Mapping[str, list[Point]], marks: Sequence[Mark]
) -> None:
    """Cuts off what lies far below a good dense network."""
    if "accuracy" not in axes.get_ylabel() or "without" in axes.get_ylabel():
        return
    means = [point.mean for points in series.values() for point in points]
    if not means:
        return
    values = [mark.value for mark in marks]
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
