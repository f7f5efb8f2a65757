"""What Zhou et al. 2019, "Deconstructing Lottery Tickets", say.

Mask criteria (figure 3), init variants (figure 4), mask-0 actions (figure 5),
supermasks by criteria (figure 6) and learned ones (table 1).
"""

from collections.abc import Iterator
from typing import NamedTuple

from tf_lottery.report.claims import (
    BEST,
    CHANCE,
    DENSE,
    END,
    INFINITE,
    Claim,
    Comparison,
    Place,
    Side,
    at,
    between,
)

PAPER = "Zhou et al. 2019"
AT_11 = at(10.83, 10)
NETWORKS = ("LeNet", "Conv-2", "Conv-4", "Conv-6")


def _claim(
    key: str,
    where: str,
    statement: str,
    source: str,
    *comparisons: Comparison,
    network: str = "LeNet",
    note: str = "",
) -> Claim:
    return Claim(
        key, PAPER, where, statement, network, source, comparisons, note
    )


def _criterion(arm: str, place: Place = AT_11) -> Side:
    return Side("mask_criteria", arm, place)


def _variant(arm: str, place: Place) -> Side:
    return Side("init_variants", arm, place)


def _action(arm: str, place: Place) -> Side:
    return Side("mask0_actions", arm, place)


def _heuristic(arm: str, place: Place = BEST) -> Side:
    return Side("heuristic_supermask", arm, place)


def _learned(arm: str, network: str | None = None) -> Side:
    return Side("supermask", arm, END, network)


def _beats(left: str, right: str) -> Comparison:
    return Comparison(_criterion(left), _criterion(right))


CRITERIA = (
    _claim(
        "Z1",
        "section 2, figure 3",
        "With about 10 % of the weights, large_final and magnitude_increase "
        "are better than random, and random is better than small_final.",
        "notes",
        _beats("large_final", "random"),
        _beats("magnitude_increase", "random"),
        _beats("random", "small_final"),
    ),
    _claim(
        "Z2",
        "section 2, figure 3",
        "Criteria that keep what became large are good; each beats its "
        "opposite, and movement beats random.",
        "notes",
        _beats("large_final", "small_final"),
        _beats("large_init_large_final", "small_init_small_final"),
        _beats("movement", "random"),
    ),
    _claim(
        "Z3",
        "section 2, figure 3",
        "magnitude_increase is as good as large_final or a bit better.",
        "notes",
        Comparison(
            _criterion("magnitude_increase", between(3, 60)),
            _criterion("large_final", between(3, 60)),
            expect="=",
            size=(-0.2, INFINITE),
        ),
    ),
    _claim(
        "Z4",
        "section 2, figure 3",
        "large_init is a poor criterion, about as good as random.",
        "notes",
        _beats("large_final", "large_init"),
        Comparison(
            _criterion("large_init"),
            _criterion("random"),
            expect="=",
            size=(-0.5, 0.5),
        ),
    ),
    _claim(
        "Z5",
        "section 1",
        "Networks with 10 to 50 % of the weights often outperform the dense "
        "one.",
        "quoted",
        Comparison(
            _criterion("large_final", between(10, 50)),
            _criterion("large_final", DENSE),
        ),
    ),
    _claim(
        "Z6",
        "section 1",
        "Networks with 0.5 to 5 % of the weights are no worse than the dense "
        "one.",
        "quoted",
        Comparison(
            _criterion("large_final", between(0.45, 5)),
            _criterion("large_final", DENSE),
            expect="=",
            size=(-0.3, INFINITE),
        ),
    ),
    _claim(
        "Z7",
        "figure S1",
        "Criteria that train to better networks also learn faster: "
        "large_final stops earlier than random.",
        "recalled",
        Comparison(
            _criterion("large_final"),
            _criterion("random"),
            metric="stop",
            expect="<",
            form="ratio",
        ),
    ),
)

SMALL = between(0, 22)
MOST = between(3, 60)
SIGNS = (
    _claim(
        "Z8",
        "section 4, figure 4",
        "Signs matter: constants with the weights' signs are better than "
        "constants with shuffled ones, with 20 % of the weights or less.",
        "abstract",
        Comparison(
            _variant("constant, same sign", SMALL), _variant("constant", SMALL)
        ),
    ),
    _claim(
        "Z9",
        "section 4, figure 4",
        "Every variant that keeps the signs is about as good as rewinding.",
        "abstract",
        *(
            Comparison(
                _variant(f"{arm}, same sign", MOST),
                _variant("rewind", MOST),
                expect="=",
                size=(-0.3, 0.3),
            )
            for arm in ("constant", "reshuffle", "reinit")
        ),
    ),
    _claim(
        "Z10",
        "section 4, figure 4",
        "Every variant that ignores the signs is clearly worse than rewinding.",
        "abstract",
        *(
            Comparison(
                _variant("rewind", SMALL),
                _variant(arm, SMALL),
                size=(0.3, INFINITE),
            )
            for arm in ("constant", "reshuffle", "reinit")
        ),
    ),
)

HIGHLY_PRUNED = between(0.3, 4)
HARDLY_PRUNED = between(10, 80)
ZEROS = (
    *(
        _claim(
            f"Z11-{network[-1]}",
            "section 3, figure 5",
            "With 10 to 80 %, setting pruned weights to zero is better than "
            "freezing them at their initial values.",
            "notes",
            Comparison(
                _action("zero", HARDLY_PRUNED),
                _action("freeze at init", HARDLY_PRUNED),
            ),
            network=network,
        )
        for network in NETWORKS[1:]
    ),
    _claim(
        "Z12",
        "section 3, figure 5",
        "With very few weights, freezing pruned ones at their initial values "
        "can be better than zero.",
        "recalled",
        Comparison(
            _action("freeze at init", between(0.3, 2)),
            _action("zero", between(0.3, 2)),
        ),
    ),
    _claim(
        "Z13",
        "section 3, figure 5",
        "Variant 1 (zero only what moved toward zero) is like zero with many "
        "weights left, and better with few.",
        "notes",
        Comparison(
            _action("variant 1", HARDLY_PRUNED),
            _action("zero", HARDLY_PRUNED),
            expect="=",
            size=(-0.2, 0.2),
        ),
        Comparison(
            _action("variant 1", HIGHLY_PRUNED), _action("zero", HIGHLY_PRUNED)
        ),
    ),
    _claim(
        "Z14",
        "section 3, figure 5",
        "Variant 2 (kept weights that moved toward zero start there, too) is "
        "better still.",
        "notes",
        Comparison(
            _action("variant 2", HIGHLY_PRUNED),
            _action("variant 1", HIGHLY_PRUNED),
        ),
    ),
)

FEW = between(0.3, 60)
HEURISTICS = (
    _claim(
        "Z15",
        "section 5, figure 6",
        "Masking is training: the large_final mask alone makes an untrained "
        "network better than chance, up to about 40 %.",
        "notes",
        Comparison(
            _heuristic("large_final"), CHANCE, paper=40.0, size=(25.0, 55.0)
        ),
    ),
    _claim(
        "Z16",
        "section 5, figure 6",
        "Of the criteria, large_final_same_sign gives the best supermasks.",
        "notes",
        *(
            Comparison(_heuristic("large_final_same_sign"), _heuristic(other))
            for other in (
                "large_final",
                "magnitude_increase",
                "movement",
                "large_init_large_final",
            )
        ),
    ),
    _claim(
        "Z17",
        "section 5, figure 6",
        "Masks by random, small_final, small_init, small_init_small_final and "
        "large_final_diff_sign leave an untrained network at chance.",
        "notes",
        *(
            Comparison(
                _heuristic(arm, FEW),
                CHANCE,
                expect="=",
                paper=CHANCE,
                size=(5.0, 15.0),
            )
            for arm in (
                "random",
                "small_final",
                "small_init",
                "small_init_small_final",
                "large_final_diff_sign",
            )
        ),
    ),
)


class _Row(NamedTuple):
    """Table 1: test accuracy of supermasks, in per cent.

    Args:
        heuristic: By large_final_same_sign, on initial weights and on signed
            constants.
        learned: On initial weights, signed constants, and both with DWR.
        trained: Of the network with trained weights.
        sure: Which of the seven the notes or the abstract have.
        margin: How far from the paper's number ours may be, in points.
    """

    heuristic: tuple[float, float]
    learned: tuple[float, float, float, float]
    trained: float
    sure: dict[int, str]
    margin: float


TABLE_1 = {
    "LeNet": _Row(
        (79.3, 86.3),
        (95.3, 96.4, 97.8, 98.0),
        97.7,
        {1: "abstract", 2: "notes", 5: "notes"},
        1.0,
    ),
    "Conv-2": _Row(
        (22.3, 37.4), (64.4, 66.3, 65.0, 66.0), 69.2, {5: "notes"}, 3.0
    ),
    "Conv-4": _Row(
        (23.7, 39.7),
        (65.4, 66.2, 71.7, 72.5),
        75.4,
        {2: "notes", 5: "notes"},
        3.0,
    ),
    "Conv-6": _Row(
        (24.0, 41.0),
        (65.3, 65.4, 76.3, 76.5),
        78.3,
        {1: "abstract", 5: "notes"},
        3.0,
    ),
}
ARMS = ("init", "signed constant", "DWR init", "DWR signed constant")
BY_SIGN = ("large_final_same_sign", "large_final_same_sign SC")


def _table_1(network: str, row: _Row) -> Iterator[Claim]:
    def claim(
        number: int, statement: str, source: str, *comparisons: Comparison
    ) -> Claim:
        key = f"T1-{network}-{number}"
        return _claim(
            key, "table 1", statement, source, *comparisons, network=network
        )

    on = ("initial weights", "signed constants")
    least = 80.0 if network == "LeNet" else 30.0
    low = (row.heuristic[0] * 0.8, least)
    for i, (arm, value) in enumerate(zip(BY_SIGN, row.heuristic, strict=True)):
        yield claim(
            i + 1,
            f"A mask by large_final_same_sign on {on[i]}, nothing trained, "
            f"has up to {value} %.",
            row.sure.get(i, "recalled"),
            Comparison(
                _heuristic(arm), CHANCE, paper=value, size=(low[i], INFINITE)
            ),
        )
    learned = zip(ARMS, row.learned, strict=True)
    for i, (arm, value) in enumerate(learned, 2):
        rescaled = " with rescaling (DWR)" if i > 3 else ""
        yield claim(
            i + 1,
            f"A learned mask on {on[i % 2]}{rescaled} has {value} %.",
            row.sure.get(i, "recalled"),
            Comparison(
                _learned(arm),
                CHANCE,
                paper=value,
                size=(value - row.margin, value + row.margin),
            ),
        )
    yield claim(
        7,
        f"Trained weights have {row.trained} %.",
        "recalled",
        Comparison(
            _criterion("large_final", DENSE),
            CHANCE,
            paper=row.trained,
            size=(row.trained - row.margin, row.trained + row.margin),
        ),
    )
    pairs = ((_heuristic(BY_SIGN[1]), _heuristic(BY_SIGN[0])),)
    yield claim(
        8,
        "Signed constants are at least as good as initial weights, under "
        "masks by criterion and learned ones.",
        "notes",
        *(Comparison(left, right) for left, right in pairs),
        *(
            Comparison(
                _learned(signed),
                _learned(plain),
                expect="=",
                paper=row.learned[i + 1] - row.learned[i],
                size=(-0.3, INFINITE),
            )
            for i, plain, signed in ((0, *ARMS[:2]), (2, *ARMS[2:]))
        ),
    )
    yield claim(
        9,
        "Learned masks are far better than those by a criterion.",
        "notes",
        *(
            Comparison(
                _learned(arm),
                _heuristic(by_sign),
                paper=row.learned[i] - row.heuristic[i],
                size=(5.0, INFINITE),
            )
            for i, (arm, by_sign) in enumerate(
                zip(ARMS[:2], BY_SIGN, strict=True)
            )
        ),
    )


LEARNED = (
    _claim(
        "Z18",
        "table 1",
        "With rescaling and signed constants a learned mask is as good as "
        "trained weights, or better.",
        "notes",
        Comparison(
            _learned("DWR signed constant"),
            _criterion("large_final", DENSE),
            expect="=",
            paper=0.3,
            size=(-0.3, INFINITE),
        ),
    ),
    _claim(
        "Z19",
        "table 1",
        "Rescaling helps the deeper networks most: much on Conv-4 and Conv-6, "
        "hardly on Conv-2.",
        "notes",
        *(
            Comparison(
                _learned("DWR signed constant", network),
                _learned("signed constant", network),
                paper=paper,
                size=size,
            )
            for network, paper, size in (
                ("Conv-6", 11.1, (3.0, INFINITE)),
                ("Conv-4", 6.3, (3.0, INFINITE)),
            )
        ),
        Comparison(
            _learned("DWR signed constant", "Conv-2"),
            _learned("signed constant", "Conv-2"),
            expect="=",
            paper=-0.3,
            size=(-2.0, 2.0),
        ),
        network="Conv-6",
    ),
    _claim(
        "Z20",
        "section 6",
        "Learned masks keep between 11 and 93 % of the weights.",
        "notes",
        *(
            Comparison(
                _learned(arm),
                0.0,
                metric="kept",
                expect="=",
                size=(11.0, 93.0),
            )
            for arm in ARMS
        ),
    ),
)

CLAIMS = (
    *CRITERIA,
    *SIGNS,
    *ZEROS,
    *HEURISTICS,
    *(
        claim
        for network, row in TABLE_1.items()
        for claim in _table_1(network, row)
    ),
    *LEARNED,
)
