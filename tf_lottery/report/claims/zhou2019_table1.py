"""What Zhou et al. 2019, "Deconstructing Lottery Tickets", have in table 1.

The best supermasks, by criteria and learned, beside trained weights.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tf_lottery.report.claims.claim import (
    CHANCE,
    DENSE,
    END,
    Claim,
    Comparison,
    Side,
)
from tf_lottery.report.claims.zhou2019 import PAPER, heuristic


def _learned(arm: str, network: str | None = None) -> Side:
    return Side("supermask", arm, END, network)


class _Accuracies(NamedTuple):
    """Table 1: test accuracy of supermasks, in per cent.

    Args:
        heuristic: Masks by large_final_same_sign, on initial weights and on
            signed constants.
        learned: Learned masks on initial weights, signed constants, and both
            with DWR.
        trained: The accuracy of the network with trained weights.
        sure: Which of the seven the notes or the abstract have.
    """

    heuristic: tuple[float, float]
    learned: tuple[float, float, float, float]
    trained: float
    sure: dict[int, str]


TABLE_1 = {
    "LeNet": _Accuracies(
        (79.3, 86.0),
        (95.3, 96.4, 97.8, 98.0),
        97.7,
        {1: "abstract", 2: "notes", 5: "notes"},
    ),
    "Conv-2": _Accuracies(
        (22.3, 37.4),
        (64.4, 66.3, 65.0, 66.0),
        69.2,
        {5: "notes"},
    ),
    "Conv-4": _Accuracies(
        (23.7, 39.7),
        (65.4, 66.2, 71.7, 72.5),
        75.4,
        {2: "notes", 5: "notes"},
    ),
    "Conv-6": _Accuracies(
        (24.0, 41.0),
        (65.3, 65.4, 76.3, 76.5),
        78.3,
        {1: "abstract", 5: "notes"},
    ),
}
ARMS = ("init", "signed constant", "DWR init", "DWR signed constant")
BY_SIGN = ("large_final_same_sign", "large_final_same_sign SC")


def _table_1(network: str, column: _Accuracies) -> Iterator[Claim]:
    def claim(
        number: int, statement: str, source: str, *comparisons: Comparison
    ) -> Claim:
        key = f"T1-{network}-{number}"
        return Claim(
            key, PAPER, "table 1", statement, network, source, comparisons
        )

    on = ("initial weights", "signed constants")
    sides = (
        *map(heuristic, BY_SIGN),
        *map(_learned, ARMS),
        Side("lottery_tickets", "winning ticket", DENSE),
    )
    values = (*column.heuristic, *column.learned, column.trained)
    statements = (
        *(
            f"A mask by large_final_same_sign on {what}, nothing trained, has "
            f"up to {value:g} %."
            for what, value in zip(on, column.heuristic, strict=True)
        ),
        *(
            f"A learned mask on {on[i % 2]}"
            f"{' with rescaling (DWR)' if i > 1 else ''} has {value:g} %."
            for i, value in enumerate(column.learned)
        ),
        f"Trained weights have {column.trained:g} %.",
    )
    for i, (side, statement) in enumerate(zip(sides, statements, strict=True)):
        yield claim(
            i + 1,
            statement,
            column.sure.get(i, "recalled"),
            Comparison(side, CHANCE, paper=values[i]),
        )
    yield claim(
        8,
        "Signed constants are at least as good as initial weights, under "
        "masks by criterion and learned ones.",
        "notes",
        Comparison(heuristic(BY_SIGN[1]), heuristic(BY_SIGN[0])),
        *(
            Comparison(
                _learned(signed),
                _learned(plain),
                expect=">=",
            )
            for plain, signed in (ARMS[:2], ARMS[2:])
        ),
    )
    yield claim(
        9,
        "Learned masks are far better than those by a criterion.",
        "notes",
        *(
            Comparison(_learned(arm), heuristic(by_sign))
            for arm, by_sign in zip(ARMS[:2], BY_SIGN, strict=True)
        ),
    )


LEARNED = (
    Claim(
        "Z19",
        PAPER,
        "table 1",
        "With rescaling and signed constants a learned mask is as good as "
        "trained weights, or better.",
        "LeNet",
        "notes",
        (
            Comparison(
                _learned("DWR signed constant"),
                Side("lottery_tickets", "winning ticket", DENSE),
                expect=">=",
            ),
        ),
    ),
    Claim(
        "Z20",
        PAPER,
        "table 1",
        "Rescaling helps the deeper networks most: much on Conv-4 and Conv-6, "
        "hardly on Conv-2.",
        "Conv-6",
        "notes",
        (
            *(
                Comparison(
                    _learned("DWR signed constant", network),
                    _learned("signed constant", network),
                )
                for network in ("Conv-6", "Conv-4")
            ),
            Comparison(
                _learned("DWR signed constant", "Conv-2"),
                _learned("signed constant", "Conv-2"),
                expect="=",
                margin=2.0,
                reason="a third of what the paper has on Conv-4",
            ),
        ),
    ),
)

CLAIMS = (
    *(
        claim
        for network, column in TABLE_1.items()
        for claim in _table_1(network, column)
    ),
    *LEARNED,
)
