"""Figures of plain trainings: a metric over the steps, an arm a colour."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from tf_lottery.foundation.records import Record
from tf_lottery.report.claims.paper_points import Link
from tf_lottery.report.plots.axes import logarithmic, over_steps
from tf_lottery.report.plots.style import STYLE, Drawn, colours, finish, new
from tf_lottery.report.tables.series import Series, SeriesOf, series_of

LOGARITHMIC = ("perplexity",)
"""Metrics whose axis is logarithmic."""


def draw(
    records: Iterable[Record], arms: Sequence[str], link: Link | None = None
) -> Drawn:
    """Returns a figure for each metric that was measured after step 0.

    Args:
        records: Those of `series.thin`, or more.
        arms: The arms in the order of the legend.
        link: Gives what the curves of an arm (in round 0) link to.
    """
    # A logarithmic axis has no place for what was measured before training.
    found = series_of(r for r in records if r.step > 0)
    drawn = {}
    with matplotlib.rc_context(STYLE):
        for metric in dict.fromkeys(metric for _, _, metric in found):
            # What is not measured on validation examples is on others.
            there = {split for _, split, m in found if m == metric}
            other = "validation" if "validation" in there else "test"
            name = metric.replace(" ", "_")
            drawn[name] = (
                _figure(found, arms, metric, other, link),
                f"{metric.capitalize()} over training steps, an arm a colour. "
                f"Dashed: on the training examples; solid: on the {other} "
                "examples. Mean over seeds, and a band from the lowest to the "
                "highest.",
            )
    return drawn


def _figure(
    found: SeriesOf,
    arms: Sequence[str],
    metric: str,
    other: str,
    link: Link | None,
) -> Figure:
    scale = 100 if metric == "accuracy" else 1
    figure, [axes] = new()
    for arm, colour in zip(arms, colours(arms), strict=True):
        label = arm
        for split, style in ((other, "-"), ("train", "--")):
            by_seed = found.get((arm, split, metric), {})
            steps, values = _over_seeds(by_seed, scale)
            if not steps:
                continue
            means = [statistics.fmean(v) for v in values]
            [line] = axes.plot(
                steps, means, color=colour, ls=style, lw=1.5, label=label
            )
            if link is not None:
                line.set_url(link(arm, 0))
            if len(by_seed) > 1:
                lowest, highest = map(min, values), map(max, values)
                axes.fill_between(
                    steps, [*lowest], [*highest],
                    color=colour, alpha=0.15, linewidth=0,
                )  # fmt: skip
            label = "_"  # an arm is in the legend once
    _explain(axes, other)
    over_steps(axes)
    if metric in LOGARITHMIC:
        logarithmic(axes)
        # They often lie within one power of ten.
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.set_ylabel("accuracy (%)" if metric == "accuracy" else metric)
    return finish(figure, axes)


def _explain(axes: Axes, other: str) -> None:
    """Says in the legend what is dashed."""
    for style, label in (("--", "train"), ("-", other)):
        axes.plot([], [], color="#666666", ls=style, lw=1.5, label=label)


def _over_seeds(
    by_seed: Mapping[int, Series], scale: float
) -> tuple[list[int], list[list[float]]]:
    """Returns all steps, and the values of the seeds at each.

    A seed has a value at every step up to its last one: where it was not
    measured, between its neighbours.
    """
    steps = sorted({s for own in by_seed.values() for s in own})
    values: list[list[float]] = [[] for _ in steps]
    for own in by_seed.values():
        known = sorted(own)
        there = [scale * own[step] for step in known]
        for step, at_step in zip(steps, values, strict=True):
            if known[0] <= step <= known[-1]:
                at_step.append(float(np.interp(step, known, there)))
    return steps, values
