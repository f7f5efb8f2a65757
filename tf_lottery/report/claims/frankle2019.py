"""What Frankle & Carbin 2019, "The Lottery Ticket Hypothesis", say of LeNet.

Section 2, the abstract, and the appendices that an experiment here can speak
to. Section 3 is in `frankle2019_convolutions`.
"""

from typing import Any

from tf_lottery.report.claims.claim import (
    BEST,
    DENSE,
    INFINITE,
    Claim,
    Comparison,
    Place,
    Side,
    at,
    between,
)

PAPER = "Frankle & Carbin 2019"


def ticket(place: Place) -> Side:
    """Returns the winning tickets at a place."""
    return Side("lottery_tickets", "winning ticket", place)


def reinit(place: Place) -> Side:
    """Returns the tickets' masks with new initial weights at a place."""
    return Side("lottery_tickets", "random reinit", place)


def _lenet(
    key: str,
    statement: str,
    source: str,
    *comparisons: Comparison,
    where: str = "section 2, figures 3 and 4",
    note: str = "",
) -> Claim:
    return Claim(
        key, PAPER, where, statement, "LeNet", source, comparisons, note
    )


AT_21 = at(21.07, 7)
FASTER: dict[str, Any] = {"metric": "stop", "expect": "<", "form": "ratio"}
SLOWER: dict[str, Any] = {"metric": "stop", "expect": ">", "form": "ratio"}
DENSE_TICKET = ticket(DENSE)

CLAIMS = (
    _lenet(
        "FC1",
        "With 21 % of the weights, tickets reach their lowest validation loss "
        "38 % earlier than the dense network.",
        "quoted",
        Comparison(
            ticket(AT_21), DENSE_TICKET, **FASTER, paper=0.62, size=(0, 0.85)
        ),
    ),
    _lenet(
        "FC2",
        "With 13.5 %, tickets are more than 0.3 points better than the dense "
        "network.",
        "quoted",
        Comparison(
            ticket(at(13.52, 9)), DENSE_TICKET, paper=0.3, size=(0.15, 1)
        ),
    ),
    _lenet(
        "FC3",
        "With 21 %, new initial weights need 2.51 times as long as tickets.",
        "quoted",
        Comparison(
            reinit(AT_21),
            ticket(AT_21),
            **SLOWER,
            paper=2.51,
            size=(1.5, INFINITE),
        ),
    ),
    _lenet(
        "FC4",
        "With 21 %, tickets are 0.5 points better than the same masks with "
        "new initial weights.",
        "quoted",
        Comparison(
            ticket(AT_21), reinit(AT_21), paper=0.5, size=(0.2, INFINITE)
        ),
    ),
    _lenet(
        "FC5",
        "With 3.6 %, tickets are as good as the dense network again.",
        "quoted",
        Comparison(
            ticket(at(3.58, 15)),
            DENSE_TICKET,
            expect="=",
            paper=0.0,
            size=(-0.2, 0.2),
        ),
    ),
    _lenet(
        "FC6",
        "With 51.3 %, tickets learn faster and score higher than the dense "
        "network, but learn slower than with 21 %.",
        "quoted",
        Comparison(ticket(at(51.28, 3)), DENSE_TICKET, **FASTER),
        Comparison(ticket(at(51.28, 3)), DENSE_TICKET),
        Comparison(ticket(at(51.28, 3)), ticket(AT_21), **SLOWER),
    ),
    _lenet(
        "FC7",
        "Below 21 %, learning slows again.",
        "quoted",
        Comparison(ticket(between(0.4, 18)), ticket(AT_21), **SLOWER),
    ),
    _lenet(
        "FC8",
        "With 2.9 %, tickets are worse than the dense network.",
        "recalled",
        Comparison(ticket(at(2.87, 16)), DENSE_TICKET, expect="<"),
    ),
    _lenet(
        "FC9",
        "New initial weights are worse than the dense network from 21 % on.",
        "recalled",
        Comparison(reinit(AT_21), reinit(DENSE), expect="<"),
    ),
    _lenet(
        "FC10",
        "Training accuracy at the end is 100 % with 5 % or more.",
        "recalled",
        Comparison(
            ticket(between(5, 99)),
            100.0,
            metric="training accuracy",
            expect="=",
            paper=100.0,
            size=(99.9, 100.0),
        ),
        note="Ours is measured on the last batches while training on them.",
    ),
    _lenet(
        "FC11",
        "After the last iteration tickets are up to 0.35 points better than "
        "the dense network.",
        "recalled",
        Comparison(
            ticket(BEST),
            DENSE_TICKET,
            metric="accuracy at the end",
            paper=0.35,
            size=(0.15, 1),
        ),
    ),
    _lenet(
        "FC12",
        "After the last iteration new initial weights match the tickets' gain.",
        "recalled",
        Comparison(
            reinit(BEST),
            ticket(BEST),
            metric="accuracy at the end",
            expect="=",
            paper=0.0,
            size=(-0.2, 0.2),
        ),
    ),
    _lenet(
        "FC13",
        "Pruned all at once, networks with 17.6 to 67.5 % learn faster than "
        "the dense one.",
        "recalled",
        Comparison(
            Side("lottery_tickets", "one-shot", between(17.6, 67.5)),
            Side("lottery_tickets", "one-shot", DENSE),
            **FASTER,
        ),
    ),
    _lenet(
        "FC14",
        "Pruned all at once, networks with 5.17 to 95 % score higher than the "
        "dense one.",
        "recalled",
        Comparison(
            Side("lottery_tickets", "one-shot", between(5.17, 95)),
            Side("lottery_tickets", "one-shot", DENSE),
        ),
    ),
    _lenet(
        "FC15",
        "The dense network has about 98 % at early stop.",
        "recalled",
        Comparison(
            DENSE_TICKET, 98.0, expect="=", paper=98.0, size=(97.5, 98.5)
        ),
    ),
    _lenet(
        "FC16",
        "Tickets of more than 10 to 20 % of the size learn faster and score "
        "higher than the dense network.",
        "abstract",
        Comparison(ticket(between(20, 60)), DENSE_TICKET, **FASTER),
        Comparison(ticket(between(20, 60)), DENSE_TICKET),
        where="abstract",
    ),
    _lenet(
        "FC17",
        "On MNIST a ticket's mask with new initial weights is better than a "
        "random mask.",
        "quoted",
        Comparison(
            reinit(between(0.4, 60)),
            Side("lottery_tickets", "random masks", between(0.4, 60)),
        ),
        where="appendix E",
    ),
    _lenet(
        "FC18",
        "Initial weights drawn from those that the ticket keeps are barely "
        "better than any new ones.",
        "quoted",
        Comparison(
            Side("init_variants", "reshuffle", between(2, 60)),
            Side("init_variants", "reinit", between(2, 60)),
            expect="=",
            size=(-0.2, 0.4),
        ),
        where="appendix F.3",
        note="Ours shuffles the kept weights' initial values among themselves, "
        "and anew in each round.",
    ),
    _lenet(
        "FC19",
        "Going back to the initial weights in each round beats training on "
        "and going back at the end only.",
        "submission",
        where="appendix B",
    ),
    _lenet(
        "FC20",
        "Learning rates from 2e-4 to 2e-3 give similar accuracies.",
        "quoted",
        where="appendix G.2",
    ),
    _lenet(
        "FC21",
        "The initial weights that tickets keep avoid values near zero in later "
        "layers.",
        "recalled",
        where="appendix F",
        note="The density of kept weights below shows it; nothing here "
        "measures it.",
    ),
    _lenet(
        "FC22",
        "The weights of winning tickets move further than others.",
        "recalled",
        where="appendix F",
    ),
)
