"""The claims are about arms and rounds that the gin files have."""

import pytest
from conftest import ROOT

from tf_lottery.report.claims.catalogue import (
    EXPERIMENTS,
    FIGURES,
    GIN_FILES,
    ITERATIONS,
    TITLES,
)
from tf_lottery.report.claims.claim import END, SOURCES, Side
from tf_lottery.report.claims.papers import CLAIMS
from tf_lottery.report.verdicts.side_values import METRICS, SURVIVORS

SIDES = {
    (claim.key, side): (side.network or claim.network, side)
    for claim in CLAIMS
    for comparison in claim.comparisons
    for side in (comparison.left, comparison.right)
    if isinstance(side, Side)
}
# Sizes of kernels and the fraction that a round keeps, layer by layer.
LAYERS = {
    "LeNet": [(235_200, 0.8), (30_000, 0.8), (1_000, 0.9)],
    "Conv-2": [(38_592, 0.9), (4_259_840, 0.8), (2_560, 0.9)],
    "Conv-4": [(259_776, 0.9), (2_162_688, 0.8), (2_560, 0.9)],
    "Conv-6": [(1_144_512, 0.85), (1_114_112, 0.8), (2_560, 0.9)],
    "MLP-256-256": [(10_240, 0.8), (65_536, 0.8), (2_560, 0.9)],
}

# Arms whose networks or rates are their own.
OWN_LAYERS = {
    **{
        ("widths", f"{a}-{b}"): [
            *((784 * a, 0.8), (a * b, 0.8), (10 * b, 0.9)),
        ]
        for a, b in ((50, 17), (100, 34), (150, 50), (500, 167), (700, 234))
    },
    **{
        ("prune_rates", f"{percent} % a round"): [
            *((235_200, 1 - percent / 100), (30_000, 1 - percent / 100)),
            (1_000, 1 - percent / 200),
        ]
        for percent in (40, 60)
    },
}


def text_of(path):
    """A gin file with what it includes."""
    text = (ROOT / path).read_text()
    for line in text.splitlines():
        if line.startswith("include"):
            text += text_of(line.split('"')[1])
    return text


def test_every_claim_has_a_name_of_its_own():
    assert len({c.key for c in CLAIMS}) == len(CLAIMS)


def test_every_experiment_has_a_gin_file_that_is_there():
    for network in ITERATIONS:
        own = {name for other, name in GIN_FILES if other == network}
        assert own >= set(FIGURES)
    assert {name for _, name in GIN_FILES} == set(EXPERIMENTS)
    assert set(TITLES) == set(EXPERIMENTS)
    for path in GIN_FILES.values():
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("key", SIDES, ids=str)
def test_the_arms_of_a_claim_are_in_its_gin_file(key):
    network, side = SIDES[key]
    text = text_of(GIN_FILES[network, side.experiment])
    assert f'"{side.arm}"' in text or f'"{side.arm} #1"' in text


@pytest.mark.parametrize("key", SIDES, ids=str)
def test_numbered_rounds_have_as_many_weights_as_the_claim_says(key):
    network, side = SIDES[key]
    if side.place.round is None:
        return
    layers = OWN_LAYERS.get((side.experiment, side.arm), LAYERS[network])
    kept = sum(n * rate**side.place.round for n, rate in layers)
    percent = 100 * kept / sum(n for n, _ in layers)
    if side.place.round:
        assert percent == pytest.approx(side.place.percent, abs=0.01)
    # And no neighbouring round is taken for it.
    assert side.place.low <= percent <= side.place.high
    for other in (side.place.round - 1, side.place.round + 1):
        kept = sum(n * rate**other for n, rate in layers)
        near = 100 * kept / sum(n for n, _ in layers)
        assert not side.place.low <= near <= side.place.high


def test_comparisons_are_well_formed():
    for claim in CLAIMS:
        assert claim.network in LAYERS
        assert claim.source in SOURCES
        assert claim.statement.endswith(".")
        for c in claim.comparisons:
            assert c.metric in {**METRICS, **SURVIVORS}
            assert c.expect in (">", "<", "=", ">=")
            assert c.form in ("difference", "ratio")
            assert c.allowed[0] < c.allowed[1]
            assert (c.margin is None) == c.is_direction
            assert c.reason
            if c.paper is not None:
                assert c.expect in ("<", ">"), claim.key
                more = c.expect == ">"
                assert (c.paper > c.nothing) == more, claim.key
            if isinstance(c.right, Side) and c.right.place != c.left.place:
                # A range is held against itself or against one place.
                assert is_one(c.right.place), claim.key


def is_one(place):
    return place.round is not None or place.best or place == END


def test_one_number_decides_one_claim():
    seen = {}
    for claim in CLAIMS:
        for c in claim.comparisons:
            place = c.left.place
            right = c.right
            if isinstance(right, Side) and right.place == place:
                right = right._replace(place=None)
            # That all of a range is better is another number than how much
            # better one place is: the least of many.
            what = c.metric, c.paper is None
            key = claim.network, c.left._replace(place=None), right, *what
            for other, known in seen.get(key, []):
                assert apart(place, known), (claim.key, other)
            seen.setdefault(key, []).append((claim.key, place))


def apart(one, other):
    """Whether no round of the ladder is in both places."""
    if one.best or other.best:
        return one.best != other.best
    return one.high < other.low or other.high < one.low
