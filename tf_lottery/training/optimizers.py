"""Optimizers: what the arguments of Keras' optimizers and schedules may be.

Keras takes a learning rate of -1, and trains. So each argument is looked at
where a recipe is made, by its name, which means the same in all of them.
"""

import math
from collections.abc import Mapping
from typing import Any

from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue

BELOW_1 = math.nextafter(1, 0)
ABOVE_0 = math.nextafter(0, 1)
ANY = math.inf

NAMES = {
    (0, ANY): """
        learning_rate weight_decay epsilon epsilon_1 epsilon_2 beta
        initial_accumulator_value l1_regularization_strength
        l2_regularization_strength l2_shrinkage_regularization_strength
        adam_weight_decay adam_lr_ratio rms_rate initial_learning_rate
        end_learning_rate warmup_target warmup_steps decay_rate values
        boundaries t_mul m_mul power
    """,
    (ABOVE_0, ANY): """
        clipnorm clipvalue global_clipnorm clip_threshold loss_scale_factor
        initial_scale decay_steps first_decay_steps
    """,
    (0, BELOW_1): "momentum beta_1 beta_2 rho adam_beta_1 adam_beta_2",
    (0, 1): "ema_momentum alpha",
    (-ANY, 0): "beta_2_decay learning_rate_power",
}
RANGES = {name: ends for ends in NAMES for name in NAMES[ends].split()}
"""From an argument to its least and its greatest value."""

WHOLE = {
    "ema_overwrite_frequency": 1,
    "gradient_accumulation_steps": 2,
    "ns_steps": 1,
    "dynamic_growth_steps": 1,
}
"""From an argument that is a whole number to its least value."""

NESTED = ("learning_rate", "inner_optimizer")
"""May be a schedule or an optimizer, with a config of its own."""

LISTS = ("boundaries", "values")
"""Have several numbers."""

SWITCHES = (
    *("nesterov", "amsgrad", "centered", "use_ema", "relative_step"),
    *("staircase", "cycle", "exclude_embeddings"),
)

OPTIONAL = (
    *("weight_decay", "clipnorm", "clipvalue", "global_clipnorm"),
    *("loss_scale_factor", "warmup_target", "ema_overwrite_frequency"),
    "gradient_accumulation_steps",
)
"""May be None."""


def check(config: Mapping[str, Any]) -> None:
    """Raises InvalidValue for an argument that no optimizer can have.

    Args:
        config: Of an optimizer or a schedule, as Keras serializes it.
    """
    for argument, value in config.items():
        if argument in NESTED and isinstance(value, Mapping):
            inner = value.get("config")
            check(inner if isinstance(inner, Mapping) else {})
        elif value is not None or argument not in OPTIONAL:
            if argument in LISTS:
                checks.sequence(f"the {argument} of OPTIMIZER", value)
            for item in value if argument in LISTS else [value]:
                _check(argument, item)


def _check(argument: str, value: Any) -> None:
    name = f"the {argument} of OPTIMIZER"
    if argument == "learning_rate":
        name += " (LEARNING_RATE)"
        if isinstance(value, int) and not isinstance(value, bool):
            raise InvalidValue(  # Keras takes no whole number for it
                f"expected {name} to be a number with a point, such as "
                f"{float(value)}, received {value}"
            )
    if argument in SWITCHES:
        checks.boolean(name, value)
    elif argument in WHOLE:
        checks.positive_int(name, value)
        if value < WHOLE[argument]:
            raise InvalidValue(
                f"expected {name} to be at least {WHOLE[argument]}, received "
                f"{value}"
            )
    elif argument in RANGES:
        checks.number(name, value)
        least, greatest = RANGES[argument]
        if not least <= value <= greatest:
            raise InvalidValue(
                f"expected {name} to be {_say(least, greatest)}, received "
                f"{value}"
            )
    elif isinstance(value, float):
        checks.number(name, value)


def _say(least: float, greatest: float) -> str:
    if greatest == ANY:
        return "more than 0" if least == ABOVE_0 else f"at least {least}"
    if least == -ANY:
        return f"at most {greatest}"
    end = "1)" if greatest == BELOW_1 else f"{greatest}]"
    return f"in [{least}, {end}"
