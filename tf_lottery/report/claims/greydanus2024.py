"""What Greydanus & Kobak 2024, "Scaling Down Deep Learning with MNIST-1D", say.

Section on lottery tickets: an MLP on signals of 40 numbers. The paper has no
validation set, so accuracies are those after the last step.
"""

from typing import Any

from tf_lottery.report.claims.claim import (
    CHANCE,
    DENSE,
    Claim,
    Comparison,
    Place,
    Side,
    at,
    between,
)

PAPER = "Greydanus & Kobak 2024"
AT_8 = at(7.57, 12)
SPARSE = between(2, 5.1)
"""95 % of the weights pruned, or more, as far as its figure is known."""


def _side(arm: str, place: Place) -> Side:
    return Side("mnist1d_tickets", arm, place)


def _claim(key: str, statement: str, *comparisons: Comparison) -> Claim:
    return Claim(
        key,
        PAPER,
        "lottery tickets",
        statement,
        "MLP-256-256",
        "quoted",
        comparisons,
    )


END: dict[str, Any] = {"metric": "accuracy at the end"}
ABOUT: dict[str, Any] = {
    **END,
    "margin": 1.0,
    "reason": "the paper says about, in whole per cent",
}
DENSE_TICKET = _side("winning ticket", DENSE)

CLAIMS = (
    _claim(
        "M1",
        "Tickets with 8 % of the weights have about 70 %.",
        Comparison(_side("winning ticket", AT_8), CHANCE, **ABOUT, paper=70.0),
    ),
    _claim(
        "M2",
        "Tickets with less than 5 % are better than the dense network.",
        Comparison(_side("winning ticket", SPARSE), DENSE_TICKET, **END),
    ),
    _claim(
        "M3",
        "With 8 %, the tickets' masks are better than the dense network also "
        "with new initial weights.",
        Comparison(
            _side("random reinit", AT_8), _side("random reinit", DENSE), **END
        ),
    ),
    _claim(
        "M4",
        "On flipped signals, tickets with 8 % have about 70 %, too.",
        Comparison(_side("ticket, flipped", AT_8), CHANCE, **ABOUT, paper=70.0),
    ),
    _claim(
        "M5",
        "On shuffled signals, tickets with 8 % are worse than the dense "
        "network there.",
        Comparison(
            _side("ticket, shuffled", AT_8),
            _side("ticket, shuffled", DENSE),
            **END,
            expect="<",
        ),
    ),
    _claim(
        "M6",
        "The dense network has about 68 %.",
        Comparison(DENSE_TICKET, CHANCE, **ABOUT, paper=68.0),
    ),
)
