"""Chains of rounds: an arm's trainings for one seed, one after the other.

Every chain begins with the dense network. What comes then is a function for
each kind of arm:

    iterative    prunes the survivors of the round before, and trains the rest
    anew         prunes the dense network for each round: one-shot pruning, and
                 masks on untrained networks
    by_peer      another library prunes the dense network while it trains it
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from tf_lottery.experiments.arms import Rule
from tf_lottery.experiments.plan import Engine
from tf_lottery.foundation import seeds
from tf_lottery.foundation.records import Picture, Record
from tf_lottery.rules import pruning, weight_plane
from tf_lottery.rules.tickets import (
    Arrays,
    Forgetting,
    Known,
    Ticket,
    forget,
)
from tf_lottery.training.peers.tfmot_schedule import PeerPruning, TfmotGradual
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.request import Training

Yielded = Iterator[Record | Picture]


@dataclass(frozen=True, eq=False)
class Chain:
    """An arm and a seed, and what their trainings have in common.

    Args:
        recipe: How the dense network trains.
        rule: What makes the arm.
        arm: Its name.
        seed: The replicate.
        engine: Trains and evaluates.
        start: What the dense network starts from.
        rates: Fraction of the survivors that a round removes, by kernel path.
        rounds: Places on the ladder, ascending.
        scope: Of pruning, as for `pruning.prune`.
        rewind_step: The step of round 0 that tickets start from. None is
            the initial weights.
        gradient_examples: How many examples gradients are of.
    """

    recipe: Recipe
    rule: Rule
    arm: str
    seed: int
    engine: Engine
    start: Ticket
    rates: pruning.Rates
    rounds: tuple[int, ...]
    scope: str
    rewind_step: int | None
    gradient_examples: int

    def training(
        self, ticket: Ticket, recipe: Recipe | None = None
    ) -> Training:
        """Returns the training of a ticket, by the dense network's recipe."""
        return Training(recipe or self.recipe, ticket, self.seed)

    def aimed(self, rounds: int) -> pruning.Rates:
        """Returns what fraction of its survivors a kernel loses in rounds."""
        return pruning.after_rounds(self.rates, rounds)

    def known(self, round: int) -> Known:
        """Returns what the rule may look at in a round."""
        draw = self.rule.draw or 0
        other = seeds.integer(self.seed, "fresh", draw, round)
        return Known(
            dense=self.start.weights,
            fresh=functools.cache(
                lambda: self.engine.new_ticket(self.recipe, other).weights
            ),
            gradient=lambda: self._gradient,
            generator=functools.partial(_generator, self.seed, draw, round),
        )

    @functools.cached_property
    def _gradient(self) -> Arrays:
        return self.engine.gradient(
            self.training(self.start), self.gradient_examples
        )

    @functools.cached_property
    def later(self) -> tuple[Recipe, Ticket]:
        """How the rounds after the first train, and from which weights."""
        if self.rewind_step is None:
            return self.recipe, self.start
        # Equal to the first steps of round 0, bit for bit.
        short = replace(self.recipe, steps=self.rewind_step)
        state = self.engine.train(self.training(self.start, short), None).state
        rewound = Ticket(
            {path: state[path] for path in self.start.weights},
            {path: state[path] for path in self.start.state},
        )
        return replace(self.recipe, first_step=self.rewind_step), rewound

    def prune(
        self, ticket: Ticket, trained: Arrays, rounds: int, round: int
    ) -> Ticket:
        """Returns the ticket that the rule makes of a training.

        Args:
            ticket: That the training started from.
            trained: Its weights at the end.
            rounds: How many rounds' worth of weights go.
            round: The place on the ladder that this leads to.
        """
        aimed, known = self.aimed(rounds), self.known(round)
        return forget(ticket, trained, self.rule, aimed, known, self.scope)

    def shown(self, pruned: Ticket, trained: Arrays, round: int) -> Ticket:
        """Returns what is trained in a ticket's place: itself, or a control."""
        if self.rule.control is None:
            return pruned
        # The same masks again: rates of None prune nothing.
        again = Forgetting(mask1=self.rule.control, mask0=self.rule.mask0)
        return forget(pruned, trained, again, {}, self.known(round))


def run_chain(chain: Chain) -> Yielded:
    """Runs a chain, and yields what is known of its masks."""
    yield from _remaining(chain, chain.start, 0)
    dense = chain.engine.train(chain.training(chain.start), 0).state
    if chain.rule.peer:
        yield from by_peer(chain, chain.rule.peer)
    elif chain.rule.one_shot or chain.rule.untrained:
        yield from anew(chain, dense)
    else:
        yield from iterative(chain, dense)


def iterative(chain: Chain, dense: Arrays) -> Yielded:
    """Prunes the survivors of each round, and trains what is left.

    Args:
        chain: The arm and the seed.
        dense: The trained weights of round 0.
    """
    recipe, ticket = chain.later
    trained, before = dense, 0
    for round in chain.rounds:
        pruned = chain.prune(ticket, trained, round - before, round)
        yield from _masks(chain, ticket, trained, pruned, round)
        shown = chain.shown(pruned, trained, round)
        result = chain.engine.train(chain.training(shown, recipe), round)
        if shown is pruned:
            trained = result.state
        elif round != chain.rounds[-1]:
            # A control is only looked at: the chain goes on from the ticket.
            own = chain.training(pruned, recipe)
            trained = chain.engine.train(own, None).state
        ticket, before = pruned, round


def anew(chain: Chain, dense: Arrays) -> Yielded:
    """Prunes the dense network for each round, and trains or evaluates it.

    Args:
        chain: The arm and the seed.
        dense: The trained weights of round 0.
    """
    recipe, ticket = chain.later
    for round in chain.rounds:
        pruned = chain.prune(ticket, dense, round, round)
        yield from _masks(chain, ticket, dense, pruned, round)
        shown = chain.training(chain.shown(pruned, dense, round), recipe)
        if chain.rule.untrained:
            chain.engine.evaluate(shown, round)
        else:
            chain.engine.train(shown, round)


def by_peer(chain: Chain, schedule: TfmotGradual) -> Yielded:
    """Has another library prune the dense network, once for each round.

    Args:
        chain: The arm and the seed.
        schedule: When that library prunes.
    """
    for round in chain.rounds:
        training = _of_peer(chain, schedule, round)
        trained = chain.engine.train(training, round).state
        masks = {p: trained[f"{p}_mask/value"] for p in chain.start.weights}
        yield from _signs(chain, chain.start, trained, masks, round)
        # No densities: what was pruned on the way has no final weight.
        yield Picture(
            chain.seed,
            chain.arm,
            round,
            {f"mask {path}": mask for path, mask in masks.items()},
        )


def rehearse(chain: Chain) -> None:
    """Tries a chain's rule once, with random numbers for trained weights.

    Raises:
        InvalidValue: A rate, criterion or action is wrong.
        PeerError: A peer is not there.
    """
    rule = chain.rule
    if rule.peer:
        chain.engine.train(_of_peer(chain, rule.peer, chain.rounds[-1]))
        return
    invented = {
        path: seeds.generator(0, "rehearsal", path)
        .normal(0, w.std() or 1, w.shape)
        .astype(w.dtype)
        for path, w in chain.start.weights.items()
    }
    known = replace(
        chain.known(0),
        fresh=lambda: invented,
        generator=functools.partial(_generator, 0, 0, 0),
    )
    aimed = chain.aimed(chain.rounds[-1])
    for mask1 in {rule.mask1, rule.control or rule.mask1}:
        forgetting = Forgetting(rule.criterion, mask1, rule.mask0)
        forget(chain.start, invented, forgetting, aimed, known, chain.scope)


def _of_peer(chain: Chain, schedule: TfmotGradual, round: int) -> Training:
    peer = PeerPruning(schedule, chain.aimed(round))
    return replace(chain.training(chain.start), peer=peer)


def _masks(
    chain: Chain, ticket: Ticket, trained: Arrays, pruned: Ticket, round: int
) -> Yielded:
    """Yields what a round kept, and how weights moved that it kept or not."""
    yield from _remaining(chain, pruned, round)
    kept = pruned.masks
    yield from _signs(chain, ticket, trained, kept, round)
    gone = {
        p: ticket.masks[p].astype(bool) & ~kept[p].astype(bool) for p in kept
    }
    arrays = {f"mask {path}": mask.astype(bool) for path, mask in kept.items()}
    scale = chain.later[1].weights
    for name, chosen in (("kept", kept), ("pruned", gone)):
        arrays[f"density {name}"] = weight_plane.density(
            ticket.weights, trained, chosen, scale
        )
    yield Picture(chain.seed, chain.arm, round, arrays)


def _remaining(chain: Chain, ticket: Ticket, round: int) -> Iterator[Record]:
    for path, value in pruning.remaining(ticket.masks).items():
        yield Record(chain.seed, chain.arm, round, 0, path, "remaining", value)


def _signs(
    chain: Chain, ticket: Ticket, trained: Arrays, masks: Arrays, round: int
) -> Iterator[Record]:
    agreement = weight_plane.sign_agreement(ticket.weights, trained, masks)
    for path, value in agreement.items():
        yield Record(
            chain.seed, chain.arm, round, 0, path, "sign agreement", value
        )


def _generator(
    seed: int, draw: int, round: int, what: str, path: str
) -> np.random.Generator:
    # Repetitions of an arm draw other weights and prune alike.
    own = () if what == "ties" else (draw,)
    return seeds.generator(seed, what, round, path, *own)
