import numpy as np
import pytest

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.kernels import masked_layers
from tf_lottery.masking.masks import BernoulliMask, fixed_mask
from tf_lottery.workloads.models.conv import Conv
from tf_lottery.workloads.models.lenet import LeNet
from tf_lottery.workloads.task import Shapes


def build(seed=0, kernel_mask=fixed_mask, **kwargs):
    return LeNet(**kwargs)(Shapes((28, 28, 1), 10), kernel_mask, seed)


def test_lenet_has_the_weights_of_the_paper():
    model = build()
    shapes = [tuple(x.raw_kernel.shape) for x in masked_layers(model)]
    assert shapes == [(784, 300), (300, 100), (100, 10)]
    assert model.count_params() >= 266_610


CONV_WEIGHTS = {1: 4_300_992, 2: 2_425_024, 3: 2_261_184}


@pytest.mark.parametrize("blocks", CONV_WEIGHTS)
def test_conv_nets_have_the_weights_of_the_paper(blocks):
    model = Conv(blocks)(Shapes((32, 32, 3), 10), fixed_mask, seed=0)
    layers = list(masked_layers(model))
    sizes = [np.prod(layer.raw_kernel.shape) for layer in layers]
    assert sum(sizes) == CONV_WEIGHTS[blocks]
    convs = [f"conv{i}" for i in range(1, 2 * blocks + 1)]
    assert [x.name for x in layers] == [*convs, "fc1", "fc2", "output"]
    assert model.output_shape == (None, 10)
    assert not any("bias" in v.path for v in unbiased(blocks).weights)


def unbiased(blocks):
    return Conv(blocks, use_bias=False)(
        Shapes((32, 32, 3), 10), fixed_mask, seed=0
    )


def test_conv_kernels_are_glorot_normal():
    model = Conv(blocks=2)(Shapes((32, 32, 3), 10), fixed_mask, seed=0)
    # The standard deviations that the papers' sheet lists.
    expected = {"conv1": 0.05759, "conv3": 0.03402, "fc1": 0.01539}
    for name, std in expected.items():
        kernel = model.get_layer(name).raw_kernel.numpy()
        assert abs(kernel.std() / std - 1) < 0.05


@pytest.mark.parametrize("wrong", [{"blocks": 4}, {"blocks": "two"}])
def test_conv_nets_that_there_are_not(wrong):
    with pytest.raises(ValueError, match="expected BLOCKS"):
        Conv(**wrong)


def test_kernels_are_glorot_normal_and_biases_zero():
    for layer in masked_layers(build()):
        kernel = layer.raw_kernel.numpy()
        std = np.sqrt(2 / sum(kernel.shape))
        assert abs(kernel.std() / std - 1) < 0.1
        # Truncated at two standard deviations of the normal below.
        assert np.abs(kernel).max() <= 2 * std / 0.8796 * 1.001
        assert not layer.bias.numpy().any()


def test_a_layer_starts_the_same_whatever_is_around_it():
    for kwargs in ({}, {"use_bias": False}, {"hidden": (300, 100, 50)}):
        model = build(**kwargs)
        first = next(iter(masked_layers(model))).raw_kernel.numpy()
        expected = next(iter(masked_layers(build()))).raw_kernel.numpy()
        assert np.array_equal(first, expected)
    other = next(iter(masked_layers(build(seed=1)))).raw_kernel.numpy()
    assert not np.array_equal(other, expected)


def test_masks_have_seeds_of_their_own():
    model = build(kernel_mask=BernoulliMask)
    seeds = [layer.kernel_mask.seed for layer in masked_layers(model)]
    assert len(set(seeds)) == 3


@pytest.mark.parametrize(
    "wrong", [{"hidden": (300, 0)}, {"hidden": ("many",)}, {"use_bias": 1}]
)
def test_fields_of_the_wrong_type_are_refused(wrong):
    with pytest.raises(ValueError, match="expected LeNet"):
        LeNet(**wrong)


@pytest.mark.parametrize("network", [LeNet, Conv])
def test_kernels_start_as_the_initializer_says(network):
    normal = {"class_name": "RandomNormal", "config": {"stddev": 0.3}}

    def kernels(seed):
        model = network(initializer=normal)(
            Shapes((32, 32, 3), 10), fixed_mask, seed
        )
        return [x.raw_kernel.numpy() for x in masked_layers(model)]

    for kernel, again, other in zip(*map(kernels, (0, 0, 1)), strict=True):
        assert abs(kernel.std() / 0.3 - 1) < 0.1
        np.testing.assert_array_equal(kernel, again)
        assert not np.array_equal(kernel, other)


@pytest.mark.parametrize(
    "initializer",
    [
        {"class_name": "RandomNormall", "config": {}},
        {"class_name": "RandomNormal", "config": {"std": 1}},
        {"class_name": "Zeros", "config": {}},
        "he_normal",
    ],
)
def test_an_initializer_that_keras_does_not_know_is_named(initializer):
    with pytest.raises(InvalidValue, match="expected an initializer as"):
        LeNet(initializer=initializer)


def test_dropout_is_behind_the_hidden_dense_layers():
    shapes = Shapes((8, 8, 3), 10)
    model = Conv(dropout=0.25)(shapes, fixed_mask, seed=0)
    names = [layer.name for layer in model.layers if layer.count_params() == 0]
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds[-5:] == [
        *("MaskedDense", "Dropout", "MaskedDense", "Dropout", "MaskedDense")
    ]
    assert len(names) == 5  # images, pool1, flatten and two that drop
    images = np.ones((2, 8, 8, 3), np.float32)
    first, second = (np.array(model(images, training=True)) for _ in "ab")
    assert not np.array_equal(first, second)
    again = Conv(dropout=0.25)(shapes, fixed_mask, seed=0)
    assert np.array_equal(first, np.array(again(images, training=True)))
    plain = Conv()(shapes, fixed_mask, seed=0)
    assert np.array_equal(model(images), plain(images))


def test_dropout_drops_a_fraction():
    with pytest.raises(InvalidValue, match=r"Conv\.dropout"):
        Conv(dropout=1.5)
