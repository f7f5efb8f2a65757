"""Lottery tickets in rounds: train, forget, train again.

An arm is a rule: which weights to keep (the criterion), what becomes of those
(the mask-1 action) and of the others (the mask-0 action). Its chain is

    round 0    train the dense network from its initial weights
    round k    prune the survivors by the rule, train what is left

A round is a place on the ladder of Frankle & Carbin: after k rounds, a layer
with a rate of 20 % has 0.8 ** k of its weights. `rounds` may leave places
out; the step from round 3 to 5 then removes what two rounds would.

Five kinds of arms are chains with a difference:

    one_shot    prunes the dense network anew for each round
    control     trains, in place of each ticket, what another action makes of
                it; the chain goes on from the ticket itself
    shown_task  trains the dense network and each ticket on another task, such
                as other data; the chain goes on from the recipe's own task
    untrained   evaluates each ticket and trains none (heuristic supermasks)
    peer        has another library prune the dense network while it trains,
                once for each round, to what the round has left

Arms start round 0 alike and share it, as they share every other training
that two of them have in common: the store knows it by what goes into it. An
arm whose rule changes the recipe has a dense network of its own.

References:
    Frankle & Carbin 2019, sections 1 and 2. Zhou et al. 2019, sections 2 to 5.
    As in the latter's code, the optimizer starts anew in each round, the
    order of the images is that of round 0, and what an action makes of the
    initial weights is what the next round takes for them. Their reshuffles
    are seeded here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tf_lottery.experiments import arms
from tf_lottery.experiments.arms import Rule
from tf_lottery.experiments.chains import Chain
from tf_lottery.experiments.plan import Engine
from tf_lottery.experiments.rounds import rehearse, run_chain
from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.foundation.records import Record, Snapshot
from tf_lottery.rules import pruning
from tf_lottery.training.recipes import Recipe


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
        gradient_examples: How many training examples the criteria that look at
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
    gradient_examples: int = 100

    def __post_init__(self) -> None:
        checks.kind("Lottery.recipe", self.recipe, Recipe)
        pruning.check_rates(self.rates)
        checks.one_of("SCOPE", self.scope, pruning.SCOPES)
        checks.positive_int("gradient_examples", self.gradient_examples)
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
            self._recipe_of(arm)
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
        return arms.rule_of(arm, self.rules, Rule)

    def _recipe_of(self, arm: str) -> Recipe:
        """Returns how the trainings of an arm go.

        Raises:
            InvalidValue: A field is not known or of the wrong type.
        """
        changes = self.rule(arm).recipe
        if changes is None:
            return self.recipe
        name = f"the recipe of {arm!r}"
        return arms.with_fields(self.recipe, changes, name)

    @property
    def kind(self) -> str:
        """What a report shows: "rounds", or "untrained" masks alone."""
        return "untrained" if self.rule(self.arms[0]).untrained else "rounds"

    def rehearse(self, engine: Engine) -> None:
        """Forgets once by each rule, with random numbers for trained weights.

        Raises:
            InvalidValue: A rate, pattern, criterion or action is wrong.
            PeerError: A peer is not there.
        """
        for arm in self.arms:
            rehearse(self._chain(arm, 0, engine))

    def chain(
        self, arm: str, seed: int, engine: Engine
    ) -> Iterator[Record | Snapshot]:
        """Yields what is known of the masks, round by round.

        That is the fractions of weights that remain and that kept their sign,
        and a picture with the masks themselves and the densities, on the
        plane of `weight_plane`, of what the round kept and what it pruned.
        """
        return run_chain(self._chain(arm, seed, engine))

    def _chain(self, arm: str, seed: int, engine: Engine) -> Chain:
        rule, recipe = self.rule(arm), self._recipe_of(arm)
        start = engine.new_ticket(recipe, seed)
        rates = self.rates if rule.rates is None else rule.rates
        return Chain(
            recipe=recipe,
            rule=rule,
            arm=arm,
            seed=seed,
            engine=engine,
            start=start,
            rates=pruning.rates_by_path(rates, list(start.weights)),
            rounds=self.rounds,
            scope=self.scope,
            rewind_step=self.rewind_step,
            gradient_examples=self.gradient_examples,
        )
