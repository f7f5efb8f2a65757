"""Schedules: how many weights are to remain at which step of a training.

A schedule is called with a training step, counted from 0, and returns the
fraction of weights that is to remain from then on, in (0, 1]. It changes in
stairs, so that a network has time to recover between two prunings.

>>> schedule = PolynomialSchedule(0.1, begin_step=100, end_step=500)
>>> [round(schedule(step), 3) for step in (0, 100, 199, 200, 400, 900)]
[1.0, 1.0, 1.0, 0.48, 0.114, 0.1]
>>> schedule = ConstantSchedule(0.5, begin_step=100)
>>> schedule(99), schedule(100)
(1.0, 0.5)
"""

from dataclasses import dataclass
from typing import Any, Protocol

from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue


class Schedule(Protocol):
    """From a step to the fraction that is to remain."""

    @property
    def end_step(self) -> int:
        """From where on it does not change."""

    def __call__(self, step: int) -> float:
        """Returns the fraction that is to remain at a step, in (0, 1]."""


@dataclass(frozen=True)
class ConstantSchedule:
    """Prunes once.

    Args:
        remaining: Fraction that remains from `begin_step` on, in (0, 1].
        begin_step: When it is pruned.

    Raises:
        InvalidValue: A field is of the wrong type or range.
    """

    remaining: float
    begin_step: int = 0

    def __post_init__(self) -> None:
        checks.fraction("remaining", self.remaining)
        _expect_step("begin_step", self.begin_step)

    @property
    def end_step(self) -> int:
        """As of every schedule."""
        return self.begin_step

    def __call__(self, step: int) -> float:
        """As every schedule is called."""
        return self.remaining if step >= self.begin_step else 1.0


@dataclass(frozen=True)
class PolynomialSchedule:
    """Prunes much at first, and less and less.

    Between the two steps the fraction is

        remaining + (initial - remaining) * (1 - progress) ** power

    with `progress` from 0 to 1.

    Args:
        remaining: Fraction at the end, in (0, 1].
        begin_step: Where it begins to prune.
        end_step: From where on `remaining` remains.
        initial: Fraction at `begin_step`; all weights remain before it.
        power: Of the polynomial; 1 is a line.
        every: Steps from one pruning to the next.

    Raises:
        InvalidValue: A field is of the wrong type or range.

    References:
        Zhu & Gupta 2017, "To prune, or not to prune", section 3, with their
        power of 3 and their 100 steps between two prunings.
    """

    remaining: float
    begin_step: int
    end_step: int
    initial: float = 1.0
    power: float = 3.0
    every: int = 100

    def __post_init__(self) -> None:
        checks.fraction("remaining", self.remaining)
        checks.fraction("initial", self.initial)
        _expect_step("begin_step", self.begin_step)
        checks.positive_int("end_step", self.end_step)
        checks.positive_int("every", self.every)
        checks.number("power", self.power)
        if self.power <= 0:
            raise InvalidValue(
                f"expected power to be above 0, received {self.power}"
            )
        if self.end_step <= self.begin_step:
            raise InvalidValue(
                f"expected end_step after begin_step, {self.begin_step}, "
                f"received {self.end_step}"
            )
        if self.remaining > self.initial:
            raise InvalidValue(
                f"expected remaining to be at most initial, {self.initial}, "
                f"received {self.remaining}: weights do not come back"
            )

    def __call__(self, step: int) -> float:
        """As every schedule is called."""
        if step >= self.end_step:
            return self.remaining
        if step < self.begin_step:
            return 1.0
        stair = (step - self.begin_step) // self.every * self.every
        left = 1 - stair / (self.end_step - self.begin_step)
        return (
            self.remaining + (self.initial - self.remaining) * left**self.power
        )


def _expect_step(name: str, value: Any) -> None:
    if value != 0:
        checks.positive_int(name, value)
