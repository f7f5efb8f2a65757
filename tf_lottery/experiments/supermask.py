"""Learned supermasks: which weights to keep, learned on weights that stay.

An untrained network is not trained; for each of its weights, the probability
of being kept is (Zhou et al. 2019, section 5, and `masks.BernoulliMask`), or
a score of which the highest are kept (Ramanujan et al. 2020, edge-popup, and
`masks.TopKMask`). An arm is a rule. Four make up the part of the first paper's
table 1 that is learned:

    init                    the weights as they were initialised
    signed constant         each layer's standard deviation, with their signs
    DWR init                as above, with Dynamic Weight Rescaling
    DWR signed constant

Two rounds of an arm are measured: 0 is what the training ends with, the mean
over some samples of the mask, and 1 the same network with the mask thresholded,
which keeps every weight whose probability is above one half.
"""

import functools
import inspect
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from tf_lottery.experiments.arms import rule_of
from tf_lottery.experiments.plan import Engine
from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.foundation.records import Record, Snapshot
from tf_lottery.masking.masks import BernoulliMask, TopKMask, fixed_mask
from tf_lottery.rules import actions
from tf_lottery.rules.forgetting import Forgetting
from tf_lottery.rules.tickets import Arrays, Function, Ticket
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.request import Training

RULES: dict[str, dict[str, Any]] = {
    "init": {},
    "signed constant": {"mask1": actions.signed_constant},
    "DWR init": {"rescale": True},
    "DWR signed constant": {
        "mask1": actions.signed_constant,
        "rescale": True,
    },
}
"""The arms of table 1 of Zhou et al. 2019."""

HISTOGRAM_BINS = 40
THRESHOLD = 0.5
THRESHOLDED = 1
"""The round under which the thresholded mask is written down."""


@dataclass(frozen=True)
class MaskRule:
    """What makes an arm.

    Args:
        mask1: What the initial weights become; see `tf_lottery.actions`.
        scale: What the initial weights are multiplied with before that: a
            number, or "he" for the standard deviation of He et al. 2015,
            sqrt(2 / fan_in). None is 1.
        rescale: Dynamic Weight Rescaling.
        initial_logit: Where the logits start, which decides how many weights
            are kept in the end. None is the experiment's.
        kept: Learn scores instead, and keep this fraction of each layer.

    Raises:
        InvalidValue: A field is of the wrong type, or has no effect.
    """

    mask1: Function = actions.rewind
    scale: float | str | None = None
    rescale: bool = False
    initial_logit: float | None = None
    kept: float | None = None

    def __post_init__(self) -> None:
        Forgetting(mask1=self.mask1)
        if self.scale is not None and self.scale != "he":
            checks.number("scale", self.scale)
        checks.boolean("rescale", self.rescale)
        if self.initial_logit is not None:
            checks.number("initial_logit", self.initial_logit)
        if self.kept is None:
            return
        checks.number("kept", self.kept)
        if not 0 < self.kept <= 1:
            raise InvalidValue(
                f"expected kept to be in (0, 1], received {self.kept!r}"
            )
        if self.rescale or self.initial_logit is not None:
            raise InvalidValue(
                "expected no rescale and no initial_logit beside kept, which "
                f"learns scores, received {self!r}"
            )

    def kernel_mask(self, initial_logit: float | None) -> functools.partial:
        """Returns what builds the mask of a layer.

        Args:
            initial_logit: The experiment's, for rules without one.
        """
        if self.kept is not None:
            return functools.partial(TopKMask, remaining=self.kept)
        options: dict[str, Any] = {"rescale": self.rescale}
        if self.initial_logit is not None:
            initial_logit = self.initial_logit
        if initial_logit is not None:
            options["initial_logit"] = initial_logit
        return functools.partial(BernoulliMask, **options)

    def weights(self, w_init: np.ndarray) -> np.ndarray:
        """Returns what the initial weights of a kernel become."""
        if self.scale is not None:
            factor = _he(w_init) if self.scale == "he" else float(self.scale)
            w_init = (w_init * factor).astype(w_init.dtype)
        return self.mask1(w_init)


@dataclass(frozen=True)
class Supermask:
    """Learns one supermask for each arm.

    Args:
        recipe: How; its `kernel_mask` is set by the arm.
        arms: Which of the rules, in the order of the table; none is all.
        initial_logit: Where the logits of all masks start, unless a rule says
            otherwise. None is 0, the paper's default: half of the weights.
        rules: From the name of an arm to the fields of its `MaskRule`. None
            is `RULES`.

    Raises:
        InvalidValue: An arm is not known, or a field is of the wrong type.
    """

    kind: ClassVar[str] = "supermask"

    recipe: Recipe
    arms: tuple[str, ...] = ()
    initial_logit: float | None = None
    rules: Mapping[str, Mapping[str, Any]] | None = None

    def __post_init__(self) -> None:
        checks.kind("Supermask.recipe", self.recipe, Recipe)
        known = self._rules
        if not isinstance(known, Mapping) or not known:
            raise InvalidValue(
                "expected RULES to be a dict from the names of arms to the "
                f"fields of their rules, received {known!r}"
            )
        if self.arms in (None, ()):
            object.__setattr__(self, "arms", tuple(known))
        if not isinstance(self.arms, list | tuple) or not self.arms:
            raise InvalidValue(
                f"expected ARMS to be a list of names, received {self.arms!r}"
            )
        for arm in self.arms:
            checks.one_of("ARMS", arm, known)
            self.rule(arm)
        if self.initial_logit is not None:
            checks.number("INITIAL_LOGIT", self.initial_logit)

    @property
    def _rules(self) -> Mapping[str, Mapping[str, Any]]:
        return RULES if self.rules is None else self.rules

    def rule(self, arm: str) -> MaskRule:
        """Returns the rule of an arm.

        Raises:
            InvalidValue: A field is not known or of the wrong type.
        """
        return rule_of(arm, self._rules, MaskRule)

    def rehearse(self, engine: Engine) -> None:
        """Builds the network of each arm, and what its weights become.

        Raises:
            InvalidValue: An action looks at more than initial weights.
        """
        for arm in self.arms:
            rule = self.rule(arm)
            needed = [*inspect.signature(rule.mask1).parameters]
            if needed != ["w_init"]:
                raise InvalidValue(
                    f"expected the mask1 of {arm!r} to look at w_init alone, "
                    f"as nothing is trained, received one of {needed}"
                )
            self._start(arm, 0, engine)

    def _start(
        self, arm: str, seed: int, engine: Engine
    ) -> tuple[Recipe, Ticket]:
        """Returns how an arm learns its mask, and from what on."""
        rule = self.rule(arm)
        mask = rule.kernel_mask(self.initial_logit)
        recipe = replace(self.recipe, kernel_mask=mask)
        return recipe, engine.new_ticket(recipe, seed).with_weights(
            rule.weights
        )

    def chain(
        self, arm: str, seed: int, engine: Engine
    ) -> Iterator[Record | Snapshot]:
        """Yields what the mask of one training looks like in the end."""
        rule = self.rule(arm)
        recipe, ticket = self._start(arm, seed, engine)
        result = engine.train(Training(recipe, ticket, seed))
        if rule.kept is not None:
            masks = {
                path: _highest(result.state[f"{path}_mask/scores"], rule.kept)
                for path in ticket.weights
            }
            yield from _remaining(seed, arm, 0, recipe.steps, masks)
            yield Snapshot(seed, arm, 0, _picture(masks))
            return
        p = {
            path: _sigmoid(result.state[f"{path}_mask/logits"])
            for path in ticket.weights
        }
        # The expected fraction of weights kept, as the paper's code has it.
        yield from _remaining(seed, arm, 0, recipe.steps, p)
        yield Snapshot(seed, arm, 0, _picture(p))
        masks = {path: values > THRESHOLD for path, values in p.items()}
        recipe = replace(recipe, kernel_mask=fixed_mask)
        start = engine.new_ticket(recipe, seed)
        thresholded = _thresholded(start, ticket, result.state, masks, rule)
        engine.evaluate(Training(recipe, thresholded, seed), THRESHOLDED)
        yield from _remaining(seed, arm, THRESHOLDED, 0, masks)


def _thresholded(
    start: Ticket,
    learned: Ticket,
    state: Arrays,
    masks: Arrays,
    rule: MaskRule,
) -> Ticket:
    """Returns the network that a learned mask, thresholded, comes to.

    Args:
        start: Of the network with fixed masks.
        learned: What the mask was learned on.
        state: What its training ended with.
        masks: True where a weight is kept.
        rule: Of the arm.
    """
    weights = {
        # An empty mask stays empty, as in `BernoulliMask`.
        path: w * np.float32(w.size / max(1, masks[path].sum()))
        if rule.rescale
        else w
        for path, w in learned.weights.items()
    }
    zeros = {path: np.zeros_like(w) for path, w in weights.items()}
    others = {p: state[p] for p in start.state if p in state}
    return start.with_state(others).pruned(weights, masks, zeros)


def _remaining(
    seed: int, arm: str, round: int, step: int, masks: Arrays
) -> Iterator[Record]:
    """Yields the fraction of weights kept, layer by layer and of all."""
    everything = np.concatenate([mask.ravel() for mask in masks.values()])
    for path, kept in {**masks, "all": everything}.items():
        mean = float(np.mean(kept, dtype=np.float64))
        yield Record(seed, arm, round, step, path, "remaining", mean)


def _highest(scores: np.ndarray, kept: float) -> np.ndarray:
    """Returns 1 where `TopKMask` keeps weights, 0 elsewhere."""
    number = max(1, int(kept * scores.size + 1e-6))
    order = np.argsort(-np.abs(scores).ravel(), kind="stable")
    mask = np.zeros(scores.size, np.float32)
    mask[order[:number]] = 1
    return mask.reshape(scores.shape)


def _picture(probabilities: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns histograms of the probabilities, and the first layer's sums.

    The sums say how much of each pixel the first hidden layer is expected to
    see: `[pixels]`, the mean of p over the layer's units.
    """
    arrays = {}
    for path, p in probabilities.items():
        counts, _ = np.histogram(p, HISTOGRAM_BINS, range=(0, 1))
        arrays[f"histogram {path}"] = counts
    first = next(iter(probabilities.values()))
    arrays["first layer"] = first.mean(axis=-1).reshape(-1)
    return arrays


def _sigmoid(x: np.ndarray) -> np.ndarray:
    # Half a tanh: no overflow at either end.
    return 0.5 * (1 + np.tanh(0.5 * x))


def _he(w: np.ndarray) -> float:
    """Returns the standard deviation of He et al. 2015 over Glorot's."""
    fan_in, fan_out = w.shape[-2:]
    return math.sqrt((fan_in + fan_out) / fan_in)
