"""Learned supermasks: which weights to keep, learned on weights that stay.

An untrained network is not trained; for each of its weights, the probability
of being kept is (Zhou et al. 2019, section 5, and `masks.BernoulliMask`). Four
arms make up the part of the paper's table 1 that is learned:

    init                    the weights as they were initialised
    signed constant         each layer's standard deviation, with their signs
    DWR init                as above, with Dynamic Weight Rescaling
    DWR signed constant
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from tf_lottery.experiments.plan import Engine
from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.foundation.records import Record, Snapshot
from tf_lottery.masking.masks import BernoulliMask
from tf_lottery.rules import actions
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.request import Training

# Arm -> (what the weights become, whether to rescale).
ARMS = {
    "init": (actions.rewind, False),
    "signed constant": (actions.signed_constant, False),
    "DWR init": (actions.rewind, True),
    "DWR signed constant": (actions.signed_constant, True),
}

HISTOGRAM_BINS = 40


@dataclass(frozen=True)
class Supermask:
    """Learns one supermask for each arm.

    Args:
        recipe: How; its `kernel_mask` is set by the arm.
        arms: Which of `ARMS`.
        initial_logit: Where the logits of all masks start, which decides
            how many weights are kept in the end. None is 0, the paper's
            default: half of them.

    Raises:
        InvalidValue: An arm is not known, or a field is of the wrong type.
    """

    kind: ClassVar[str] = "supermask"

    recipe: Recipe
    arms: tuple[str, ...] = tuple(ARMS)
    initial_logit: float | None = None

    def __post_init__(self) -> None:
        checks.kind("Supermask.recipe", self.recipe, Recipe)
        if not isinstance(self.arms, list | tuple) or not self.arms:
            raise InvalidValue(
                f"expected ARMS to be a list of names, received {self.arms!r}"
            )
        for arm in self.arms:
            checks.one_of("ARMS", arm, ARMS)
        if self.initial_logit is not None:
            checks.number("INITIAL_LOGIT", self.initial_logit)

    def rehearse(self, engine: Engine) -> None:
        """Builds the network once."""
        engine.new_ticket(self.recipe, 0)

    def chain(
        self, arm: str, seed: int, engine: Engine
    ) -> Iterator[Record | Snapshot]:
        """Yields what the mask of one training looks like in the end."""
        action, rescale = ARMS[arm]
        options: dict[str, Any] = {"rescale": rescale}
        if self.initial_logit is not None:
            options["initial_logit"] = self.initial_logit
        mask = functools.partial(BernoulliMask, **options)
        recipe = replace(self.recipe, kernel_mask=mask)
        ticket = engine.new_ticket(recipe, seed).with_weights(action)
        result = engine.train(Training(recipe, ticket, seed))
        probabilities = {
            path: _sigmoid(result.state[f"{path}_mask/logits"])
            for path in ticket.weights
        }
        for path, p in probabilities.items():
            yield _remaining(seed, arm, recipe.steps, path, p)
        everything = np.concatenate([p.ravel() for p in probabilities.values()])
        yield _remaining(seed, arm, recipe.steps, "all", everything)
        yield Snapshot(seed, arm, 0, _picture(probabilities))


def _remaining(
    seed: int, arm: str, step: int, path: str, p: np.ndarray
) -> Record:
    # The expected fraction of weights kept, as the paper's code reports it.
    mean = float(np.mean(p, dtype=np.float64))
    return Record(seed, arm, 0, step, path, "remaining", mean)


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
