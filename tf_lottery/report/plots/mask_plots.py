"""Beyond the papers: figures of what masks have in common, and of signs.

They are of one run each, the one with the most seeds: pairs of masks are not
compared over several folders.
"""

import math
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from tf_lottery.report.plots import curves
from tf_lottery.report.plots.style import COLOURS, STYLE, WIDTH, finish, new
from tf_lottery.report.tables import rounds
from tf_lottery.report.tables.density import FATES, Bin
from tf_lottery.report.tables.layers_table import Layer
from tf_lottery.report.tables.overlap import Overlap
from tf_lottery.report.tables.rounds import mean
from tf_lottery.report.tables.run_tables import Tables
from tf_lottery.rules import weight_plane

MATRIX_AT = 20.0
"""Per cent of the weights at which the masks of all arms are compared."""

NUMBERED = 10
"""Arms up to which the figure of all with all has numbers."""

COLUMNS = 5
"""Arms beside each other in the figure of densities."""

GAP = 5
"""Bins between them."""


def draw(tables: Tables, arms: Sequence[str]) -> dict[str, tuple[Figure, str]]:
    """Returns the figures that the tables allow.

    Returns:
        From a figure's name to the figure and a sentence that describes it.
    """
    remaining = _remaining(tables)
    # A mask is there before its network is evaluated for the first time.
    tables = tables._replace(
        layers=[x for x in tables.layers if _key(x) in remaining],
        overlaps=[x for x in tables.overlaps if _key(x) in remaining],
    )
    of_arms = [o for o in tables.overlaps if o.between == "arms"]
    of_seeds = [o for o in tables.overlaps if o.between == "seeds"]
    of_all = [x for x in tables.layers if x.layer == "all" and x.round]
    drawn = {}
    with matplotlib.rc_context(STYLE):
        if of_arms:
            first = of_arms[0].arm
            drawn["overlap_arms"] = (
                _overlap_of_arms(of_arms, remaining),
                f"How much the masks of other arms overlap with those of "
                f"{first!r} in the same seed: Jaccard index over the per cent "
                "of weights remaining. Dashed grey: what independent masks "
                "would have. Arms whose masks are those of another one are "
                "left out.",
            )
        matrix = _matrix(of_arms, remaining)
        if matrix:
            drawn["overlap_matrix"] = matrix
        if of_seeds:
            drawn["overlap_seeds"] = (
                _overlap_of_seeds(of_seeds, remaining),
                f"How much the masks of {of_seeds[0].arm!r} from different "
                "seeds overlap, layer by layer: Jaccard index over the per "
                "cent of weights remaining. Dashed: what independent masks "
                "would have.",
            )
        if any(not math.isnan(x.sign_agreement) for x in of_all):
            drawn["signs"] = (
                _signs(tables, arms, remaining),
                "How many of the kept weights ended the training before with "
                "the sign they had started with, in per cent, over the per "
                "cent of weights remaining. Dashed grey: a half, as by chance.",
            )
        layers = [x for x in tables.layers if x.layer != "all" and x.round]
        if layers:
            drawn["layers"] = (
                _layers(tables, layers[0].arm, remaining),
                f"Per cent of each layer's weights that {layers[0].arm!r} "
                "keeps, over the per cent of all weights remaining.",
            )
        if tables.bins:
            drawn["density"] = (
                _density(tables.bins, arms),
                "Where weights started (across) and ended (up), in standard "
                "deviations of their layer's initial weights: those that were "
                "kept above, those that were pruned below; the darker, the "
                "more, logarithmic. The grey cross is zero; the edges are at "
                f"{weight_plane.LIMITS[0]:g} across and "
                f"{weight_plane.LIMITS[1]:g} up. One "
                f"seed, all layers, round {tables.bins[0].round}.",
            )
    return drawn


Line = tuple[list[float], list[float]]
Remaining = Mapping[tuple[str, int], float]
"""By arm and round, in per cent."""


def _key(row: Layer | Overlap) -> tuple[str, int]:
    return rounds.line_of(row.arm), row.round


def _remaining(tables: Tables) -> Remaining:
    values: dict[tuple[str, int], list[float]] = {}
    for line in tables.lines:
        if line.round:
            key = rounds.line_of(line.arm), line.round
            values.setdefault(key, []).append(100 * line.remaining)
    return {key: mean(of_seeds) for key, of_seeds in values.items()}


def _curve(axes: Axes, line: Line, name: str, i: int) -> None:
    axes.plot(
        *line,
        color=COLOURS[i % len(COLOURS)],
        ls=curves.STYLES[i // len(COLOURS) % len(curves.STYLES)],
        marker=curves.MARKERS[i % len(curves.MARKERS)],
        lw=1.5,
        ms=4.5,
        label=name,
    )


def _line(arm: str, values: Mapping[int, float], remaining: Remaining) -> Line:
    """Returns x and y of an arm's values by round."""
    name = rounds.line_of(arm)
    places = [p for p in sorted(values) if not math.isnan(values[p])]
    return [remaining[name, p] for p in places], [values[p] for p in places]


def _overlap_of_arms(
    overlaps: Sequence[Overlap], remaining: Remaining
) -> Figure:
    first = overlaps[0].arm
    own = [o for o in overlaps if o.arm == first]
    figure, [axes] = new()
    for i, other in enumerate(dict.fromkeys(o.other for o in own)):
        values = {o.round: o.jaccard for o in own if o.other == other}
        _curve(axes, _line(first, values, remaining), other, i)
    chance = {o.round: o.chance for o in own}
    axes.plot(
        *_line(first, chance, remaining),
        color="#666666",
        ls="--",
        lw=1,
        label="chance",
    )
    return _overlap_axes(figure, axes, remaining)


def _overlap_of_seeds(
    overlaps: Sequence[Overlap], remaining: Remaining
) -> Figure:
    own = [o for o in overlaps if o.arm == overlaps[0].arm]
    figure, [axes] = new()
    for i, layer in enumerate(dict.fromkeys(o.layer for o in own)):
        values = {o.round: o.jaccard for o in own if o.layer == layer}
        chance = {o.round: o.chance for o in own if o.layer == layer}
        _curve(axes, _line(own[0].arm, values, remaining), layer, i)
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(
            *_line(own[0].arm, chance, remaining), color=colour, ls="--", lw=1
        )
    return _overlap_axes(figure, axes, remaining)


def _overlap_axes(figure: Figure, axes: Axes, remaining: Remaining) -> Figure:
    axes.set_ylabel("overlap of masks (Jaccard)")
    _logarithmic(axes)
    axes.set_ylim(top=1)
    curves.descending(axes, min(remaining.values()))
    return finish(figure, axes)


def _logarithmic(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def _matrix(
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


def _signs(tables: Tables, arms: Sequence[str], remaining: Remaining) -> Figure:
    figure, [axes] = new()
    found: dict[str, dict[int, list[float]]] = {}
    for x in tables.layers:
        if x.layer == "all" and x.round:
            by_round = found.setdefault(rounds.line_of(x.arm), {})
            by_round.setdefault(x.round, []).append(100 * x.sign_agreement)
    names = list(dict.fromkeys(map(rounds.line_of, arms)))
    drawn: list[Line] = []
    for name in names:
        means = {p: mean(v) for p, v in found.get(name, {}).items()}
        line = _line(name, means, remaining)
        # Of arms that are the same up to what is trained, one is enough.
        if line[0] and line not in drawn:
            _curve(axes, line, name, len(drawn))
            drawn.append(line)
    axes.axhline(50, color="#666666", ls="--", lw=1, label="chance")
    axes.set_ylabel("kept weights with their first sign (%)")
    curves.descending(axes, min(remaining.values()))
    return finish(figure, axes)


def _layers(tables: Tables, arm: str, remaining: Remaining) -> Figure:
    figure, [axes] = new()
    own = [x for x in tables.layers if x.arm == arm and x.round]
    for i, layer in enumerate(dict.fromkeys(x.layer for x in own)):
        if layer == "all":
            continue
        values: dict[int, list[float]] = {}
        for x in own:
            if x.layer == layer:
                values.setdefault(x.round, []).append(100 * x.remaining)
        means = {p: mean(v) for p, v in values.items()}
        _curve(axes, _line(arm, means, remaining), layer, i)
    _logarithmic(axes)
    axes.set_ylabel("of the layer's weights (%)")
    curves.descending(axes, min(remaining.values()))
    return finish(figure, axes)


def _density(bins: Sequence[Bin], arms: Sequence[str]) -> Figure:
    """Draws the planes of all arms as one picture, which is quick."""
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
