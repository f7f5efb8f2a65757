"""What the appendices of Frankle & Carbin 2019 say of LeNet.

Appendix B, F and G, each with an experiment of its own in gin/frankle2019/.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tf_lottery.report.claims.claim import (
    DENSE,
    Claim,
    Comparison,
    Place,
    Side,
    at,
    between,
)
from tf_lottery.report.claims.frankle2019 import (
    AT_21,
    FASTER,
    lenet,
)

TENTH = at(10.83, 10)


class Width(NamedTuple):
    """A network of appendix G.6.

    Args:
        arm: Its hidden layers.
        above: The last place with 15,000 weights or more.
        below: The first place with less than 9,000.
    """

    arm: str
    above: Place
    below: Place


WIDTHS = (
    Width("50-17", at(41.06, 4), at(21.09, 7)),
    Width("100-34", at(21.08, 7), at(10.84, 10)),
    Width("150-50", at(13.52, 9), at(6.96, 12)),
    Width("300-100", at(6.95, 12), at(2.87, 16)),
    Width("500-167", at(3.58, 15), at(1.85, 18)),
    Width("700-234", at(2.30, 17), at(1.19, 20)),
)


def _side(experiment: str, arm: str, place: Place) -> Side:
    return Side(experiment, arm, place)


def _protocols() -> Iterator[Claim]:
    """Yields what is said of optimizers, rates, initial weights and widths."""
    rate = "learning_rates"
    yield lenet(
        "FC20",
        "With Adam, learning rates from 2e-4 to 2e-3 give tickets that are "
        "alike.",
        "quoted",
        *(
            Comparison(
                _side(rate, f"Adam {other}", AT_21),
                _side(rate, "Adam 1.2e-3", AT_21),
                expect="=",
            )
            for other in ("2e-4", "4e-4", "8e-4", "2e-3")
        ),
        where="appendix G.2",
    )
    how = "optimizers"
    yield lenet(
        "FC25a",
        "With SGD at 0.8, tickets stop as early as with the best Adam.",
        "quoted",
        Comparison(
            _side(how, "SGD 0.8", AT_21),
            _side(how, "Adam 1.2e-3", AT_21),
            metric="stop",
            expect="=",
            form="ratio",
        ),
        where="appendix G.3",
    )
    yield lenet(
        "FC25b",
        "With SGD at 0.4 or 0.8, tickets hold the dense network's accuracy to "
        "about 1 % of the weights.",
        "quoted",
        *(
            Comparison(
                _side(how, arm, at(1.19, 20)),
                _side(how, arm, DENSE),
                expect=">=",
            )
            for arm in ("SGD 0.4", "SGD 0.8")
        ),
        where="appendix G.3",
    )
    yield lenet(
        "FC25c",
        "With a momentum of 0.9, there are tickets at learning rates from "
        "0.025 to 0.1.",
        "quoted",
        *(
            Comparison(_side(how, arm, AT_21), _side(how, arm, DENSE), **FASTER)
            for arm in ("momentum 0.025", "momentum 0.05", "momentum 0.1")
        ),
        where="appendix G.3",
    )
    share = "prune_rates"
    yield lenet(
        "FC26",
        "Pruning 10 or 20 % a round is best; 40 and 60 % are worse.",
        "quoted",
        Comparison(
            _side(share, "10 % a round", AT_21),
            _side(share, "20 % a round", AT_21),
            expect="=",
        ),
        Comparison(
            _side(share, "40 % a round", at(7.87, 5)),
            _side(share, "20 % a round", at(8.68, 11)),
            expect="<",
        ),
        Comparison(
            _side(share, "60 % a round", at(6.50, 3)),
            _side(share, "20 % a round", at(6.95, 12)),
            expect="<",
        ),
        where="appendix G.4",
        note="Places are those of the ladders that are closest.",
    )
    start = "initializers"
    yield lenet(
        "FC27",
        "Normal initial weights with a standard deviation of 0.1 are about as "
        "good as Glorot's.",
        "quoted",
        Comparison(
            _side(start, "std 0.1", AT_21),
            _side(start, "Glorot", AT_21),
            expect="=",
        ),
        where="appendix G.5",
    )
    yield lenet(
        "FC28",
        "Networks of all widths fall back to the dense network's accuracy "
        "when 9,000 to 15,000 weights remain.",
        "quoted",
        *(
            Comparison(
                _side("widths", width.arm, place),
                _side("widths", width.arm, DENSE),
                expect=expect,
            )
            for width in WIDTHS
            for place, expect in ((width.above, ">="), (width.below, "<"))
        ),
        where="appendix G.6",
    )


def _starts() -> Iterator[Claim]:
    """Yields what is said of the initial weights, and of going back to them."""
    place = between(2, 60)
    yield lenet(
        "FC19",
        "Going back to the initial weights in each round beats training on "
        "and going back at the end only.",
        "submission",
        Comparison(
            _side("continued", "winning ticket", place),
            _side("continued", "reset at the end", place),
        ),
        where="appendix B",
    )
    mask = "initial_magnitude"
    yield lenet(
        "FC23",
        "Pruned by the magnitude of the initial weights, before any training, "
        "networks are worse than tickets and than those with new initial "
        "weights.",
        "quoted",
        Comparison(
            _side(mask, "initial magnitude", TENTH),
            _side(mask, "winning ticket", TENTH),
            expect="<",
        ),
        Comparison(
            _side(mask, "initial magnitude", TENTH),
            _side(mask, "random reinit", TENTH),
            expect="<",
        ),
        where="appendix F.4",
    )
    yield lenet(
        "FC24",
        "Noise of half a standard deviation on the initial weights of tickets "
        "hardly matters, and with three they still beat new ones.",
        "quoted",
        Comparison(
            _side("noise", "0.5 sigma", TENTH),
            _side("noise", "winning ticket", TENTH),
            expect="=",
        ),
        Comparison(
            _side("noise", "3 sigma", TENTH),
            _side("noise", "random reinit", TENTH),
        ),
        where="appendix F.7",
    )


def _survivors() -> Iterator[Claim]:
    """Yields what is said of the weights that tickets keep."""

    def ticket(place: Place = AT_21, layer: str | None = None) -> Side:
        return Side("lottery_tickets", "winning ticket", place, layer=layer)

    yield lenet(
        "FC21",
        "The initial weights that tickets keep avoid values near zero in the "
        "second layer and the output layer.",
        "quoted",
        *(
            Comparison(
                ticket(layer=layer),
                ticket(DENSE, layer=layer),
                metric="near zero",
                expect="<",
            )
            for layer in ("fc2/kernel", "output/kernel")
        ),
        where="appendix F.1",
        note="Near zero is within half a standard deviation of it; the dense "
        "network has all initial weights.",
    )
    yield lenet(
        "FC22",
        "The weights of winning tickets move further than others, and rather "
        "away from zero.",
        "quoted",
        Comparison(ticket(), 1.0, metric="moved"),
        Comparison(ticket(), 50.0, metric="away from zero"),
        where="appendix F.5",
        note="In the training before the round, and others are those that the "
        "round prunes.",
    )
    yield lenet(
        "FC29",
        "Incoming connections of units are even, outgoing ones uneven.",
        "quoted",
        *(
            Comparison(
                ticket(layer=outgoing),
                ticket(layer=incoming)._replace(metric="uneven in"),
                metric="uneven out",
                form="ratio",
            )
            for incoming, outgoing in (
                ("fc1/kernel", "fc2/kernel"),
                ("fc2/kernel", "output/kernel"),
            )
        ),
        where="appendix F.6",
        note="Of the units of a hidden layer, the variance of the numbers of "
        "connections over that of random masks.",
    )


CLAIMS = (*_starts(), *_survivors(), *_protocols())
