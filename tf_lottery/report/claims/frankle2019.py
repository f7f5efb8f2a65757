"""What Frankle & Carbin 2019, "The Lottery Ticket Hypothesis", say of LeNet.

Section 2, the abstract, and what appendices say of the same runs. Section 3 is
in `frankle2019_convolutions`, other appendices in `frankle2019_appendices`.
"""

from typing import Any

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

PAPER = "Frankle & Carbin 2019"


def ticket(place: Place) -> Side:
    """Returns the winning tickets at a place."""
    return Side("lottery_tickets", "winning ticket", place)


def reinit(place: Place) -> Side:
    """Returns the tickets' masks with new initial weights at a place."""
    return Side("lottery_tickets", "random reinit", place)


def lenet(
    key: str,
    statement: str,
    source: str,
    *comparisons: Comparison,
    where: str = "section 2, figures 3 and 4",
    note: str = "",
) -> Claim:
    """Returns a claim of the paper about LeNet."""
    return Claim(
        key, PAPER, where, statement, "LeNet", source, comparisons, note
    )


AT_21 = at(21.07, 7)
FASTER: dict[str, Any] = {"metric": "stop", "expect": "<", "form": "ratio"}
SLOWER: dict[str, Any] = {"metric": "stop", "expect": ">", "form": "ratio"}
DENSE_TICKET = ticket(DENSE)
AS_PRINTED: dict[str, Any] = {
    "margin": 0.1,
    "reason": "99.9 % is printed as 100 %",
}

CLAIMS = (
    lenet(
        "FC1",
        "With 21 % of the weights, tickets reach their lowest validation loss "
        "38 % earlier than the dense network.",
        "quoted",
        Comparison(
            ticket(AT_21), DENSE_TICKET, **FASTER, paper=0.62, rerun=0.786
        ),
    ),
    lenet(
        "FC2",
        "With 13.5 %, tickets are more than 0.3 points better than the dense "
        "network.",
        "quoted",
        Comparison(ticket(at(13.52, 9)), DENSE_TICKET, paper=0.3, rerun=0.21),
    ),
    lenet(
        "FC3",
        "With 21 %, new initial weights need 2.51 times as long as tickets.",
        "quoted",
        Comparison(
            reinit(AT_21), ticket(AT_21), **SLOWER, paper=2.51, rerun=1.94
        ),
    ),
    lenet(
        "FC4",
        "With 21 %, tickets are 0.5 points better than the same masks with "
        "new initial weights.",
        "quoted",
        Comparison(ticket(AT_21), reinit(AT_21), paper=0.5, rerun=0.39),
    ),
    lenet(
        "FC5",
        "With 3.6 %, tickets are as good as the dense network again.",
        "quoted",
        Comparison(ticket(at(3.58, 15)), DENSE_TICKET, expect="=", rerun=0.11),
    ),
    lenet(
        "FC6",
        "With 51.3 %, tickets learn slower than with 21 %.",
        "quoted",
        Comparison(ticket(at(51.28, 3)), ticket(AT_21), **SLOWER),
        note="That they learn faster than the dense network is a part of FC16.",
    ),
    lenet(
        "FC7",
        "Below 21 %, learning slows again.",
        "quoted",
        Comparison(ticket(between(0.4, 18)), ticket(AT_21), **SLOWER),
    ),
    lenet(
        "FC8",
        "From 2.9 % on, tickets are worse than the dense network.",
        "quoted",
        Comparison(ticket(between(0.4, 3)), DENSE_TICKET, expect="<"),
        note="In a rerun by others they are 0.55 points worse with 1.9 %.",
    ),
    lenet(
        "FC9",
        "New initial weights are worse than the dense network from 21 % on.",
        "quoted",
        Comparison(reinit(between(0.4, 22)), reinit(DENSE), expect="<"),
    ),
    lenet(
        "FC10a",
        "Training accuracy at the end is 100 % with 5 % or more, of tickets "
        "and with new initial weights.",
        "quoted",
        *(
            Comparison(
                side(between(5, 99)),
                100.0,
                metric="training accuracy",
                expect="=",
                **AS_PRINTED,
            )
            for side in (ticket, reinit)
        ),
        note="Ours is measured on the last batches while training on them.",
    ),
    lenet(
        "FC10b",
        "Training accuracy of tickets at the end is about 100 % with 2 % or "
        "more.",
        "quoted",
        Comparison(
            ticket(between(2, 4.9)),
            100.0,
            metric="training accuracy",
            expect="=",
            margin=0.5,
            reason="99.5 % is about 100 %",
        ),
        where="figure 4, caption",
        note="Ours is measured on the last batches while training on them. "
        "FC10a has 5 % or more.",
    ),
    lenet(
        "FC11",
        "After the last iteration tickets are up to 0.35 points better than "
        "the dense network.",
        "quoted",
        Comparison(
            ticket(BEST),
            DENSE_TICKET,
            metric="accuracy at the end",
            paper=0.35,
            rerun=0.28,
        ),
    ),
    lenet(
        "FC13",
        "Pruned all at once, networks with 17.6 to 67.5 % learn faster than "
        "the dense one.",
        "quoted",
        Comparison(
            Side("lottery_tickets", "one-shot", between(17.6, 67.5)),
            Side("lottery_tickets", "one-shot", DENSE),
            **FASTER,
        ),
    ),
    lenet(
        "FC14",
        "Pruned all at once, networks with 5.17 to 95 % score higher than the "
        "dense one.",
        "quoted",
        Comparison(
            Side("lottery_tickets", "one-shot", between(5.17, 95)),
            Side("lottery_tickets", "one-shot", DENSE),
        ),
    ),
    lenet(
        "FC16",
        "Tickets of more than 10 to 20 % of the size learn faster and score "
        "higher than the dense network.",
        "abstract",
        Comparison(ticket(between(24, 90)), DENSE_TICKET, **FASTER),
        Comparison(ticket(between(24, 90)), DENSE_TICKET),
        where="abstract",
    ),
    lenet(
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
    lenet(
        "FC18",
        "Initial weights drawn from those that the ticket keeps are barely "
        "better than any new ones.",
        "quoted",
        Comparison(
            Side("init_variants", "reshuffle", between(2, 60)),
            Side("init_variants", "reinit", between(2, 60)),
            expect="=",
        ),
        where="appendix F.3",
        note="Ours shuffles the kept weights' initial values among themselves, "
        "and anew in each round.",
    ),
)
