import keras
import numpy as np
import pytest
import tensorflow as tf
from test_deep_trainings import deep
from test_train import recipe, ticket_of

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.training.programs import Programs
from tf_lottery.workloads.images.image_sets import Images
from tf_lottery.workloads.images.opened_images import (
    StreamedImages,
    resident,
)


@pytest.fixture(scope="module")
def programs(source):
    return Programs(deep(), source, None, 0)


def statistics(model):
    norm = model.get_layer("conv1_norm")
    found = norm.moving_mean, norm.moving_variance
    return [keras.ops.convert_to_numpy(v) for v in found]


def test_they_are_means_over_the_first_batches(programs, source):
    r = deep()
    ticket = ticket_of(r, source)
    programs.evaluate(ticket, 0, statistics=3 * r.batch_size)
    mean, variance = statistics(programs.model)
    rows = source.rows(0, r.batch_size, 0, 3)
    found = []
    for row in rows:
        batch = source.take(tf.constant(row))
        images = r.task.prepare(batch["inputs"])
        inside = programs.model.get_layer("conv1")(images).numpy()
        found.append((inside.mean((0, 1, 2)), inside.var((0, 1, 2))))
    means, variances = map(np.array, zip(*found, strict=True))
    # Sums of 15,680 numbers in float32 are off by 1e-4.
    np.testing.assert_allclose(mean, means.mean(0), rtol=1e-3)
    np.testing.assert_allclose(variance, variances.mean(0), rtol=1e-3)


def test_an_evaluation_without_takes_those_of_the_ticket(programs, source):
    ticket = ticket_of(deep(), source)
    plain = programs.evaluate(ticket, 0)
    anew = programs.evaluate(ticket, 0, statistics=100)
    assert plain != anew
    assert programs.evaluate(ticket, 0) == plain
    assert programs.evaluate(ticket, 0, statistics=100) == anew
    assert programs.model.get_layer("conv1_norm").momentum == 0.9


def test_two_devices_measure_what_one_does(programs, digits, two_devices):
    r = deep()
    both = Programs(r, resident(digits, two_devices), two_devices, 0)
    ticket = ticket_of(r, resident(digits, tf.distribute.get_strategy()))
    programs.evaluate(ticket, 0, 60)
    both.evaluate(ticket, 0, 60)
    for one, two in zip(
        programs.model.weights, both.model.weights, strict=True
    ):
        if "moving" in one.path:
            np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-6)


def test_a_network_without_normalisation_has_none(source):
    r = recipe()
    plain = Programs(r, source, None, 0)
    ticket = ticket_of(r, source)
    assert plain.evaluate(ticket, 0, 100) == plain.evaluate(ticket, 0)


def test_streamed_examples_are_refused(data_dir):
    streamed = StreamedImages(Images("mnist_5k", stream=True), data_dir)
    programs = Programs(deep(), streamed, None, 0)
    ticket = ticket_of(deep(), streamed)
    with pytest.raises(InvalidValue, match=r"Images\.stream"):
        programs.evaluate(ticket, 0, 100)
