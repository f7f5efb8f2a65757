"""Chains of rounds: an arm's trainings for one seed, one after the other.

Every chain begins with the dense network. What comes then is a function for
each kind of arm:

    iterative    prunes the survivors of the round before, and trains the rest
    anew         prunes the dense network for each round: one-shot pruning, and
                 masks on untrained networks
    by_peer      another library prunes the dense network while it trains it
"""

import functools
import math
from collections.abc import Iterator
from dataclasses import replace

from tf_lottery.experiments.chains import Chain, generator_of
from tf_lottery.foundation import seeds
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.foundation.records import Record, Snapshot
from tf_lottery.rules import pruning, survivors, weight_plane
from tf_lottery.rules.forgetting import Forgetting, forget
from tf_lottery.rules.tickets import Arrays, Ticket
from tf_lottery.training.peers.tfmot_schedule import PeerPruning, TfmotGradual
from tf_lottery.training.request import Training
from tf_lottery.workloads.task import Task

Yielded = Iterator[Record | Snapshot]


def run_chain(chain: Chain) -> Yielded:
    """Runs a chain, and yields what is known of its masks."""
    yield from _remaining(chain, chain.start, 0)
    found = survivors.of_start(chain.start.weights, chain.start.weights)
    yield from _survivors(chain, found, 0)
    shown = chain.shown_training(chain.start, chain.recipe)
    dense = chain.engine.train(shown, 0).state
    if chain.rule.shown_task:
        own = chain.training(chain.start)
        dense = chain.engine.train(own, None).state
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
        result = chain.engine.train(chain.shown_training(shown, recipe), round)
        if shown is pruned and not chain.rule.shown_task:
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
        control = chain.shown(pruned, dense, round)
        shown = chain.shown_training(control, recipe)
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
        yield Snapshot(
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
    if rule.shown_task:
        _expect_one_network(chain, rule.shown_task)
    invented = {
        path: seeds.generator(0, "rehearsal", path)
        .normal(0, w.std() or 1, w.shape)
        .astype(w.dtype)
        for path, w in chain.start.weights.items()
    }
    known = replace(
        chain.known(0),
        fresh=lambda: invented,
        generator=functools.partial(generator_of, 0, 0, 0),
    )
    aimed = chain.aimed(chain.rounds[-1])
    for mask1 in {rule.mask1, rule.control or rule.mask1}:
        forgetting = Forgetting(rule.criterion, mask1, rule.mask0)
        forget(chain.start, invented, forgetting, aimed, known, chain.scope)


def _expect_one_network(chain: Chain, task: Task) -> None:
    other = chain.engine.new_ticket(replace(chain.recipe, task=task), 0)
    own, shown = (
        {path: array.shape for path, array in ticket.arrays().items()}
        for ticket in (chain.start, other)
    )
    if own != shown:
        raise InvalidValue(
            f"expected shown_task of {chain.arm!r} to suit the network of "
            f"{chain.recipe.task.name}, received {task.name}, whose network "
            "has other shapes"
        )


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
    found = survivors.of_round(ticket.weights, trained, kept, gone, scale)
    yield from _survivors(chain, found, round)
    for name, chosen in (("kept", kept), ("pruned", gone)):
        arrays[f"density {name}"] = weight_plane.density(
            ticket.weights, trained, chosen, scale
        )
    yield Snapshot(chain.seed, chain.arm, round, arrays)


def _remaining(chain: Chain, ticket: Ticket, round: int) -> Iterator[Record]:
    for path, value in pruning.remaining(ticket.masks).items():
        yield Record(chain.seed, chain.arm, round, 0, path, "remaining", value)


def _survivors(
    chain: Chain, found: survivors.Found, round: int
) -> Iterator[Record]:
    for metric, by_path in found.items():
        for path, value in by_path.items():
            if math.isfinite(value):
                yield Record(
                    chain.seed, chain.arm, round, 0, path, metric, value
                )


def _signs(
    chain: Chain, ticket: Ticket, trained: Arrays, masks: Arrays, round: int
) -> Iterator[Record]:
    agreement = weight_plane.sign_agreement(ticket.weights, trained, masks)
    for path, value in agreement.items():
        yield Record(
            chain.seed, chain.arm, round, 0, path, "sign agreement", value
        )
