import keras
import pytest

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.training import optimizers
from tf_lottery.training.recipes import Recipe

OF_KERAS = [
    kind
    for kind in vars(keras.optimizers).values()
    if isinstance(kind, type)
    and issubclass(kind, keras.optimizers.Optimizer)
    # Those that are made of others.
    and kind.__name__ not in ("Optimizer", "LossScaleOptimizer")
    and kind.__name__ != "MultiOptimizer"
]
SCHEDULES = [
    keras.optimizers.schedules.ExponentialDecay(0.1, 100, 0.9),
    keras.optimizers.schedules.PiecewiseConstantDecay([10], [0.1, 0.01]),
    keras.optimizers.schedules.PolynomialDecay(0.1, 100),
    keras.optimizers.schedules.InverseTimeDecay(0.1, 100, 0.5),
    keras.optimizers.schedules.CosineDecay(0.0, 9, warmup_target=0.1),
    keras.optimizers.schedules.CosineDecayRestarts(0.1, 100),
]


def recipe(kind="Adam", **config):
    return Recipe(optimizer={"class_name": kind, "config": config})


@pytest.mark.parametrize("kind", OF_KERAS)
def test_what_keras_takes_by_itself_passes(kind):
    optimizer = kind(global_clipnorm=1.0, weight_decay=0.1)
    optimizers.check(optimizer.get_config())


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_pass(schedule):
    recipe(learning_rate=keras.saving.serialize_keras_object(schedule))


@pytest.mark.parametrize(
    "config, expected",
    [
        ({"learning_rate": -1.0}, r"learning_rate .* at least 0, received -1"),
        ({"learning_rate": float("nan")}, "finite number, received nan"),
        ({"learning_rate": float("inf")}, "finite number, received inf"),
        ({"learning_rate": None}, "finite number, received None"),
        ({"beta_1": "x"}, "beta_1 of OPTIMIZER to be a finite.*'x'"),
        ({"beta_1": 1.0}, r"beta_1 .* in \[0, 1\), received 1.0"),
        ({"weight_decay": ()}, r"weight_decay .* finite number, received \(\)"),
        ({"weight_decay": {}}, r"weight_decay .* finite number, received \{\}"),
        ({"clipnorm": -1}, "clipnorm .* more than 0, received -1"),
        ({"clipvalue": 0.0}, "clipvalue .* more than 0, received 0.0"),
        ({"global_clipnorm": True}, "global_clipnorm .* received True"),
        ({"weight_decay": -1e-4}, "weight_decay .* at least 0, received -0"),
        ({"epsilon": -1e-9}, "epsilon .* at least 0, received -1e-09"),
        ({"ema_momentum": 1.5}, r"ema_momentum .* in \[0, 1\], received 1.5"),
        ({"use_ema": "yes"}, "use_ema .* True or False, received 'yes'"),
        ({"gradient_accumulation_steps": 1}, "at least 2, received 1"),
        ({"unknown": float("inf")}, "unknown .* finite number, received inf"),
    ],
)
def test_an_argument_out_of_its_range_is_named(config, expected):
    with pytest.raises(InvalidValue, match=expected):
        recipe(**{"learning_rate": 0.1, **config})


def test_momentum_below_1():
    with pytest.raises(InvalidValue, match=r"momentum .* in \[0, 1\)"):
        recipe("SGD", learning_rate=0.1, momentum=1.0)


@pytest.mark.parametrize(
    "config",
    [
        {"initial_learning_rate": -0.1},
        {"decay_steps": 0},
        {"values": [1, -1]},
        {"values": 3},
    ],
)
def test_a_schedule_out_of_its_range_is_named(config):
    schedule = {"class_name": "CosineDecay", "config": config}
    with pytest.raises(InvalidValue, match=f"the {next(iter(config))} of OPT"):
        recipe(learning_rate=schedule)
