"""Showing: what reports show of each kind of experiment.

One table for both pages, that of a single run and that of the reproduction:
neither asks of which kind a run is. A new kind is a new entry here and in
`kinds`.
"""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tf_lottery.foundation.run_folder import read_records
from tf_lottery.foundation.snapshot_files import read_snapshots
from tf_lottery.report import notes
from tf_lottery.report.claims.paper_points import Link, PaperPoint
from tf_lottery.report.plots import (
    mask_plots,
    round_plots,
    supermask_plots,
    table_plots,
    training_plots,
)
from tf_lottery.report.plots.style import Drawn
from tf_lottery.report.tables import beside_paper, rounds, survivors_table
from tf_lottery.report.tables.run_tables import Tables
from tf_lottery.report.tables.text_table import TextTable
from tf_lottery.report.tables.training_table import training_table
from tf_lottery.report.verdicts.run_collection import FigureRuns


class SingleRun(NamedTuple):
    """A run as the page of a single run sees it.

    Args:
        folder: The folder of the run.
        plan: What was asked for.
        found: The tables of what was measured.
    """

    folder: pathlib.Path
    plan: dict[str, Any]
    found: Tables

    @property
    def arms(self) -> list[str]:
        """The arms in the order of the legend."""
        return self.plan["arms"]

    @property
    def paper(self) -> dict[str, float]:
        """The paper's accuracies by arm; none if it has none."""
        published = self.plan["published"]
        return published["accuracy"] if published else {}


class Showing(NamedTuple):
    """What reports show of one kind of experiment.

    Args:
        run_tables: The tables of the page of a single run.
        run_notes: The notes below them.
        run_drawings: The figures of the page of a single run.
        figure_tables: The tables of a section of the reproduction page.
        figure_drawings: The papers' figures, from our runs.
        figure_extras: The figures that go beyond the papers.
    """

    run_tables: Callable[[SingleRun], list[TextTable]]
    run_notes: Callable[[dict[str, Any]], list[str]]
    run_drawings: Callable[[SingleRun], Drawn]
    figure_tables: Callable[[FigureRuns], list[TextTable]]
    figure_drawings: Callable[[FigureRuns, Sequence[PaperPoint], Link], Drawn]
    figure_extras: Callable[[FigureRuns], Drawn]


def _extras(figure: FigureRuns) -> Drawn:
    """Draws what masks have in common in the run with the most seeds."""
    run = max(
        figure.runs,
        key=lambda r: (r.complete, r.plan["seeds"], len(r.plan["arms"])),
    )
    return mask_plots.draw(run.details(), run.plan["arms"])


ROUNDS = Showing(
    run_tables=lambda run: [
        *rounds.tables(run.found.lines, run.arms),
        *survivors_table.tables(run.found.survivors, run.found.lines),
    ],
    run_notes=notes.of_rounds,
    run_drawings=lambda run: {
        **round_plots.draw(run.found.lines, run.arms),
        **mask_plots.draw(run.found, run.arms),
    },
    figure_tables=lambda figure: [
        *rounds.tables(figure.lines, figure.arms),
        *survivors_table.tables([*figure.survivors.values()], figure.lines),
    ],
    figure_drawings=lambda figure, paper_points, link: round_plots.draw(
        figure.lines, figure.arms, paper_points, link
    ),
    figure_extras=_extras,
)

UNTRAINED = ROUNDS._replace(
    run_tables=lambda run: rounds.untrained_tables(run.found.lines, run.arms),
    run_drawings=lambda run: {
        **round_plots.draw_untrained(run.found.lines, run.arms),
        **mask_plots.draw(run.found, run.arms),
    },
    figure_tables=lambda figure: rounds.untrained_tables(
        figure.lines, figure.arms
    ),
    figure_drawings=lambda figure, paper_points, link: (
        round_plots.draw_untrained(
            figure.lines, figure.arms, paper_points, link
        )
    ),
)

SUPERMASK = Showing(
    run_tables=lambda run: [
        beside_paper.table(run.found.lines, run.arms, run.paper)
    ],
    run_notes=notes.of_learned_masks,
    run_drawings=lambda run: supermask_plots.draw(
        run.arms,
        read_records(run.folder),
        read_snapshots(run.folder),
        run.paper,
    ),
    figure_tables=lambda figure: [],
    figure_drawings=lambda figure, paper_points, link: table_plots.draw_table(
        figure.lines, figure.arms, paper_points, link
    ),
    figure_extras=lambda figure: {},
)

CURVES = Showing(
    run_tables=lambda run: [training_table(run.found.curves, run.arms)],
    run_notes=notes.of_trainings,
    run_drawings=lambda run: training_plots.draw(run.found.curves, run.arms),
    figure_tables=lambda figure: [training_table(figure.curves, figure.arms)],
    figure_drawings=lambda figure, paper_points, link: training_plots.draw(
        figure.curves, figure.arms, link
    ),
    figure_extras=lambda figure: {},
)

SHOWN = {
    "rounds": ROUNDS,
    "untrained": UNTRAINED,
    "supermask": SUPERMASK,
    "curves": CURVES,
}
"""What is shown of each kind; the keys are those of `kinds.KINDS`."""
