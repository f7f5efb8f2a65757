import keras
import numpy as np
import pytest

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.training.learning_rates import Later, WarmUp
from tf_lottery.training.recipes import Recipe

STEPS = {
    "class_name": "PiecewiseConstantDecay",
    "config": {"boundaries": [20, 25], "values": [0.03, 0.003, 0.0003]},
}


def warm_up(rate, steps):
    config = {"learning_rate": rate, "warmup_steps": steps}
    return {"class_name": "tf_lottery>WarmUp", "config": config}


def recipe(rate, **fields):
    config = {"learning_rate": rate, "momentum": 0.9, "nesterov": True}
    optimizer = {"class_name": "SGD", "config": config}
    return Recipe(optimizer=optimizer, **{"steps": 30, **fields})


def rates(r):
    """What the optimizer's rate is in each step that it makes."""
    optimizer = r.new_optimizer()
    weight = keras.Variable(np.zeros(1, np.float32))
    optimizer.build([weight])
    found = []
    for _ in range(r.first_step or 0, r.steps):
        found.append(float(optimizer.learning_rate))
        optimizer.apply([np.ones(1, np.float32)], [weight])
    return found


def test_a_rate_warms_up_in_a_straight_line_and_falls_in_steps():
    # Keras takes the value at a boundary for the steps before it.
    full = [0.03] * 21 + [0.003] * 5 + [0.0003] * 4
    expected = [rate * min(1, t / 10) for t, rate in enumerate(full)]
    assert rates(recipe(warm_up(STEPS, 10))) == pytest.approx(expected)
    assert rates(recipe(STEPS)) == pytest.approx(full)
    assert rates(recipe(warm_up(0.5, 4), steps=6)) == pytest.approx(
        [0, 0.125, 0.25, 0.375, 0.5, 0.5]
    )
    assert rates(recipe(warm_up(0.5, 0), steps=2)) == [0.5, 0.5]


@pytest.mark.parametrize("rate", [STEPS, warm_up(STEPS, 10), 0.1])
def test_a_training_that_goes_on_has_the_rates_from_there_on(rate):
    whole = rates(recipe(rate))
    assert rates(recipe(rate, first_step=7)) == pytest.approx(whole[7:])


def test_schedules_can_be_saved():
    one = WarmUp(STEPS, 10)
    for schedule in (one, Later(one, 3)):
        config = keras.saving.serialize_keras_object(one)
        again = keras.saving.deserialize_keras_object(config)
        assert float(again(5)) == float(one(5)) == pytest.approx(0.015)
        assert schedule.get_config()


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        (warm_up(float("nan"), 10), "finite number, received nan"),
        (warm_up(0.1, -1), "warmup_steps .* at least 0, received -1"),
        (warm_up("fast", 10), "learning_rate"),
        (warm_up({"class_name": "Nowhere", "config": {}}, 1), "Nowhere"),
        (
            {
                "class_name": "PolynomialDecay",
                "config": {
                    "initial_learning_rate": 0.1,
                    "decay_steps": 10,
                    "end_learning_rate": 0.0,
                    "power": 1.0,
                    "cycle": True,
                },
            },
            None,
        ),
        (
            {
                "class_name": "ExponentialDecay",
                "config": {
                    "initial_learning_rate": 0.1,
                    "decay_steps": 1,
                    "decay_rate": 1e30,
                },
            },
            "at least 0 in every step, received inf in step 2 of 30",
        ),
    ],
)
def test_rates_that_are_none(rate, message):
    if message is None:
        recipe(rate)
        return
    with pytest.raises(InvalidValue, match=message):
        recipe(rate)
