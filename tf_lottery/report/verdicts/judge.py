"""Verdicts: claims held against our runs.

A claim of several comparisons is as good as the worst of its `findings`. Where
runs of several settings speak to it, those closest to the paper's count, and
what the others say is mentioned. What is reproduced must be so after Holm's
correction for all claims of its paper.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tf_lottery.report.claims.catalogue import EXPERIMENTS
from tf_lottery.report.claims.claim import Claim, Side
from tf_lottery.report.tables import rounds
from tf_lottery.report.verdicts.findings import Finding, find
from tf_lottery.report.verdicts.intervals import holm
from tf_lottery.report.verdicts.missing_runs import SEEDS_NEEDED, Need
from tf_lottery.report.verdicts.rules import (
    CANNOT,
    INCONCLUSIVE,
    NOT_TESTED,
    REPRODUCED,
    SIGNIFICANT,
    TOO_FEW,
    WORST_FIRST,
)
from tf_lottery.report.verdicts.run_collection import FigureRuns


class Judgement(NamedTuple):
    """What our runs say to a claim.

    Args:
        claim: The claim.
        verdict: One of `rules.VERDICTS`.
        findings: What they say to each comparison.
        p: The largest of the findings; None if one has none.
        corrected: The same after Holm's correction.
        others: What runs with other settings say to the same claim.
    """

    claim: Claim
    verdict: str
    findings: tuple[Finding, ...]
    p: float | None = None
    corrected: float | None = None
    others: tuple["Judgement", ...] = ()

    @property
    def figures(self) -> list[FigureRuns]:
        """The figures that the findings are from, each once."""
        found: list[FigureRuns] = []
        for figure in (f for x in self.findings for f in x.figures):
            if not any(figure is other for other in found):
                found.append(figure)
        return found

    @property
    def deviations(self) -> list[str]:
        """How their runs differ from what the paper did."""
        of_all = (d for figure in self.figures for d in figure.deviations)
        return list(dict.fromkeys(of_all))


def judge(
    claims: Iterable[Claim], figures: Sequence[FigureRuns]
) -> list[Judgement]:
    """Returns a judgement for each claim, in their order."""
    judged = [_judge(claim, figures) for claim in claims]
    papers: dict[str, list[int]] = {}
    for i, judgement in enumerate(judged):
        if judgement.p is not None:
            papers.setdefault(judgement.claim.paper, []).append(i)
    for places in papers.values():
        ps = [p for i in places if (p := judged[i].p) is not None]
        for i, corrected in zip(places, holm(ps), strict=True):
            judged[i] = _corrected(judged[i], corrected)
    return judged


def _corrected(judgement: Judgement, corrected: float) -> Judgement:
    verdict = judgement.verdict
    if verdict == REPRODUCED and corrected > SIGNIFICANT:
        verdict = INCONCLUSIVE
    return judgement._replace(verdict=verdict, corrected=corrected)


def _judge(claim: Claim, figures: Sequence[FigureRuns]) -> Judgement:
    needs: dict[Need, set[str]] = {}
    for comparison in claim.comparisons:
        for side in (comparison.left, comparison.right):
            if isinstance(side, Side):
                need = side.network or claim.network, side.experiment
                needs.setdefault(need, set()).add(side.arm)
    options = [_candidates(n, arms, figures) for n, arms in needs.items()]
    best = [found[0] for found in options]
    # Other settings, one need at a time.
    combinations = [best] + [
        [*best[:i], other, *best[i + 1 :]]
        for i, found in enumerate(options)
        for other in found[1:]
    ]
    judged = []
    for combination in combinations:
        chosen = dict(zip(needs, combination, strict=True))
        findings = tuple(
            find(comparison, claim.network, chosen)
            for comparison in claim.comparisons
        )
        if not findings:
            return Judgement(claim, NOT_TESTED, ())
        verdict = min((f.verdict for f in findings), key=WORST_FIRST.index)
        ps = [f.p for f in findings if f.p is not None]
        p = max(ps) if len(ps) == len(findings) else None
        judged.append(Judgement(claim, verdict, findings, p))
    # Those count that are closest to the paper's protocol, of those whose runs
    # are enough for a verdict and may give one.
    judged.sort(key=lambda j: (j.verdict == TOO_FEW, j.verdict == CANNOT))
    return judged[0]._replace(others=tuple(judged[1:]))


def _candidates(
    need: Need, arms: set[str], figures: Sequence[FigureRuns]
) -> list[FigureRuns | None]:
    """Returns the figures that have most of what is needed, best first.

    The best have enough seeds, then are closest to the paper's protocol, then
    have the longest trainings, then most seeds. If there is none: None.
    """
    network, experiment = need
    found: dict[int, list[FigureRuns]] = {}
    for figure in figures:
        if (figure.network, figure.kind) == (network, EXPERIMENTS[experiment]):
            there = arms & {rounds.line_of(arm) for arm in figure.arms}
            if there:
                found.setdefault(len(there), []).append(figure)

    def order(figure: FigureRuns) -> tuple:
        return (
            len(figure.seeds) < SEEDS_NEEDED,
            figure.method_deviates,
            -figure.plan["recipe"]["steps"],
            -len(figure.seeds),
        )

    return [*sorted(found[max(found)], key=order)] if found else [None]
