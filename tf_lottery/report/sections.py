"""Sections: what the reproduction page says of each figure of the papers."""

import concurrent.futures
import gc
import multiprocessing
import os
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import matplotlib

from tf_lottery.report.claims.catalogue import TITLES
from tf_lottery.report.claims.paper_points import Link, PaperPoint
from tf_lottery.report.links import relative
from tf_lottery.report.plots import render
from tf_lottery.report.plots.render import Drawing
from tf_lottery.report.showing import SHOWN
from tf_lottery.report.tables import rounds
from tf_lottery.report.tables.csv_tables import DamagedFile
from tf_lottery.report.tables.text_table import TextTable
from tf_lottery.report.verdicts.findings import Finding
from tf_lottery.report.verdicts.judge import Judgement
from tf_lottery.report.verdicts.run_collection import FigureRuns


class Section(NamedTuple):
    """What a page says of one figure of the papers.

    Args:
        key: Anchor, and beginning of the names of files.
        title: The title of the figure.
        figure: The runs.
        judgements: The judgements that rest on it, with their findings of it.
        iterations: How long a training is, in words.
        tables: The tables of the numbers.
        drawings: The figures.
        notes: What else is to be known.
    """

    key: str
    title: str
    figure: FigureRuns
    judgements: list[tuple[Judgement, list[Finding]]]
    iterations: str
    tables: Sequence[TextTable] = ()
    drawings: Sequence[Drawing] = ()
    notes: Sequence[str] = ()

    @property
    def paper_points(self) -> list[PaperPoint]:
        """The paper's numbers, each once."""
        found = [
            finding.paper_point
            for _, findings in self.judgements
            for finding in findings
            if finding.paper_point
        ]
        return list(dict.fromkeys(found))


def sections_of(
    figures: Sequence[FigureRuns],
    judged: Sequence[Judgement],
    out: pathlib.Path,
) -> list[Section]:
    """Returns a section for each figure, drawn by a process a core.

    Args:
        figures: The runs.
        judged: What they say to the claims.
        out: The folder of the page, from which its links go.
    """
    sections = []
    keys: dict[str, int] = {}
    for figure in figures:
        name = figure.plan["name"]
        keys[name] = keys.get(name, 0) + 1
        key = name if keys[name] == 1 else f"{name}-{keys[name]}"
        title = TITLES.get(re.sub(r"_conv\d$", "", name), name)
        section = Section(
            key=key,
            title=f"{figure.network}: {title}",
            figure=figure,
            judgements=_judgements(figure, judged),
            iterations=f"{figure.plan['recipe']['steps']:,}",
        )
        sections.append(section)
    return _drawn(sections, out)


def _judgements(
    figure: FigureRuns, judged: Sequence[Judgement]
) -> list[tuple[Judgement, list[Finding]]]:
    """Returns the judgements that rest on a figure, each finding once."""
    own = []
    seen: set[tuple] = set()
    for judgement in [o for j in judged for o in (j, *j.others)]:
        findings = [
            f
            for f in judgement.findings
            if f.effect
            and f.figures[0] is figure
            and (judgement.claim.key, f.comparison) not in seen
        ]
        seen |= {(judgement.claim.key, f.comparison) for f in findings}
        if findings:
            own.append((judgement, findings))
    return own


class Part(NamedTuple):
    """A part of what a section shows.

    Args:
        tables: Tables of the numbers.
        drawings: Figures.
        notes: What could not be shown.
    """

    tables: Sequence[TextTable] = ()
    drawings: Sequence[Drawing] = ()
    notes: Sequence[str] = ()


Maker = Callable[[FigureRuns, Sequence[PaperPoint], pathlib.Path], Part]
"""From runs, the paper's numbers and the page's folder to a part."""


def links(figure: FigureRuns, out: pathlib.Path) -> Link:
    """Returns the links from a page to the runs that points are from.

    Args:
        figure: The runs.
        out: The folder of the page.
    """
    folders: dict[tuple[str, int], pathlib.Path] = {}
    for (arm, _, number), folder in figure.folders.items():
        for name in (arm, rounds.line_of(arm)):
            folders.setdefault((name, number), folder)
    return lambda line, number: relative(folders[line, number], out)


def papers_figures(
    figure: FigureRuns,
    paper_points: Sequence[PaperPoint],
    out: pathlib.Path,
) -> Part:
    """Returns the papers' figures and tables, from our runs."""
    shown = SHOWN[figure.kind]
    drawn = shown.figure_drawings(figure, paper_points, links(figure, out))
    return Part(shown.figure_tables(figure), render.drawings(drawn))


def extras(
    figure: FigureRuns,
    paper_points: Sequence[PaperPoint],
    out: pathlib.Path,
) -> Part:
    """Returns the figures that go beyond the papers."""
    del paper_points, out
    drawn = SHOWN[figure.kind].figure_extras(figure)
    return Part(drawings=render.drawings(drawn))


MAKERS: tuple[Maker, ...] = (papers_figures, extras)


def _drawn(sections: Sequence[Section], out: pathlib.Path) -> list[Section]:
    """Returns sections with all their parts."""
    matplotlib.use("agg")  # before the processes part
    # A section has two tasks, and the large ones come first: both cores have
    # work to the end.
    order = sorted(
        range(len(sections)), key=lambda i: -len(sections[i].figure.lines)
    )
    places = [(maker, i) for maker in MAKERS for i in order]
    tasks = [
        (maker, sections[i].figure, sections[i].paper_points, out)
        for maker, i in places
    ]
    processes = min(len(tasks), os.cpu_count() or 1)
    if processes > 1 and "fork" in multiprocessing.get_all_start_methods():
        # Forked: a new interpreter would have to import matplotlib again.
        context = multiprocessing.get_context("fork")
        with concurrent.futures.ProcessPoolExecutor(
            processes, context, initializer=gc.disable
        ) as pool:
            made = list(pool.map(_make, *zip(*tasks, strict=True)))
    else:
        made = [_make(*task) for task in tasks]
    whole = list(sections)
    for (_, i), part in zip(places, made, strict=True):
        whole[i] = whole[i]._replace(
            tables=[*whole[i].tables, *part.tables],
            drawings=[*whole[i].drawings, *part.drawings],
            notes=[*whole[i].notes, *part.notes],
        )
    return whole


def _make(
    maker: Maker,
    figure: FigureRuns,
    paper_points: Sequence[PaperPoint],
    out: pathlib.Path,
) -> Part:
    """Makes a part of a section, or says which file is damaged."""
    try:
        return maker(figure, paper_points, out)
    except DamagedFile as error:
        return Part(notes=[str(error)])
