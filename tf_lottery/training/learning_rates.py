"""Learning rates that change while a network trains.

Keras' own schedules are values of a recipe's optimizer as they are; step decay
and cosine, with restarts or without, are among them. Here is what it lacks:

>>> steps = {"class_name": "PiecewiseConstantDecay", "config": {
...     "boundaries": [20_000, 25_000], "values": [0.03, 0.003, 0.0003]}}
>>> rate = WarmUp(steps, warmup_steps=10_000)
>>> [round(float(rate(step)), 6) for step in (0, 5_000, 15_000, 22_000)]
[0.0, 0.015, 0.03, 0.003]
"""

import functools
import json
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from tf_lottery.foundation import identity
from tf_lottery.foundation.checks import InvalidValue

LOOKED_AT = 200
"""At how many steps of a training a schedule is looked at beforehand."""


@keras.saving.register_keras_serializable("tf_lottery")
class WarmUp(LearningRateSchedule):
    """Rises in a straight line from 0, and follows another rate from then on.

    At step t it is `min(1, t / warmup_steps)` times the other rate at t.

    Args:
        learning_rate: The other rate: a number, or a schedule, which may be
            given as Keras serializes it.
        warmup_steps: Steps until it is reached; 0 warms nothing up.

    References:
        Frankle & Carbin 2019, section 4.
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Mapping,
        warmup_steps: int,
    ) -> None:
        super().__init__()
        if isinstance(learning_rate, Mapping):
            learning_rate = keras.optimizers.schedules.deserialize(
                dict(learning_rate)
            )
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps

    def __call__(self, step: Any) -> Any:
        """Returns the rate of a step."""
        rate = self.learning_rate
        full = rate(step) if isinstance(rate, LearningRateSchedule) else rate
        done = ops.cast(step, "float32") / max(1, self.warmup_steps)
        # A warm-up of no steps is over before the first one.
        share = ops.minimum(done, 1.0) if self.warmup_steps else 1.0
        return share * full

    def get_config(self) -> dict[str, Any]:
        """Returns what makes the same schedule again."""
        rate = self.learning_rate
        if isinstance(rate, LearningRateSchedule):
            rate = keras.optimizers.schedules.serialize(rate)
        return {"learning_rate": rate, "warmup_steps": self.warmup_steps}


class Later(LearningRateSchedule):
    """A schedule, from one of its steps on.

    For trainings that go on from a step with an optimizer that starts anew:
    its own count of steps, which Adam corrects its means by, starts at zero.

    Args:
        schedule: The schedule.
        first_step: The step that the first one is.
    """

    def __init__(self, schedule: LearningRateSchedule, first_step: int) -> None:
        super().__init__()
        self.schedule = schedule
        self.first_step = first_step

    def __call__(self, step: Any) -> Any:
        """Returns the rate of a step, counted from the first one here."""
        return self.schedule(step + self.first_step)

    def get_config(self) -> dict[str, Any]:
        """Returns what makes the same schedule again."""
        schedule = keras.optimizers.schedules.serialize(self.schedule)
        return {"schedule": schedule, "first_step": self.first_step}


def of_recipe(rate: Any, first_step: int | None, steps: int) -> Any:
    """Returns the learning rate of a training, for Keras.

    Args:
        rate: A number, or a schedule as Keras serializes it.
        first_step: Of the training; None is 0.
        steps: After which it ends.

    Raises:
        InvalidValue: A schedule is not a number of at least 0 throughout.
    """
    if not isinstance(rate, Mapping):
        return rate
    said = json.dumps(identity.canonical(rate), sort_keys=True, default=str)
    schedule = keras.optimizers.schedules.deserialize(json.loads(said))
    if isinstance(schedule, LearningRateSchedule):
        _expect_rates(said, steps)
        if first_step:
            return Later(schedule, first_step)
    return schedule


@functools.cache
def _expect_rates(said: str, steps: int) -> None:
    """Raises InvalidValue unless a serialized schedule gives rates."""
    schedule = keras.optimizers.schedules.deserialize(json.loads(said))
    for step in np.unique(np.linspace(0, steps - 1, LOOKED_AT).astype(int)):
        rate = float(schedule(int(step)))
        if not 0 <= rate < np.inf:
            raise InvalidValue(
                "expected the learning_rate of OPTIMIZER (LEARNING_RATE) to be "
                f"a finite number of at least 0 in every step, received {rate} "
                f"in step {step:,} of {steps:,}, from {said}"
            )
