"""What Frankle & Carbin 2019 say of the small convolutional networks.

Section 3, and the appendices that an experiment here can speak to.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tf_lottery.report.claims.claim import (
    BEST,
    DENSE,
    Claim,
    Comparison,
    Place,
    Side,
    at,
    between,
)
from tf_lottery.report.claims.frankle2019 import (
    DENSE_TICKET,
    FASTER,
    PAPER,
    SLOWER,
    reinit,
    ticket,
)


class _Conv(NamedTuple):
    """The numbers of section 3 for one network.

    Args:
        faster: How many times as fast the fastest tickets learn, and where.
        better: By how many points the best are better, and where.
        dropout: The gain by dropout, and that of pruning on top.
    """

    faster: tuple[float, Place]
    better: tuple[float, Place]
    dropout: tuple[float, float]


CONVS = {
    "Conv-2": _Conv((3.5, at(8.81, 11)), (3.4, at(4.57, 14)), (2.1, 2.3)),
    "Conv-4": _Conv((3.5, at(9.18, 12)), (3.5, at(11.06, 11)), (3.0, 4.6)),
    "Conv-6": _Conv((2.5, at(15.29, 10)), (3.3, at(26.61, 7)), (2.4, 4.7)),
}


def _conv(network: str, numbers: _Conv) -> Iterator[Claim]:
    def claim(
        letter: str,
        statement: str,
        source: str,
        *comparisons: Comparison,
        where: str = "section 3, figure 5",
    ) -> Claim:
        return Claim(
            f"{network}-{letter}",
            PAPER,
            where,
            statement,
            network,
            source,
            comparisons,
        )

    times, place = numbers.faster
    yield claim(
        "a",
        f"The fastest tickets, with {place.percent:.3g} % of the weights, "
        f"learn {times} times as fast as the dense network.",
        "quoted",
        Comparison(
            DENSE_TICKET,
            ticket(place),
            **SLOWER,
            paper=times,
        ),
    )
    points, place = numbers.better
    yield claim(
        "b",
        f"The best tickets, with {place.percent:.3g} %, are {points} points "
        "better than the dense network.",
        "quoted",
        Comparison(ticket(place), DENSE_TICKET, paper=points),
    )
    yield claim(
        "c",
        "Tickets with more than 2 % are better than the dense network.",
        "quoted",
        Comparison(ticket(between(2, 99)), DENSE_TICKET),
    )
    yield claim(
        "d",
        "With 2 % or more, training accuracy comes close to 100 %: the gain is "
        "one of generalisation.",
        "quoted",
        Comparison(
            ticket(between(2, 99)),
            100.0,
            metric="training accuracy",
            expect="=",
            margin=0.5,
            reason="99.5 % is about 100 %",
        ),
    )
    yield claim(
        "e",
        "New initial weights learn slower than the dense network from the "
        "first rounds on, and become worse than it.",
        "quoted",
        Comparison(reinit(between(20, 99)), reinit(DENSE), **SLOWER),
        Comparison(reinit(between(2, 18)), reinit(DENSE), expect="<"),
    )
    yield claim(
        "g",
        "A ticket's mask with new initial weights is no better than a random "
        "mask.",
        "quoted",
        Comparison(
            reinit(between(2, 60)),
            Side("lottery_tickets", "random masks", between(2, 60)),
            expect="=",
        ),
        where="appendix E",
    )
    yield claim(
        "i",
        "Tickets of more than 10 to 20 % of the size learn faster than the "
        "dense network.",
        "abstract",
        Comparison(ticket(between(24, 90)), DENSE_TICKET, **FASTER),
        where="abstract",
    )
    plain, pruned = numbers.dropout
    plain_dense = Side("dropout", "winning ticket", DENSE)

    def dropped(place: Place) -> Side:
        return Side("dropout", "with dropout", place)

    yield claim(
        "h",
        f"Dropout makes the dense network {plain} points better, and pruning "
        f"on top of it up to {pruned} more.",
        "quoted",
        Comparison(dropped(DENSE), plain_dense, paper=plain),
        Comparison(dropped(BEST), dropped(DENSE), paper=pruned),
        where="section 3.4",
    )


CLAIMS = tuple(
    claim
    for network, numbers in CONVS.items()
    for claim in _conv(network, numbers)
)
