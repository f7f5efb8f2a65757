"""Curves: figures over the fraction of weights remaining.

As in the papers, the x axis is logarithmic and runs from all weights to few;
a line is the mean over seeds, its band reaches from the lowest to the highest,
and the dense network is the dashed grey line.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import matplotlib

from tf_lottery.report.claims.paper_points import Link, PaperPoint
from tf_lottery.report.plots.round_panels import figure
from tf_lottery.report.plots.style import (
    STYLE,
    Drawn,
)
from tf_lottery.report.tables import rounds
from tf_lottery.report.tables.summary import Line


class Quantity(NamedTuple):
    """What one figure shows.

    Args:
        metric: The metric of the papers' points.
        value: The number of a training.
        label: The text at the y axis.
        caption: The beginning of the sentence that describes the figure.
    """

    metric: str
    value: Callable[[Line], float]
    label: str
    caption: str


QUANTITIES = {
    "accuracy_at_stop": Quantity(
        "accuracy",
        rounds.accuracy_at_stop,
        "test accuracy at early stop (%)",
        "Test accuracy at the lowest validation loss",
    ),
    "stop_step": Quantity(
        "stop",
        rounds.stop_step,
        "early-stop iteration",
        "Iteration of the lowest validation loss (triangles: that of a run is "
        "the last one)",
    ),
    "accuracy_at_end": Quantity(
        "accuracy at the end",
        rounds.accuracy,
        "test accuracy at the end (%)",
        "Test accuracy after the last iteration",
    ),
    "train_accuracy": Quantity(
        "training accuracy",
        rounds.train_accuracy,
        "training accuracy at the end (%)",
        "Accuracy on the batches of the last iterations, measured while "
        "training on them",
    ),
}
"""The figures of networks that each round trains, by name."""

UNTRAINED = {
    "accuracy": Quantity(
        "accuracy",
        rounds.accuracy,
        "test accuracy without training (%)",
        "Test accuracy of masked networks nobody trained",
    )
}
"""The figures of networks that only round 0 trains, by name."""

DESCRIBED = (
    "over the per cent of weights remaining, a line an arm: mean over seeds, "
    "and a band from the lowest to the highest. Dashed grey: the dense network."
)


def draw(
    lines: Sequence[Line],
    arms: Sequence[str],
    paper_points: Iterable[PaperPoint] = (),
    link: Link | None = None,
) -> Drawn:
    """Returns the figures of networks that each round trains.

    Args:
        lines: The lines of the summary.
        arms: The arms in the order of the legend.
        paper_points: The paper's numbers, drawn as diamonds.
        link: Gives what a point of a line (arm and round) links to.
    """
    return _draw(QUANTITIES, lines, lines, arms, [*paper_points], link)


def draw_untrained(
    lines: Sequence[Line],
    arms: Sequence[str],
    paper_points: Iterable[PaperPoint] = (),
    link: Link | None = None,
) -> Drawn:
    """Returns the figure of networks that only round 0 trains.

    Args:
        lines: The lines of the summary.
        arms: The arms in the order of the legend.
        paper_points: The paper's numbers, drawn as diamonds.
        link: Gives what a point of a line (arm and round) links to.
    """
    later = rounds.later(lines)
    return _draw(UNTRAINED, lines, later, arms, [*paper_points], link)


def _draw(
    quantities: Mapping[str, Quantity],
    lines: Sequence[Line],
    shown: Sequence[Line],
    arms: Sequence[str],
    paper_points: Sequence[PaperPoint],
    link: Link | None,
) -> Drawn:
    """Draws each quantity of the lines `shown`, and the dense network's."""
    drawn = {}
    with matplotlib.rc_context(STYLE):
        for name, (metric, value, label, caption) in quantities.items():
            caption += f", {DESCRIBED}"
            dense = rounds.dense(lines, value)
            series = rounds.points(shown, arms, value)
            own = [
                p
                for p in paper_points
                if p.metric == metric and p.arm in series
            ]
            if own:
                caption += (
                    " Diamonds: the paper; where it has a difference or a "
                    "ratio, put on our other side. Dotted: the paper's best."
                )
            drawn[name] = (
                figure(series, dense, label, own, link),
                caption,
            )
    return drawn
