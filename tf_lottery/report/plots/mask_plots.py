"""Beyond the papers: figures of what masks have in common, and of signs.

They are of one run each, the one with the most seeds: pairs of masks are not
compared over several folders.
"""

import math
from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure

from tf_lottery.report.plots import density_plots, overlap_plots
from tf_lottery.report.plots.axes import descending, logarithmic
from tf_lottery.report.plots.over_remaining import (
    Curve,
    Remaining,
    curve_of,
    draw_curve,
    remaining_of,
)
from tf_lottery.report.plots.style import STYLE, Drawn, finish, new
from tf_lottery.report.tables import rounds
from tf_lottery.report.tables.layers_table import Layer
from tf_lottery.report.tables.overlap import Overlap
from tf_lottery.report.tables.rounds import mean
from tf_lottery.report.tables.run_tables import Tables
from tf_lottery.rules import weight_plane


def draw(tables: Tables, arms: Sequence[str]) -> Drawn:
    """Returns the figures that the tables allow."""
    remaining = remaining_of(tables.lines)
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
                overlap_plots.overlap_of_arms(of_arms, remaining),
                f"How much the masks of other arms overlap with those of "
                f"{first!r} in the same seed: Jaccard index over the per cent "
                "of weights remaining. Dashed grey: what independent masks "
                "would have. Arms whose masks are those of another one are "
                "left out.",
            )
        matrix = overlap_plots.overlap_matrix(of_arms, remaining)
        if matrix:
            drawn["overlap_matrix"] = matrix
        if of_seeds:
            drawn["overlap_seeds"] = (
                overlap_plots.overlap_of_seeds(of_seeds, remaining),
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
                density_plots.density(tables.bins, arms),
                "Where weights started (across) and ended (up), in standard "
                "deviations of their layer's initial weights: those that were "
                "kept above, those that were pruned below; the darker, the "
                "more, logarithmic. The grey cross is zero; the edges are at "
                f"{weight_plane.LIMITS[0]:g} across and "
                f"{weight_plane.LIMITS[1]:g} up. One "
                f"seed, all layers, round {tables.bins[0].round}.",
            )
    return drawn


def _key(row: Layer | Overlap) -> tuple[str, int]:
    return rounds.line_of(row.arm), row.round


def _signs(tables: Tables, arms: Sequence[str], remaining: Remaining) -> Figure:
    figure, [axes] = new()
    found: dict[str, dict[int, list[float]]] = {}
    for x in tables.layers:
        if x.layer == "all" and x.round:
            by_round = found.setdefault(rounds.line_of(x.arm), {})
            by_round.setdefault(x.round, []).append(100 * x.sign_agreement)
    names = list(dict.fromkeys(map(rounds.line_of, arms)))
    drawn: list[Curve] = []
    for name in names:
        means = {p: mean(v) for p, v in found.get(name, {}).items()}
        curve = curve_of(name, means, remaining)
        # Of arms that are the same up to what is trained, one is enough.
        if curve[0] and curve not in drawn:
            draw_curve(axes, curve, name, len(drawn))
            drawn.append(curve)
    axes.axhline(50, color="#666666", ls="--", lw=1, label="chance")
    axes.set_ylabel("kept weights with their first sign (%)")
    descending(axes, min(remaining.values()))
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
        draw_curve(axes, curve_of(arm, means, remaining), layer, i)
    logarithmic(axes)
    axes.set_ylabel("of the layer's weights (%)")
    descending(axes, min(remaining.values()))
    return finish(figure, axes)
