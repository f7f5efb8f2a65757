"""What Zhou et al. 2019, "Deconstructing Lottery Tickets", draw.

Mask criteria (figure 3), init variants (figure 4), mask-0 actions (figure 5)
and supermasks by criteria (figure 6), network by network.
"""

from collections.abc import Iterator

from tf_lottery.report.claims.claim import (
    BEST,
    CHANCE,
    DENSE,
    Claim,
    Comparison,
    Place,
    Side,
    at,
    between,
)

PAPER = "Zhou et al. 2019"
NETWORKS = {
    "LeNet": at(10.83, 10),
    "Conv-2": at(10.97, 10),
    "Conv-4": at(11.06, 11),
    "Conv-6": at(10.62, 12),
}
"""The networks, each with the round that is closest to 10 % of the weights."""

SMALL = between(0.3, 22)
MOST = between(3, 60)
FEW = between(0.3, 60)
ALL = between(0.3, 90)
HIGHLY_PRUNED = between(0.3, 4)
HARDLY_PRUNED = between(10, 80)


def _criterion(arm: str, place: Place) -> Side:
    return Side("mask_criteria", arm, place)


def _variant(arm: str, place: Place) -> Side:
    return Side("init_variants", arm, place)


def _action(arm: str, place: Place) -> Side:
    return Side("mask0_actions", arm, place)


def heuristic(arm: str, place: Place = BEST) -> Side:
    """Returns an arm of the masks on untrained networks."""
    return Side("heuristic_supermask", arm, place)


class _Claims:
    """Makes the claims of one network; figures 3 to 6 have a panel of each."""

    def __init__(self, network: str) -> None:
        self.network = network
        self.tenth = NETWORKS[network]

    def claim(
        self,
        key: str,
        where: str,
        statement: str,
        source: str,
        *comparisons: Comparison,
    ) -> Claim:
        """Returns a claim; only LeNet's go without the network's name."""
        if self.network != "LeNet":
            key = f"{self.network}-{key}"
        return Claim(
            key, PAPER, where, statement, self.network, source, comparisons
        )

    def beats(self, left: str, right: str) -> Comparison:
        """Returns that one criterion is better than another one."""
        return Comparison(
            _criterion(left, self.tenth), _criterion(right, self.tenth)
        )

    def criteria(self) -> Iterator[Claim]:
        """Yields the claims about mask criteria."""
        where = "section 2, figure 3"
        yield self.claim(
            "Z1",
            where,
            "With about 10 % of the weights, large_final and "
            "magnitude_increase are better than random, and random is better "
            "than small_final.",
            "notes",
            self.beats("large_final", "random"),
            self.beats("magnitude_increase", "random"),
            self.beats("random", "small_final"),
        )
        yield self.claim(
            "Z2",
            where,
            "large_init_large_final beats its opposite, and movement beats "
            "random.",
            "notes",
            self.beats("large_init_large_final", "small_init_small_final"),
            self.beats("movement", "random"),
        )
        yield self.claim(
            "Z3",
            where,
            "magnitude_increase is as good as large_final or a bit better.",
            "notes",
            Comparison(
                _criterion("magnitude_increase", MOST),
                _criterion("large_final", MOST),
                expect=">=",
            ),
        )
        yield self.claim(
            "Z4",
            where,
            "large_init is a poor criterion, about as good as random.",
            "notes",
            self.beats("large_final", "large_init"),
            Comparison(
                _criterion("large_init", self.tenth),
                _criterion("random", self.tenth),
                expect="=",
            ),
        )
        dense = _criterion("large_final", DENSE)
        yield self.claim(
            "Z5",
            "section 1",
            "Networks with 10 to 50 % of the weights often outperform the "
            "dense one.",
            "quoted",
            Comparison(_criterion("large_final", between(10, 50)), dense),
        )
        yield self.claim(
            "Z6",
            "section 1",
            "Networks with 0.5 to 5 % of the weights are no worse than the "
            "dense one.",
            "quoted",
            Comparison(
                _criterion("large_final", between(0.45, 5)),
                dense,
                expect=">=",
            ),
        )
        yield self.claim(
            "Z7",
            "figure S1",
            "Criteria that train to better networks also learn faster: "
            "large_final stops earlier than random.",
            "recalled",
            Comparison(
                _criterion("large_final", self.tenth),
                _criterion("random", self.tenth),
                metric="stop",
                expect="<",
                form="ratio",
            ),
        )

    def signs(self) -> Iterator[Claim]:
        """Yields the claims about init variants."""
        where = "section 4, figure 4"
        yield self.claim(
            "Z8",
            where,
            "Signs matter: constants with the weights' signs are better than "
            "constants with shuffled ones, with 20 % of the weights or less.",
            "abstract",
            Comparison(
                _variant("constant, same sign", SMALL),
                _variant("constant", SMALL),
            ),
        )
        yield self.claim(
            "Z9",
            where,
            "Every variant that keeps the signs is about as good as rewinding.",
            "abstract",
            *(
                Comparison(
                    _variant(f"{arm}, same sign", ALL),
                    _variant("rewind", ALL),
                    expect="=",
                )
                for arm in ("constant", "reshuffle", "reinit")
            ),
        )
        yield self.claim(
            "Z10",
            where,
            "Every variant that ignores the signs is clearly worse than "
            "rewinding.",
            "abstract",
            *(
                Comparison(_variant("rewind", SMALL), _variant(arm, SMALL))
                for arm in ("constant", "reshuffle", "reinit")
            ),
        )

    def zeros(self) -> Iterator[Claim]:
        """Yields the claims about mask-0 actions."""
        where = "section 3, figure 5"
        if self.network != "LeNet":
            yield self.claim(
                "Z11",
                where,
                "With 10 to 80 %, setting pruned weights to zero is better "
                "than freezing them at their initial values.",
                "notes",
                Comparison(
                    _action("zero", HARDLY_PRUNED),
                    _action("freeze at init", HARDLY_PRUNED),
                ),
            )
        yield self.claim(
            "Z12",
            where,
            "With very few weights, freezing pruned ones at their initial "
            "values can be better than zero.",
            "recalled",
            Comparison(
                _action("freeze at init", between(0.3, 2)),
                _action("zero", between(0.3, 2)),
            ),
        )
        yield self.claim(
            "Z13",
            where,
            "Variant 1 (zero only what moved toward zero) is like zero with "
            "many weights left, and better with few.",
            "notes",
            Comparison(
                _action("variant 1", HARDLY_PRUNED),
                _action("zero", HARDLY_PRUNED),
                expect="=",
            ),
            Comparison(
                _action("variant 1", HIGHLY_PRUNED),
                _action("zero", HIGHLY_PRUNED),
            ),
        )
        yield self.claim(
            "Z14",
            where,
            "Variant 2 (kept weights that moved toward zero start there, too) "
            "is better still.",
            "notes",
            Comparison(
                _action("variant 2", HIGHLY_PRUNED),
                _action("variant 1", HIGHLY_PRUNED),
            ),
        )

    def heuristics(self) -> Iterator[Claim]:
        """Yields the claims about masks by criteria on untrained networks."""
        where = "section 5, figure 6"
        if self.network == "LeNet":
            yield self.claim(
                "Z16",
                where,
                "Masking is training: the large_final mask alone makes an "
                "untrained network better than chance, up to about 40 %.",
                "notes",
                Comparison(heuristic("large_final"), CHANCE, paper=40.0),
            )
        yield self.claim(
            "Z17",
            where,
            "Of the criteria, large_final_same_sign gives the best supermasks.",
            "notes",
            *(
                Comparison(heuristic("large_final_same_sign"), heuristic(other))
                for other in (
                    "large_final",
                    "magnitude_increase",
                    "movement",
                    "large_init_large_final",
                )
            ),
        )
        yield self.claim(
            "Z18",
            where,
            "Masks by random, small_final, small_init, small_init_small_final "
            "and large_final_diff_sign leave an untrained network at chance.",
            "notes",
            *(
                Comparison(
                    heuristic(arm, FEW),
                    CHANCE,
                    expect="=",
                    margin=5.0,
                    reason="untrained networks scatter by as much",
                )
                for arm in (
                    "random",
                    "small_final",
                    "small_init",
                    "small_init_small_final",
                    "large_final_diff_sign",
                )
            ),
        )

    def all(self) -> Iterator[Claim]:
        """Yields all of them, figure by figure."""
        yield from self.criteria()
        yield from self.signs()
        yield from self.zeros()
        yield from self.heuristics()


CLAIMS = tuple(
    claim for network in NETWORKS for claim in _Claims(network).all()
)
