"""Trainings with normalisation, augmentation, L2 and learning rates that fall.

They must be what all trainings are: a function of recipe, ticket and seed.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from test_train import (
    Memory,
    half_pruned,
    largest_difference,
    recipe,
    run,
    ticket_of,
    train_from,
)

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.training.programs import Programs
from tf_lottery.training.steps import draw_of
from tf_lottery.workloads.classification import ImageClassification
from tf_lottery.workloads.images.augmentation import Augmentation
from tf_lottery.workloads.images.image_sets import Images
from tf_lottery.workloads.images.opened_images import resident
from tf_lottery.workloads.models.resnet import Resnet

TASK = ImageClassification(
    Images("mnist_5k"), Augmentation(padding=2), (0.13,), (0.31,)
)
RATES = {
    "class_name": "tf_lottery>WarmUp",
    "config": {
        "learning_rate": {
            "class_name": "PiecewiseConstantDecay",
            "config": {"boundaries": [6, 9], "values": [0.1, 0.01, 0.001]},
        },
        "warmup_steps": 3,
    },
}
OPTIMIZER = {
    "class_name": "SGD",
    "config": {"learning_rate": RATES, "momentum": 0.9},
}


def deep(**fields):
    fields = {"model": Resnet(depth=8, width=2), **fields}
    fields = {"optimizer": OPTIMIZER, "l2": 1e-3, **fields}
    return recipe(**{"task": TASK, "batch_size": 20, **fields})


def test_it_ends_with_the_same_bits_wherever_it_goes_on(source):
    r = deep()
    memory = Memory()
    programs = Programs(r, source, None, 0)
    ticket = ticket_of(r, source)

    def go(checkpoint):
        options = {"programs": programs, "checkpoint": checkpoint}
        return train_from(r, ticket, 0, source, **options)

    whole = go(memory)
    assert len(memory.saved) > 2
    for saved in memory.saved:
        again = go(Memory(saved))
        assert again.history == whole.history
        assert largest_difference(again.state, whole.state) == 0
    start = ticket.state["conv1_norm/moving_mean"]
    assert (start == 0).all()
    assert (whole.state["conv1_norm/moving_mean"] != 0).any()


def test_one_compilation_serves_every_ticket_and_seed(source):
    r = deep()
    programs = Programs(r, source, None, 0)
    ticket, _ = half_pruned(ticket_of(r, source, 3), frozen_at=0.0)
    shared = train_from(r, ticket, 3, source, programs=programs)
    alone = train_from(r, ticket, 3, source)
    assert shared.history == alone.history
    assert largest_difference(shared.state, alone.state) == 0


def test_the_first_steps_of_a_training_are_those_of_a_shorter_one(source):
    # Without momentum, which starts anew.
    plain = {"learning_rate": RATES}
    plain = {"optimizer": {"class_name": "SGD", "config": plain}}
    short = run(deep(steps=5, **plain), source).state
    r = deep(first_step=5, **plain)
    ticket = ticket_of(r, source)
    weights = {path: short[path] for path in ticket.weights}
    state = {path: short[path] for path in ticket.state}
    later = train_from(r, type(ticket)(weights, state), 0, source)
    whole = run(deep(**plain), source)
    assert largest_difference(later.state, whole.state) == 0


def test_two_devices_equal_one(digits, source, two_devices):
    # One step with a rate of zero and one more: rounding errors grow tenfold
    # in each step of so small a network.
    r = deep(steps=2)
    one = run(r, source)
    both = resident(digits, two_devices)
    two = train_from(r, ticket_of(r, source), 0, both, strategy=two_devices)
    for path, array in one.state.items():
        np.testing.assert_allclose(
            two.state[path].astype(float), array, atol=1e-4, err_msg=path
        )


def test_it_does_what_a_plain_loop_of_keras_does(source):
    r = deep(steps=3)
    ours = run(r, source).state
    model = r.new_model(source.shapes, 0)
    own = r.new_optimizer()
    for step in range(r.steps):
        [rows] = source.rows(0, r.batch_size, step, 1)
        batch = source.take(tf.constant(rows))
        draw = draw_of(0, step, r.batch_size)
        images = TASK.prepare(batch["inputs"], draw)
        with tf.GradientTape() as tape:
            loss = keras.losses.SparseCategoricalCrossentropy(True)(
                batch["targets"], model(images, training=True)
            )
            loss += sum(
                1e-3 / 2 * tf.reduce_sum(v.value**2)
                for v in model.trainable_variables
            )
        gradients = tape.gradient(
            loss, [v.value for v in model.trainable_variables]
        )
        own.apply(gradients, model.trainable_variables)
    for variable in model.weights:
        if "mask" not in variable.path:
            found = ours[variable.path]
            np.testing.assert_allclose(found, variable, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("l2", [0, -1.0, float("nan"), "much"])
def test_l2_that_is_none(l2):
    with pytest.raises(InvalidValue, match="L2"):
        deep(l2=l2)
