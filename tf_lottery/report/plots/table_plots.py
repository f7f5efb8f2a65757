"""The figure of a table: an arm a row."""

from collections.abc import Iterable, Sequence

import matplotlib

from tf_lottery.report.claims.paper_points import Link, PaperPoint
from tf_lottery.report.plots import hover
from tf_lottery.report.plots.style import STYLE, Drawn, colours, finish, new
from tf_lottery.report.tables.summary import Line


def draw_table(
    lines: Sequence[Line],
    arms: Sequence[str],
    paper_points: Iterable[PaperPoint],
    link: Link,
) -> Drawn:
    """Returns the figure of a table: an arm a row, each seed a point.

    Args:
        lines: The lines of the summary.
        arms: The arms from above to below.
        paper_points: The paper's accuracies, drawn as diamonds.
        link: Gives what the points of an arm link to.
    """
    with matplotlib.rc_context(STYLE):
        figure, [axes] = new(0.9 + 0.36 * len(arms))
        for i, (arm, colour) in enumerate(
            zip(arms, colours(arms), strict=True)
        ):
            for number, mark, height in ((0, "o", i), (1, "|", i + 0.22)):
                x = [
                    100 * line.test_accuracy
                    for line in lines
                    if (line.arm, line.round) == (arm, number)
                ]
                if not x:
                    continue
                points = axes.scatter(
                    *(x, [height] * len(x)),
                    s=30 if number == 0 else 60,
                    marker=mark,
                    color=colour,
                    alpha=0.8,
                    zorder=4,
                )
                points.set_urls(
                    [
                        hover.titled(link(arm, number), f"{arm}: {value:.2f} %")
                        for value in x
                    ]
                )
        for paper_point in paper_points:
            if paper_point.arm in arms and paper_point.metric == "accuracy":
                named = axes.get_legend_handles_labels()[1]
                axes.plot(
                    paper_point.value,
                    arms.index(paper_point.arm),
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
            "row, a point each seed. Strokes below: the mask thresholded at "
            "p > 0.5. Diamonds: the paper."
        )
        return {"accuracy": (finish(figure, axes, left=longest), caption)}
