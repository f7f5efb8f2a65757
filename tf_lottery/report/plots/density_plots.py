"""The figure of where kept and pruned weights started and ended."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from tf_lottery.report.plots.style import STYLE, new
from tf_lottery.report.tables.density import FATES, Bin
from tf_lottery.rules import weight_plane

COLUMNS = 5
"""Arms beside each other in the figure of densities."""

GAP = 5
"""Bins between them."""


def density(bins: Sequence[Bin], arms: Sequence[str]) -> Figure:
    """Draws the planes of all arms as one image, which is quick."""
    planes_of: dict[tuple[str, str], np.ndarray] = {}
    for b in bins:
        if (b.arm, b.fate) not in planes_of:
            planes_of[b.arm, b.fate] = np.zeros(
                (weight_plane.BINS, weight_plane.BINS)
            )
        planes_of[b.arm, b.fate][weight_plane.BINS - 1 - b.y, b.x] = b.weights
    names = [a for a in arms if (a, "kept") in planes_of]
    columns = min(COLUMNS, len(names))
    blocks = -(-len(names) // columns)
    step = weight_plane.BINS + GAP
    # From above to below: a block's kept weights, then its pruned ones.
    mosaic = np.ma.masked_all((2 * blocks * step, columns * step))
    figure, [axes] = new(0.4 + 2.9 * blocks, width=0.4 + 1.9 * columns)
    for i, name in enumerate(names):
        block, column = divmod(i, columns)
        for j, fate in enumerate(FATES):
            top, left = (2 * block + j) * step + GAP, column * step
            mosaic[
                top : top + weight_plane.BINS, left : left + weight_plane.BINS
            ] = np.ma.masked_equal(planes_of.get((name, fate), 0), 0)
            middle = left + weight_plane.BINS / 2
            title = name if fate == "kept" else ""
            axes.text(middle, top - 1, title, ha="center", fontsize=7.5)
            if column == 0:
                axes.text(
                    -1,
                    top + weight_plane.BINS / 2,
                    fate,
                    fontsize=8,
                    rotation=90,
                    ha="right", va="center",
                )  # fmt: skip
            half = weight_plane.BINS / 2
            axes.plot(
                [left, left + weight_plane.BINS, np.nan, middle, middle],
                [top + half, top + half, np.nan, top, top + weight_plane.BINS],
                color=STYLE["grid.color"],
                lw=0.7,
                zorder=3,
            )
    axes.imshow(
        mosaic,
        norm=matplotlib.colors.LogNorm(1, max(b.weights for b in bins)),
        cmap="cividis_r",
        aspect="auto",
        extent=(0, mosaic.shape[1], mosaic.shape[0], 0),
        zorder=2,
    )
    axes.set_axis_off()
    width = figure.get_size_inches()[0]
    figure.subplots_adjust(left=0.3 / width, right=0.99, bottom=0.01, top=0.99)
    return figure
