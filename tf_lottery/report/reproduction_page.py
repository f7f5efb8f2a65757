"""The reproduction report: claims, figures and tables of many runs.

    index.html      everything, self-contained
    results.md      the same in Markdown, for a README
    claims.csv      a line a comparison
    figures/        as SVG and PNG

It is a function of the runs' files: the same runs give the same bytes, but
for what the version of matplotlib decides.
"""

import concurrent.futures
import gc
import math
import multiprocessing
import os
import pathlib
import re
import urllib.parse
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jinja2
import matplotlib

from tf_lottery.foundation.files import storing, write_atomically
from tf_lottery.report.claims import frankle2019, zhou2019, zhou2019_table1
from tf_lottery.report.claims.catalogue import GIN_FILES, TITLES
from tf_lottery.report.claims.claim import SOURCES
from tf_lottery.report.claims.paper_points import Mark
from tf_lottery.report.plots import (
    curves,
    mask_plots,
    render,
    style,
    supermask_plots,
)
from tf_lottery.report.tables import csv_tables, rounds
from tf_lottery.report.verdicts import judge, run_collection, wording
from tf_lottery.report.verdicts.judge import Finding, Judgement
from tf_lottery.report.verdicts.run_collection import Figure

CLAIMS = (*frankle2019.CLAIMS, *zhou2019.CLAIMS, *zhou2019_table1.CLAIMS)

UNSHOWN = "No experiment of this package shows it yet."

WIDE = 1.3 * style.WIDTH
"""Inches."""


class Picture(NamedTuple):
    """A drawn figure.

    Args:
        name: Of its files.
        svg: One of them.
        png: The other one.
        caption: What it shows.
        wide: Whether it takes the whole width of a page.
    """

    name: str
    svg: bytes
    png: bytes
    caption: str
    wide: bool


class Section(NamedTuple):
    """What a page says of one figure of the papers.

    Args:
        key: Anchor, and beginning of the names of files.
        title: Of the figure.
        figure: The runs.
        judgements: That rest on it, with their findings of it.
        pictures: Drawn.
        tables: Title, header and rows of each.
        iterations: Of a training, in words.
        notes: What else is to be known.
    """

    key: str
    title: str
    figure: Figure
    judgements: list[tuple[Judgement, list[Finding]]]
    pictures: list[Picture]
    tables: list[tuple]
    iterations: str
    notes: list[str]


class Row(NamedTuple):
    """A line of `claims.csv`: one comparison of a claim."""

    claim: str
    paper: str
    where: str
    network: str
    source: str
    statement: str
    verdict: str
    comparison: str = ""
    comparisons_verdict: str = ""
    papers_number: str = ""
    counts_from_to: str = ""
    ours: str = ""
    interval: str = ""
    seeds: int = 0
    iterations: int = 0
    minutes: str = ""
    deviations: str = ""
    missing: str = ""
    command: str = ""


class Built(NamedTuple):
    """What a report came to.

    Args:
        page: Path of index.html.
        counts: Claims by verdict.
        left_out: What was not used, and why.
        under_way: How many runs are not complete.
    """

    page: pathlib.Path
    counts: dict[str, int]
    left_out: list[str]
    under_way: int


def build(
    paths: Sequence[pathlib.Path], out: pathlib.Path, refresh: int | None = None
) -> Built:
    """Builds the report of the runs in some folders.

    Args:
        paths: Folders of runs, or folders of such folders.
        out: Where it goes; is made if it is not there.
        refresh: Seconds after which a browser looks again.

    Raises:
        StorageError: A file could not be written.
    """
    skip = (out, out / "figures", out / "tensorboard")
    runs, left_out = run_collection.read_all(paths, skip)
    found, notes = run_collection.merge(runs)
    left_out += notes
    judged = judge.judge(CLAIMS, found)
    sections = _sections(found, judged, out)
    counts = {
        verdict: sum(j.verdict == verdict for j in judged)
        for verdict in judge.VERDICTS
    }
    with storing(out):
        (out / "figures").mkdir(parents=True, exist_ok=True)
    for section in sections:
        for picture in section.pictures:
            path = out / "figures" / f"{section.key}_{picture.name}"
            write_atomically(path.with_suffix(".svg"), picture.svg)
            write_atomically(path.with_suffix(".png"), picture.png)
    facts: dict[str, Any] = {
        "sections": sections,
        "judged": judged,
        "counts": counts,
        "runs": runs,
        "left_out": left_out,
        "under_way": [run for run in runs if not run.complete],
        "gin_files": dict.fromkeys(GIN_FILES.values()),
        "refresh": refresh,
        "unshown": UNSHOWN,
        "sources": SOURCES,
        "where": _Where(sections, out),
    }
    page = out / "index.html"
    for name in ("index.html", "results.md"):
        text = _environment().get_template(name).render(facts)
        write_atomically(out / name, text.encode())
    table = csv_tables.to_csv(Row, [row for j in judged for row in _rows(j)])
    write_atomically(out / "claims.csv", table.encode())
    return Built(page, counts, left_out, len(facts["under_way"]))


class _Where:
    """Where things are, seen from the page."""

    def __init__(self, sections: Sequence[Section], out: pathlib.Path) -> None:
        self._sections = sections
        self._out = out

    def section(self, finding: Finding) -> str:
        """Returns the anchor of the section that a finding is from."""
        for section in self._sections:
            if section.figure in finding.figures[:1]:
                return section.key
        return ""

    def folder(self, folder: pathlib.Path) -> str:
        """Returns a link to a run's folder."""
        return relative(folder, self._out)


def relative(folder: pathlib.Path, out: pathlib.Path) -> str:
    """Returns a link from the report to a folder."""
    path = pathlib.PurePath(os.path.relpath(folder, out)).as_posix()
    return urllib.parse.quote(path) + "/"


def _sections(
    found: Sequence[Figure], judged: Sequence[Judgement], out: pathlib.Path
) -> list[Section]:
    """Returns a section for each figure, drawn by a process a core."""
    matplotlib.use("agg")  # before the processes part
    sections = []
    keys: dict[str, int] = {}
    for figure in found:
        name = figure.plan["name"]
        keys[name] = keys.get(name, 0) + 1
        key = name if keys[name] == 1 else f"{name}-{keys[name]}"
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
        sections.append(_section(key, figure, own))
    # The figures of one section are two tasks, and the large ones come first:
    # both cores have work to the end.
    tasks = [
        (part, s.figure, _marks(s), out)
        for part in (_draw_papers, _draw_beyond)
        for s in sorted(sections, key=lambda s: -len(s.figure.lines))
    ]
    processes = min(len(tasks), os.cpu_count() or 1)
    if processes > 1 and "fork" in multiprocessing.get_all_start_methods():
        # Forked: a new interpreter would have to import matplotlib again.
        context = multiprocessing.get_context("fork")
        with concurrent.futures.ProcessPoolExecutor(
            processes, context, initializer=gc.disable
        ) as pool:
            drawn = list(pool.map(_render, *zip(*tasks, strict=True)))
    else:
        drawn = [_render(*task) for task in tasks]
    done: dict[int, tuple[list[Picture], list[str]]] = {}
    for (_, figure, *_), (pictures, notes) in zip(tasks, drawn, strict=True):
        before = done.setdefault(id(figure), ([], []))
        before[0].extend(pictures)
        before[1].extend(notes)
    return [
        s._replace(pictures=done[id(s.figure)][0], notes=done[id(s.figure)][1])
        for s in sections
    ]


def _section(
    key: str,
    figure: Figure,
    judgements: list[tuple[Judgement, list[Finding]]],
) -> Section:
    name = re.sub(r"_conv\d$", "", figure.plan["name"])
    steps = figure.plan["recipe"]["steps"]
    if figure.kind == "supermask":
        shown = []
    else:
        shown = rounds.tables(figure.lines, figure.arms)
    return Section(
        key=key,
        title=f"{figure.network}: {TITLES.get(name, figure.plan['name'])}",
        figure=figure,
        judgements=judgements,
        pictures=[],
        tables=shown,
        iterations=f"{steps:,}",
        notes=[],
    )


def _marks(section: Section) -> list[Mark]:
    """Returns the paper's numbers, each once."""
    found = [
        finding.mark
        for _, findings in section.judgements
        for finding in findings
        if finding.mark
    ]
    return list(dict.fromkeys(found))


Drawn = dict[str, tuple[matplotlib.figure.Figure, str]]


def _render(
    part: Callable[..., Drawn],
    figure: Figure,
    marks: Sequence[Mark],
    out: pathlib.Path,
) -> tuple[list[Picture], list[str]]:
    """Draws a part of a section; notes say what could not be drawn."""
    try:
        drawn = part(figure, marks, out)
    except csv_tables.DamagedFile as error:
        return [], [str(error)]
    return [
        Picture(
            name,
            render.render(picture, "svg"),
            render.render(picture, "png"),
            caption,
            picture.get_size_inches()[0] > WIDE,
        )
        for name, (picture, caption) in drawn.items()
    ], []


def _draw_papers(
    figure: Figure, marks: Sequence[Mark], out: pathlib.Path
) -> Drawn:
    """Draws the papers' figures from our runs."""
    folders: dict[tuple[str, int], pathlib.Path] = {}
    for (arm, _, number), folder in figure.folders.items():
        for name in (arm, rounds.line_of(arm)):
            folders.setdefault((name, number), folder)

    def link(line: str, number: int) -> str:
        return relative(folders[line, number], out)

    if figure.kind == "supermask":
        return supermask_plots.draw_table(
            figure.lines, figure.arms, marks, link
        )
    return curves.draw(figure.lines, figure.arms, marks, link)


def _draw_beyond(
    figure: Figure, marks: Sequence[Mark], out: pathlib.Path
) -> Drawn:
    """Draws what goes beyond the papers, of the run with the most seeds."""
    del marks, out
    if figure.kind == "supermask":
        return {}
    run = max(
        figure.runs,
        key=lambda r: (r.complete, r.plan["seeds"], len(r.plan["arms"])),
    )
    return mask_plots.draw(run.details(), run.plan["arms"])


def _rows(judgement: Judgement) -> list[Row]:
    claim = judgement.claim
    about = (
        claim.key,
        claim.paper,
        claim.where,
        claim.network,
        claim.source,
        claim.statement,
    )
    deviations = "; ".join(judgement.deviations)
    if not judgement.findings:
        return [Row(*about, judgement.verdict, missing=UNSHOWN)]
    return [
        Row(
            *about,
            judgement.verdict,
            wording.comparison(f.comparison),
            f.verdict,
            wording.paper(f.comparison),
            wording.expected(f.comparison),
            wording.number(f.comparison, f.effect.mean) if f.effect else "",
            wording.interval(f.comparison, f.effect),
            f.seeds,
            f.iterations,
            "" if math.isnan(f.minutes) else f"{f.minutes:.1f}",
            deviations,
            f.missing,
            f.command,
        )
        for f in judgement.findings
    ]


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tf_lottery.report"),
        autoescape=jinja2.select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    named: dict[str, Any] = {
        "wording": wording,
        "inline": render.inline,
        "verdicts": judge.VERDICTS,
    }
    environment.globals.update(named)
    return environment
