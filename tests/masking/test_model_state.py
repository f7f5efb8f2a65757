import numpy as np
import pytest

from tf_lottery.masking.kernels import masked_layers
from tf_lottery.masking.masks import BernoulliMask, fixed_mask
from tf_lottery.masking.model_state import (
    effective_weights,
    load_state,
    read_state,
    read_ticket,
)
from tf_lottery.rules import actions
from tf_lottery.workloads.models.lenet import LeNet
from tf_lottery.workloads.task import Shapes


@pytest.fixture
def model():
    return LeNet((5, 4))(Shapes((3, 3, 1), 2), fixed_mask, seed=0)


def test_a_ticket_holds_every_variable_once(model):
    ticket = read_ticket(model)
    assert list(ticket.weights) == ["fc1/kernel", "fc2/kernel", "output/kernel"]
    assert "fc1/kernel_mask/value" in ticket.state
    assert ticket.arrays().keys() == {v.path for v in model.weights}


def test_a_state_goes_from_one_model_to_another(model):
    other = LeNet((5, 4))(Shapes((3, 3, 1), 2), fixed_mask, seed=1)
    load_state(other, read_state(model))
    x = np.random.default_rng(0).random((4, 3, 3, 1), np.float32)
    assert np.array_equal(model(x), other(x))


def test_effective_weights_are_masked(model):
    layer = next(iter(masked_layers(model)))
    value = np.arange(45).reshape(9, 5) % 2
    layer.kernel_mask.assign(value, np.full((9, 5), 7.0))
    expected = np.where(value, layer.raw_kernel.numpy(), 7)
    assert np.array_equal(effective_weights(model)["fc1/kernel"], expected)


def test_a_state_of_another_shape_or_model_is_refused(model):
    state = read_state(model)
    wrong = {**state, "fc1/bias": np.ones(5), "output/bias": np.zeros(3)}
    with pytest.raises(ValueError, match=r"output/bias of shape \(2,\).*3,"):
        load_state(model, wrong)
    learned = LeNet((5, 4))(Shapes((3, 3, 1), 2), BernoulliMask, seed=0)
    with pytest.raises(ValueError, match="expected a state with the variables"):
        load_state(learned, state)
    assert all(
        np.array_equal(state[path], now)
        for path, now in read_state(model).items()
    )


def test_actions_change_the_weights_and_nothing_else(model):
    ticket = read_ticket(model)
    constant = ticket.with_weights(actions.signed_constant)
    for path, w in ticket.weights.items():
        np.testing.assert_allclose(
            constant.weights[path], np.sign(w) * np.std(w), rtol=1e-6
        )
        assert constant.weights[path].dtype == w.dtype
    assert constant.state is ticket.state
    rewound = ticket.with_weights(actions.rewind)
    assert all(rewound.weights[p] is w for p, w in ticket.weights.items())


def test_signed_constant_of_hand_made_weights():
    w = np.array([3, -1, 0, 2], "float32")  # variance 14/4 - 1
    expected = np.array([1, -1, 0, 1]) * np.sqrt(2.5)
    np.testing.assert_allclose(actions.signed_constant(w), expected, rtol=1e-6)
