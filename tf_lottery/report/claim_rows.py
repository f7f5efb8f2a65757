"""The table of claims: what `claims.csv` holds."""

import math
from typing import NamedTuple

from tf_lottery.report.verdicts import wording
from tf_lottery.report.verdicts.judge import Judgement

UNSHOWN = "No experiment of this package shows it yet."


class ClaimRow(NamedTuple):
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
    margin: str = ""
    rerun: str = ""
    p: str = ""
    p_of_claim: str = ""
    p_corrected: str = ""
    shown: str = ""
    note: str = ""


def rows_of(judgement: Judgement) -> list[ClaimRow]:
    """Returns a row for each comparison of a claim; one if it has none."""
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
        return [ClaimRow(*about, judgement.verdict, missing=UNSHOWN)]
    return [
        ClaimRow(
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
            wording.margin(f.comparison),
            wording.rerun(f.comparison),
            _p(f.p),
            _p(judgement.p),
            _p(judgement.corrected),
            wording.where(f),
            f.note,
        )
        for f in judgement.findings
    ]


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
