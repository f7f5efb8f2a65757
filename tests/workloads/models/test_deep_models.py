"""Residual networks and VGGs, against a reading of the papers by tf.nn."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking import model_state
from tf_lottery.masking.kernels import masked_layers
from tf_lottery.masking.masks import fixed_mask
from tf_lottery.rules import pruning
from tf_lottery.workloads.models import vgg
from tf_lottery.workloads.models.normalized import EPSILON
from tf_lottery.workloads.models.resnet import Resnet
from tf_lottery.workloads.models.vgg import Vgg
from tf_lottery.workloads.task import Shapes

CIFAR = Shapes((32, 32, 3), 10)
MOMENTS = ("mean", "variance")
NETWORKS = [Resnet(depth=20, width=4), Resnet(depth=8), Vgg(16, width=3)]


def sizes(model):
    return {
        x.name: int(np.prod(x.raw_kernel.shape)) for x in masked_layers(model)
    }


def test_resnet_20_has_the_weights_of_the_paper():
    model = Resnet()(CIFAR, fixed_mask, seed=0)
    found = sizes(model)
    convolutions = [n for name, n in found.items() if "conv" in name]
    assert (len(convolutions), sum(convolutions)) == (19, 267_696)
    projections = [n for name, n in found.items() if "projection" in name]
    assert (sum(projections), found["output"]) == (2_560, 640)
    rates = (("conv", 0.2), ("projection", None), ("output", None))
    paths = [layer.raw_kernel.path for layer in masked_layers(model)]
    assert len(pruning.rates_by_path(rates, paths)) == 22


@pytest.mark.parametrize("depth", vgg.LAYERS)
def test_vggs_have_their_convolutions(depth):
    found = sizes(Vgg(depth, width=2)(CIFAR, fixed_mask, seed=0))
    assert len(found) == depth - 2
    # Of width 64, VGG-19 has 20,024,000 with its output layer of 5,120.
    if depth == 19:
        convolutions = sum(found.values()) - found["output"]
        first = 9 * 3 * 2
        assert (convolutions - first) * 32**2 + first * 32 + 5_120 == 20_024_000


def read(model, training, images):
    """What the network gives, without Keras: from its state by name."""
    state = model_state.read_state(model)

    def convolution(x, name, strides=1, relu=True):
        x = tf.nn.conv2d(x, state[f"{name}/kernel"], strides, "SAME")
        moving = (f"{name}_norm/moving_{what}" for what in MOMENTS)
        mean, variance = (
            tf.nn.moments(x, [0, 1, 2])
            if training
            else (state[path] for path in moving)
        )
        x = (x - mean) / tf.sqrt(variance + EPSILON)
        x = x * state[f"{name}_norm/gamma"] + state[f"{name}_norm/beta"]
        return tf.nn.relu(x) if relu else x

    x = tf.constant(images)
    names = [layer.name for layer in masked_layers(model)]
    if model.name.startswith("vgg"):
        x = convolution(x, "conv1")
        ends = np.cumsum(vgg.LAYERS[16])
        for name in names[1:-1]:
            if int(name.removeprefix("conv")) - 1 in ends:
                x = tf.nn.max_pool2d(x, 2, 2, "VALID")
            x = convolution(x, name)
    else:
        x = convolution(x, "conv1")
        blocks = [n[: -len("_conv1")] for n in names if n.endswith("_conv1")]
        for block in blocks:
            projected = f"{block}_projection" in names
            around = x
            if projected:
                around = convolution(x, f"{block}_projection", 2, relu=False)
            x = convolution(x, f"{block}_conv1", 2 if projected else 1)
            x = convolution(x, f"{block}_conv2", relu=False)
            x = tf.nn.relu(x + around)
    x = tf.reduce_mean(x, [1, 2])
    return (x @ state["output/kernel"] + state["output/bias"]).numpy()


@pytest.mark.parametrize("network", NETWORKS, ids=str)
@pytest.mark.parametrize("training", [False, True])
def test_outputs_are_those_of_the_formulas(network, training):
    model = network(CIFAR, fixed_mask, seed=3)
    generator = np.random.default_rng(0)
    for variable in model.weights:  # statistics, scales and offsets of a life
        if "norm" in variable.path:
            drawn = generator.uniform(0.5, 1.5, variable.shape)
            variable.assign(drawn.astype(np.float32))
    images = generator.random((6, 32, 32, 3), np.float32)
    expected = read(model, training, images)
    found = keras.ops.convert_to_numpy(model(images, training=training))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-5)


def test_moving_statistics_follow_the_batch():
    model = Resnet(depth=8, width=2)(CIFAR, fixed_mask, seed=0)
    images = np.random.default_rng(0).random((4, 32, 32, 3), np.float32)
    conv, norm = model.get_layer("conv1"), model.get_layer("conv1_norm")
    inside = keras.ops.convert_to_numpy(conv(images))
    model(images, training=True)
    # One step of ten towards the batch, from zero and from one.
    mean = inside.mean((0, 1, 2)) / 10
    np.testing.assert_allclose(norm.moving_mean, mean, rtol=1e-4, atol=1e-7)
    variance = 0.9 + inside.var((0, 1, 2)) / 10
    np.testing.assert_allclose(norm.moving_variance, variance, rtol=1e-4)


def test_gradients_through_synchronized_statistics_are_those_of_one_device(
    two_devices,
):
    images = np.random.default_rng(0).random((8, 16, 16, 3), np.float32)
    weights = np.random.default_rng(1).random((8, 10), np.float32)
    network, shapes = Resnet(depth=8, width=2), Shapes((16, 16, 3), 10)

    def gradients(model, images, weights):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(images, training=True) * weights)
        return tape.gradient(loss, [v.value for v in model.trainable_variables])

    alone = network(shapes, fixed_mask, seed=0)
    expected = gradients(alone, tf.constant(images), tf.constant(weights))
    with two_devices.scope():
        model = network(shapes, fixed_mask, seed=0)

    @tf.function
    def step():
        def replica(part, own):
            found = gradients(model, part, own)
            context = tf.distribute.get_replica_context()
            return context.all_reduce("SUM", found)

        halves = [
            two_devices.experimental_distribute_values_from_function(
                lambda c, a=a: tf.split(a, 2)[c.replica_id_in_sync_group]
            )
            for a in (images, weights)
        ]
        return two_devices.run(replica, halves)

    found = [two_devices.experimental_local_results(g)[0] for g in step()]
    for one, other in zip(found, expected, strict=True):
        scale = np.abs(other).max() or 1
        np.testing.assert_allclose(one / scale, other / scale, atol=1e-4)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda: Resnet(depth=21), "6n \\+ 2.*received 21"),
        (lambda: Resnet(depth=2), "6n \\+ 2.*received 2"),
        (lambda: Resnet(width=0), "WIDTH"),
        (lambda: Vgg(depth=12), "one of \\[11, 13, 16, 19\\], received 12"),
        (
            lambda: Vgg()(Shapes((8, 8, 3), 10), fixed_mask, 0),
            "at least 16 x 16 pixels for VGG-19",
        ),
        (
            lambda: Resnet()(Shapes((3, 9, 1), 10), fixed_mask, 0),
            "at least 4 x 4 pixels for ResNet-20",
        ),
        (lambda: Vgg()(Shapes((40,), 10), fixed_mask, 0), "height, width"),
    ],
)
def test_networks_that_there_are_not(network, message):
    with pytest.raises(InvalidValue, match=message):
        network()
