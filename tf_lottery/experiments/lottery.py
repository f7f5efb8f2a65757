"""Lottery tickets in rounds: train, forget, train again.

An arm is a rule: which weights to keep (the criterion), what becomes of those
(the mask-1 action) and of the others (the mask-0 action). Its chain is

    round 0    train the dense network from its initial weights
    round k    prune the survivors by the rule, train what is left

A round is a place on the ladder of Frankle & Carbin: after k rounds, a layer
with a rate of 20 % has 0.8 ** k of its weights. `rounds` may leave places
out; the step from round 3 to 5 then removes what two rounds would.

Four kinds of arms are chains with a difference:

    one_shot    prunes the dense network anew for each round
    control     trains, in place of each ticket, what another action makes of
                it; the chain goes on from the ticket itself
    untrained   evaluates each ticket and trains none (heuristic supermasks)
    peer        has another library prune the dense network while it trains,
                once for each round, to what the round has left

Arms start round 0 alike and share it, as they share every other training
that two of them have in common: the store knows it by what goes into it.

References:
    Frankle & Carbin 2019, sections 1 and 2. Zhou et al. 2019, sections 2 to 5.
    As in the latter's code, the optimizer starts anew in each round, the
    order of the images is that of round 0, and what an action makes of the
    initial weights is what the next round takes for them. Their reshuffles
    are seeded here.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tf_lottery.experiments.plan import Engine
from tf_lottery.foundation import checks, seeds
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.foundation.records import Record, Snapshot
from tf_lottery.rules import pruning, weight_plane
from tf_lottery.rules.tickets import (
    Arrays,
    Forgetting,
    Function,
    Known,
    Ticket,
    forget,
)
from tf_lottery.training.peers.tfmot_schedule import TfmotGradual
from tf_lottery.training.recipes import Recipe


@dataclass(frozen=True)
class Rule(Forgetting):
    """What makes an arm.

    Args:
        criterion: As for `Forgetting`.
        mask1: Likewise.
        mask0: Likewise.
        one_shot: Prune the dense network anew for each round.
        control: Train what this mask-1 action makes of each ticket in place
            of the ticket. None trains the ticket.
        draw: Of the randomness of actions and new initial weights; arms that
            differ in it are repetitions.
        untrained: Prune as with `one_shot`, and evaluate each ticket in place
            of training it.
        peer: Have tensorflow-model-optimization train and prune the network
            like this, by layer whatever the scope. Such an arm has no other
            field. Its round 0 is the dense network of the other arms: what
            the peer trains if it prunes nothing differs by rounding.

    Raises:
        InvalidValue: A field is of the wrong type.
    """

    one_shot: bool = False
    control: Function | None = None
    draw: int | None = None
    untrained: bool = False
    peer: TfmotGradual | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.boolean("one_shot", self.one_shot)
        checks.boolean("untrained", self.untrained)
        if self.control is not None:
            Forgetting(mask1=self.control)
        if self.draw is not None:
            checks.positive_int("draw", self.draw)
        if self.peer is not None:
            checks.kind("peer", self.peer, TfmotGradual)
            if replace(self, peer=None) != Rule():
                raise InvalidValue(
                    "expected no other field beside peer in the rule of an "
                    f"arm, received {self!r}"
                )


@dataclass(frozen=True)
class Lottery:
    """A figure whose lines are arms and whose x axis is weights remaining.

    Args:
        recipe: How all trainings go.
        rules: From the name of an arm to the fields of its `Rule`; names that
            differ in a final "#1", "#2" are repetitions of one line.
        rates: Pairs of a pattern and the fraction of survivors that a round
            removes; see `pruning.rates_by_path`.
        arms: Which of the rules, in the order of the legend; none is all.
        rounds: Places on the ladder, ascending.
        scope: "layer" or "global", as for `pruning.prune`.
        rewind_step: Tickets start from the weights that round 0 had at this
            step, and train from there on. None is the initial weights. The
            `w_init` of criteria and actions are then those weights, too.
        gradient_images: How many training images the criteria that look at
            the gradient see; Zhou et al. 2019 take 100 of MNIST and 128 of
            CIFAR-10.

    Raises:
        InvalidValue: A field is of the wrong type or range.

    References:
        Frankle et al. 2020, "Linear Mode Connectivity and the Lottery Ticket
        Hypothesis", for `rewind_step`. As there the optimizer starts anew.
    """

    recipe: Recipe
    rules: Mapping[str, Mapping[str, Any]]
    rates: tuple[tuple[str, float | None], ...]
    arms: tuple[str, ...] = ()
    rounds: tuple[int, ...] = tuple(range(1, 25))
    scope: str = "layer"
    rewind_step: int | None = None
    gradient_images: int = 100

    def __post_init__(self) -> None:
        checks.kind("Lottery.recipe", self.recipe, Recipe)
        pruning.check_rates(self.rates)
        checks.one_of("SCOPE", self.scope, pruning.SCOPES)
        checks.positive_int("gradient_images", self.gradient_images)
        if not isinstance(self.rules, Mapping) or not self.rules:
            raise InvalidValue(
                "expected RULES to be a dict from the names of arms to the "
                f"fields of their rules, received {self.rules!r}"
            )
        if self.arms in (None, ()):
            object.__setattr__(self, "arms", tuple(self.rules))
        if not isinstance(self.arms, list | tuple) or not self.arms:
            raise InvalidValue(
                f"expected ARMS to be a list of names, received {self.arms!r}"
            )
        for arm in self.arms:
            checks.one_of("ARMS", arm, self.rules)
            self.rule(arm)
        self._check_rounds()
        if self.rewind_step is not None:
            checks.positive_int("REWIND_STEP", self.rewind_step)
            if self.rewind_step >= self.recipe.steps:
                raise InvalidValue(
                    "expected REWIND_STEP to be less than STEPS, "
                    f"{self.recipe.steps}, received {self.rewind_step}"
                )

    def _check_rounds(self) -> None:
        rounds = self.rounds
        if not isinstance(rounds, list | tuple) or not rounds:
            raise InvalidValue(
                "expected ROUNDS to be a list of whole numbers, received "
                f"{rounds!r}"
            )
        for number in rounds:
            checks.positive_int("each of ROUNDS", number)
        if list(rounds) != sorted(set(rounds)):
            raise InvalidValue(
                f"expected ROUNDS to ascend, received {rounds!r}"
            )

    def rule(self, arm: str) -> Rule:
        """Returns the rule of an arm.

        Raises:
            InvalidValue: A field is not known or of the wrong type.
        """
        fields = self.rules[arm]
        if not isinstance(fields, Mapping):
            raise InvalidValue(
                f"expected the rule of {arm!r} to be a dict, received "
                f"{fields!r}"
            )
        for name in fields:
            checks.one_of(
                f"the fields of the rule {arm!r}",
                name,
                Rule.__dataclass_fields__,
            )
        return Rule(**fields)

    def rehearse(self, engine: Engine) -> None:
        """Forgets once by each rule, with random numbers for trained weights.

        Raises:
            InvalidValue: A rate, pattern, criterion or action is wrong.
            PeerError: A peer is not there.
        """
        start = engine.new_ticket(self.recipe, 0)
        rates = pruning.rates_by_path(self.rates, list(start.weights))
        for rule in map(self.rule, self.arms):
            if rule.peer is None:
                self._rehearse(rule, start, rates, engine)
            else:
                aimed = pruning.after_rounds(rates, self.rounds[-1])
                engine.train_peer(self.recipe, start, 0, rule.peer, aimed)

    def chain(
        self, arm: str, seed: int, engine: Engine
    ) -> Iterator[Record | Snapshot]:
        """Yields what is known of the masks, round by round.

        That is the fractions of weights that remain and that kept their sign,
        and a picture with the masks themselves and the densities, on the
        plane of `planes`, of what the round kept and what it pruned.
        """
        rule = self.rule(arm)
        start = engine.new_ticket(self.recipe, seed)
        rates = pruning.rates_by_path(self.rates, list(start.weights))
        dense_start = start
        gradient = functools.cache(
            lambda: engine.gradient(
                self.recipe, dense_start, seed, self.gradient_images
            )
        )
        yield from self._remaining(start, arm, seed, 0)
        trained: Arrays = engine.train(self.recipe, start, seed).state
        if rule.peer is not None:
            for round in self.rounds:
                aimed = pruning.after_rounds(rates, round)
                trained = engine.train_peer(
                    self.recipe, start, seed, rule.peer, aimed, round
                ).state
                yield from _peer_masks(start, trained, (seed, arm, round))
            return
        recipe, start = self._rewound(start, seed, engine)
        dense, ticket, before = trained, start, 0
        for i, round in enumerate(self.rounds):
            if rule.one_shot or rule.untrained:
                trained, ticket, before = dense, start, 0
            known = Known(
                dense=dense_start.weights,
                fresh=self._fresh(rule, seed, round, engine),
                gradient=gradient,
                generator=functools.partial(
                    _generator, seed, rule.draw or 0, round
                ),
            )
            aimed = pruning.after_rounds(rates, round - before)
            pruned = forget(ticket, trained, rule, aimed, known, self.scope)
            yield from self._remaining(pruned, arm, seed, round)
            yield from _movement(
                ticket, trained, pruned, start, (seed, arm, round)
            )
            shown = pruned
            if rule.control is not None:
                # The same masks again: rates of None prune nothing.
                again = Forgetting(mask1=rule.control, mask0=rule.mask0)
                shown = forget(pruned, trained, again, {}, known)
            if rule.untrained:
                engine.evaluate(recipe, shown, seed, round)
            else:
                trained = engine.train(recipe, shown, seed, round).state
            last = i == len(self.rounds) - 1
            anew = rule.one_shot or rule.untrained
            if rule.control is not None and not anew and not last:
                trained = engine.train(recipe, pruned, seed, None).state
            ticket, before = pruned, round

    def _rewound(
        self, start: Ticket, seed: int, engine: Engine
    ) -> tuple[Recipe, Ticket]:
        """Returns how and from where the rounds after the first train."""
        if self.rewind_step is None:
            return self.recipe, start
        # Equal to the first steps of round 0, bit for bit.
        short = replace(self.recipe, steps=self.rewind_step)
        state = engine.train(short, start, seed, None).state
        rewound = Ticket(
            {path: state[path] for path in start.weights},
            {path: state[path] for path in start.state},
        )
        return replace(self.recipe, first_step=self.rewind_step), rewound

    def _fresh(
        self, rule: Rule, seed: int, round: int, engine: Engine
    ) -> Callable[[], Arrays]:
        other = seeds.integer(seed, "fresh", rule.draw or 0, round)
        return functools.cache(
            lambda: engine.new_ticket(self.recipe, other).weights
        )

    def _rehearse(
        self, rule: Rule, start: Ticket, rates: pruning.Rates, engine: Engine
    ) -> None:
        invented = {
            path: seeds.generator(0, "rehearsal", path)
            .normal(0, w.std() or 1, w.shape)
            .astype(w.dtype)
            for path, w in start.weights.items()
        }
        known = Known(
            dense=start.weights,
            fresh=lambda: invented,
            gradient=lambda: engine.gradient(
                self.recipe, start, 0, self.gradient_images
            ),
            generator=functools.partial(_generator, 0, 0, 0),
        )
        aimed = pruning.after_rounds(rates, self.rounds[-1])
        for mask1 in {rule.mask1, rule.control or rule.mask1}:
            forgetting = Forgetting(rule.criterion, mask1, rule.mask0)
            forget(start, invented, forgetting, aimed, known, self.scope)

    def _remaining(
        self, ticket: Ticket, arm: str, seed: int, round: int
    ) -> Iterator[Record]:
        for path, value in pruning.remaining(ticket.masks).items():
            yield Record(seed, arm, round, 0, path, "remaining", value)


def _movement(
    ticket: Ticket,
    trained: Arrays,
    pruned: Ticket,
    scale: Ticket,
    key: tuple[int, str, int],
) -> Iterator[Record | Snapshot]:
    """Yields how the weights moved that a round kept, and that it pruned."""
    w_init, kept = ticket.weights, pruned.masks
    agreement = weight_plane.sign_agreement(w_init, trained, kept)
    for path, value in agreement.items():
        yield Record(*key, 0, path, "sign agreement", value)
    gone = {
        p: ticket.masks[p].astype(bool) & ~kept[p].astype(bool) for p in kept
    }
    arrays = {f"mask {path}": mask.astype(bool) for path, mask in kept.items()}
    for name, chosen in (("kept", kept), ("pruned", gone)):
        arrays[f"density {name}"] = weight_plane.density(
            w_init, trained, chosen, scale.weights
        )
    yield Snapshot(*key, arrays)


def _peer_masks(
    start: Ticket, trained: Arrays, key: tuple[int, str, int]
) -> Iterator[Record | Snapshot]:
    """Yields which signs a peer's training kept, and its masks.

    No densities: what it pruned on its way has no final weight.
    """
    masks = {path: trained[f"{path}_mask/value"] for path in start.weights}
    agreement = weight_plane.sign_agreement(start.weights, trained, masks)
    for path, value in agreement.items():
        yield Record(*key, 0, path, "sign agreement", value)
    yield Snapshot(*key, {f"mask {path}": m for path, m in masks.items()})


def _generator(
    seed: int, draw: int, round: int, what: str, path: str
) -> np.random.Generator:
    # Repetitions of an arm draw other weights and prune alike.
    own = () if what == "ties" else (draw,)
    return seeds.generator(seed, what, round, path, *own)
