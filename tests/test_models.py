import numpy as np
import pytest

from tf_lottery.masks import BernoulliMask, fixed_mask
from tf_lottery.models.lenet import LeNet
from tf_lottery.variables import masked_layers


def build(seed=0, kernel_mask=fixed_mask, **kwargs):
    return LeNet(**kwargs)((28, 28, 1), 10, kernel_mask, seed)


def test_lenet_has_the_weights_of_the_paper():
    model = build()
    shapes = [tuple(x.raw_kernel.shape) for x in masked_layers(model)]
    assert shapes == [(784, 300), (300, 100), (100, 10)]
    assert model.count_params() >= 266_610


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
