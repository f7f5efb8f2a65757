"""Figures of learned masks: how good they are, and what they keep."""

import math
from collections import defaultdict
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from tf_lottery.foundation.records import Record, Snapshot
from tf_lottery.report.plots.axes import over_steps
from tf_lottery.report.plots.style import (
    STYLE,
    WIDTH,
    Drawn,
    colours,
    finish,
    new,
)


def draw(
    arms: Sequence[str],
    records: Sequence[Record],
    snapshots: Sequence[Snapshot],
    published: dict[str, float],
) -> Drawn:
    """Returns all figures that the numbers allow, of masks as learned."""
    records = [record for record in records if not record.round]
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
    for arm, colour in zip(arms, colours(arms), strict=True):
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
    over_steps(axes)
    axes.set_ylabel("test accuracy (%)")
    return finish(figure, axes)


def mask_histograms(
    arms: Sequence[str], snapshots: Sequence[Snapshot]
) -> Figure:
    """Draws a histogram of mask probabilities for each layer and arm."""
    layers = _layers(snapshots[0])
    figure, grid = new(2.6, len(layers), width=2 * WIDTH)
    by_arm = {snapshot.arm: snapshot for snapshot in snapshots}
    for axes, layer in zip(grid, layers, strict=True):
        for arm, colour in zip(arms, colours(arms), strict=True):
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
    for i, (arm, colour) in enumerate(zip(arms, colours(arms), strict=True)):
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


def _square(sums: np.ndarray) -> np.ndarray:
    # The pixels of a square image; one row where the inputs are none.
    side = math.isqrt(sums.size)
    shape = (side, side) if side * side == sums.size else (1, -1)
    return sums.reshape(shape)


def _layers(snapshot: Snapshot) -> list[str]:
    prefix = "histogram "
    names = [name for name in snapshot.arrays if name.startswith(prefix)]
    return [name.removeprefix(prefix) for name in names]
