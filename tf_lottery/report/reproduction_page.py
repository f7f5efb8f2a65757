"""The reproduction report: claims, figures and tables of many runs.

    index.html      everything, self-contained
    results.md      the same in Markdown, for a README
    claims.csv      a line a comparison
    figures/        as SVG and PNG

It is a function of the runs' files: the same runs give the same bytes, but
for what the version of matplotlib decides.
"""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from tf_lottery.foundation.files import sweep, write_atomically
from tf_lottery.report import forest, pages
from tf_lottery.report.claim_rows import UNSHOWN, ClaimRow, rows_of
from tf_lottery.report.claims.catalogue import GIN_FILES
from tf_lottery.report.claims.claim import SOURCES
from tf_lottery.report.claims.papers import CLAIMS
from tf_lottery.report.links import relative
from tf_lottery.report.sections import Section, sections_of
from tf_lottery.report.tables import csv_tables
from tf_lottery.report.verdicts import judge, read_runs, run_collection
from tf_lottery.report.verdicts.findings import Finding
from tf_lottery.report.verdicts.judge import Judgement
from tf_lottery.report.verdicts.rules import PAGE, VERDICTS


class Built(NamedTuple):
    """What a report came to.

    Args:
        page: The path of `index.html`.
        counts: How many claims have each verdict.
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
        out: The folder of the report; is made if it is not there.
        refresh: Seconds after which a browser looks again.

    Raises:
        StorageError: A file could not be written.
    """
    sweep(out)
    skip = (out, out / "figures", out / "tensorboard")
    runs, left_out = read_runs.read_all(paths, skip)
    found, notes = run_collection.merge(runs)
    left_out += notes
    judged = judge.judge(CLAIMS, found)
    counts = {
        verdict: sum(j.verdict == verdict for j in judged)
        for verdict in VERDICTS
    }
    sections = sections_of(found, judged, out)
    pages.write_drawings(out, [])
    for section in sections:
        pages.write_drawings(out, section.drawings, f"{section.key}_")
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
        "worst_first": sorted(judged, key=lambda j: PAGE.index(j.verdict)),
        "choices": {
            "paper": dict.fromkeys(j.claim.paper for j in judged),
            "network": dict.fromkeys(j.claim.network for j in judged),
            "verdict": VERDICTS,
        },
        "forest": forest.forest,
        "width": forest.WIDTH,
        "distance": _distance,
    }
    for name in ("index.html", "results.md"):
        pages.write_page(out / name, name, facts)
    rows = [row for judgement in judged for row in rows_of(judgement)]
    table = csv_tables.to_csv(ClaimRow, rows)
    write_atomically(out / "claims.csv", table.encode())
    return Built(out / "index.html", counts, left_out, len(facts["under_way"]))


def _distance(judgement: Judgement) -> float:
    """Returns how far a claim's number is from the paper, the largest.

    In the unit of the plot: 1 is from no effect to the paper. 99 without one.
    """
    found = [
        abs(row.mean - row.paper) / forest.WIDTH
        for finding in judgement.findings
        if (row := forest.forest(finding)) and row.paper is not None
    ]
    return max(found, default=99.0)


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
