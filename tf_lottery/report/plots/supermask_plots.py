"""Figures: matplotlib drawings of a run.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from tf_lottery.foundation.records import Record, Snapshot
from tf_lottery.report.claims.paper_points import Link, Mark
from tf_lottery.report.plots.style import COLOURS, STYLE, WIDTH, finish, new
from tf_lottery.report.tables.summary import Line


def draw(
    arms: Sequence[str],
    records: Sequence[Record],
    snapshots: Sequence[Snapshot],
    published: dict[str, float],
) -> dict[str, tuple[Figure, str]]:
    """Returns all figures that the numbers allow.

    Returns:
        From a figure's name to the figure and a sentence that describes it.
    """
    snapshots = [
        p for p in snapshots if p.seed == min(q.seed for q in snapshots)
    ]
    figures = {}
    with matplotlib.rc_context(STYLE):
        figures["accuracy"] = (
            accuracy_curves(arms, records, published),
            "Test accuracy over training steps, a line an arm: mean over "
            "seeds, and a band from the lowest to the highest. Dotted: what "
            "the paper reports.",
        )
        if snapshots:
            figures["probabilities"] = (
                mask_histograms(arms, snapshots),
                "How many weights of each layer have which probability of "
                "being kept; logarithmic.",
            )
            figures["remaining"] = (
                remaining_bars(arms, records),
                "Fraction of the weights of each layer that the learned mask "
                "keeps, mean over seeds.",
            )
            figures["first_layer"] = (
                first_layer(arms, snapshots),
                "What the first layer looks at: for each pixel, the mean "
                "probability over the layer's units that a weight is kept.",
            )
    return figures


def draw_table(
    lines: Sequence[Line],
    arms: Sequence[str],
    marks: Iterable[Mark],
    link: Link,
) -> dict[str, tuple[Figure, str]]:
    """Returns the figure of a table: an arm a row, each seed a point.

    Args:
        lines: Of the summary.
        arms: From above to below.
        marks: The paper's accuracies, drawn as diamonds.
        link: Gives what the points of an arm link to.
    """
    with matplotlib.rc_context(STYLE):
        figure, [axes] = new(0.9 + 0.36 * len(arms))
        for i, (arm, colour) in enumerate(
            zip(arms, _colours(arms), strict=True)
        ):
            x = [100 * line.test_accuracy for line in lines if line.arm == arm]
            points = axes.scatter(
                x, [i] * len(x), s=30, color=colour, alpha=0.8, zorder=4
            )
            points.set_urls([link(arm, 0) for _ in x])
        for mark in marks:
            if mark.arm in arms and mark.metric == "accuracy":
                named = axes.get_legend_handles_labels()[1]
                axes.plot(
                    mark.value,
                    arms.index(mark.arm),
                    ls="",
                    marker="D",
                    ms=9,
                    mfc="none",
                    mec="#666666",
                    mew=1.4,
                    label="_" if named else "paper",
                )
        axes.set_yticks(range(len(arms)), arms)
        axes.set_ylim(len(arms) - 0.5, -0.5)
        axes.set_xlabel("test accuracy (%)")
        longest = 0.085 * max(map(len, arms)) + 0.25
        caption = (
            "Test accuracy of the learned masks after the last step, an arm a "
            "row, a point each seed. Diamonds: the paper."
        )
        return {"accuracy": (finish(figure, axes, left=longest), caption)}


def accuracy_curves(
    arms: Sequence[str],
    records: Sequence[Record],
    published: dict[str, float],
) -> Figure:
    """Draws test accuracy in per cent over steps."""
    series: dict = {arm: defaultdict(list) for arm in arms}
    for r in records:
        if (r.where, r.metric) == ("test", "accuracy") and r.arm in series:
            series[r.arm][r.step].append(100 * r.value)
    figure, [axes] = new()
    shown = [p for p in published.values()]
    for arm, colour in zip(arms, _colours(arms), strict=True):
        points = {s: v for s, v in sorted(series[arm].items()) if s > 0}
        if not points:
            continue
        steps = list(points)
        means = [float(np.mean(v)) for v in points.values()]
        shown.append(means[-1])
        axes.plot(steps, means, color=colour, label=arm)
        axes.fill_between(
            steps,
            [min(v) for v in points.values()],
            [max(v) for v in points.values()],
            color=colour,
            alpha=0.2,
            linewidth=0,
        )
        if arm in published:
            axes.axhline(published[arm], color=colour, ls=":", lw=1.2)
    if shown:
        low = min(shown)
        axes.set_ylim(max(0, low - max(3, (100 - low) / 2)), 100)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter(_leading_digit)
    axes.set(xlabel="training steps (log)", ylabel="test accuracy (%)")
    return finish(figure, axes)


def mask_histograms(
    arms: Sequence[str], snapshots: Sequence[Snapshot]
) -> Figure:
    """Draws a histogram of mask probabilities for each layer and arm."""
    layers = _layers(snapshots[0])
    figure, grid = new(2.6, len(layers), width=2 * WIDTH)
    by_arm = {snapshot.arm: snapshot for snapshot in snapshots}
    for axes, layer in zip(grid, layers, strict=True):
        for arm, colour in zip(arms, _colours(arms), strict=True):
            if arm not in by_arm:
                continue
            counts = by_arm[arm].arrays[f"histogram {layer}"]
            edges = np.linspace(0, 1, len(counts) + 1)
            axes.stairs(counts, edges, color=colour, label=arm)
        axes.set_yscale("log")
        axes.set(title=layer, xlabel="probability of being kept")
    grid[0].set_ylabel("weights")
    return finish(figure, grid[0])


def remaining_bars(arms: Sequence[str], records: Sequence[Record]) -> Figure:
    """Draws the fraction kept of each layer and arm."""
    values: dict = defaultdict(lambda: defaultdict(list))
    for r in records:
        if r.metric == "remaining":
            values[r.where][r.arm].append(100 * r.value)
    layers = list(values)
    figure, [axes] = new(2.8)
    width = 0.8 / len(arms)
    for i, (arm, colour) in enumerate(zip(arms, _colours(arms), strict=True)):
        heights = [float(np.mean(values[la][arm] or [0])) for la in layers]
        left = np.arange(len(layers)) - 0.4 + (i + 0.5) * width
        bars = axes.bar(left, heights, 0.92 * width, color=colour, label=arm)
        axes.bar_label(bars, fmt="%.0f", fontsize=8, padding=1)
    axes.set_xticks(range(len(layers)), layers)
    axes.grid(axis="x", visible=False)
    axes.set(ylabel="weights kept (%)", ylim=(0, 100))
    return finish(figure, axes)


def first_layer(arms: Sequence[str], snapshots: Sequence[Snapshot]) -> Figure:
    """Draws the first layer's mask summed over units, as an image."""
    by_arm = {snapshot.arm: snapshot for snapshot in snapshots}
    arms = [arm for arm in arms if arm in by_arm]
    images = [_square(by_arm[arm].arrays["first layer"]) for arm in arms]
    figure, grid = new(2.6, len(arms), width=2 * WIDTH)
    # One scale for all, of the values that occur: most lie close together.
    low = min(image.min() for image in images)
    high = max(image.max() for image in images)
    for axes, arm, image in zip(grid, arms, images, strict=True):
        drawn = axes.imshow(image, cmap="cividis", vmin=low, vmax=high)
        axes.set_title(arm, fontsize=10)
        axes.set_axis_off()
    figure.subplots_adjust(left=0.02, right=0.98, bottom=0.02, top=0.88)
    figure.colorbar(drawn, ax=grid, label="mean probability", pad=0.02)
    return figure


def _leading_digit(x: float, position: float) -> str:
    # Between the powers of ten, only 2 and 5 have room for a label.
    del position
    return f"{x:,.0f}" if f"{x:e}"[0] in "25" else ""


def _square(sums: np.ndarray) -> np.ndarray:
    # The pixels of a square image; as one row where they are none.
    side = math.isqrt(sums.size)
    shape = (side, side) if side * side == sums.size else (1, -1)
    return sums.reshape(shape)


def _layers(snapshot: Snapshot) -> list[str]:
    prefix = "histogram "
    names = [name for name in snapshot.arrays if name.startswith(prefix)]
    return [name.removeprefix(prefix) for name in names]


def _colours(arms: Sequence[str]) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(len(arms))]
