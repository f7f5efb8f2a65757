"""The equation between two trainings, on arrays small enough to see."""

import dataclasses
import functools

import numpy as np
import pytest

from tf_lottery.foundation import seeds
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.rules import actions, sensitivity
from tf_lottery.rules.forgetting import Forgetting, Known, forget
from tf_lottery.rules.tickets import Ticket

PATH = "fc/kernel"
W_INIT = np.array([[0.1, -0.2, 0.3], [-0.4, 0.5, -0.6]], np.float32)
TRAINED = np.array([[0.6, -0.1, 0.2], [0.3, 0.5, -0.4]], np.float32)
BIAS = np.array([1.0, 2.0, 3.0], np.float32)


def ticket():
    state = {
        "fc/bias": BIAS,
        f"{PATH}_mask/value": np.ones((2, 3), bool),
        f"{PATH}_mask/frozen": np.zeros((2, 3), np.float32),
    }
    return Ticket({PATH: W_INIT}, state)


def known(round=1):
    return Known(
        dense={PATH: W_INIT},
        fresh=lambda: {PATH: 10 * W_INIT},
        generator=functools.partial(seeds.generator, 0, round),
        derivatives={"gradient": lambda: {PATH: np.arange(6.0).reshape(2, 3)}},
    )


def after(rule, rate=0.5, start=None, trained=TRAINED, **other):
    return forget(
        start or ticket(),
        {PATH: trained, "fc/bias": 9 * BIAS},
        rule,
        {PATH: rate},
        known(),
        **other,
    )


def test_a_lottery_ticket():
    new = after(Forgetting())
    assert new.masks[PATH].tolist() == [[1, 0, 0], [0, 1, 1]]
    assert new.arrays()[PATH].tolist() == (W_INIT * new.masks[PATH]).tolist()
    assert new.arrays()["fc/bias"].tolist() == BIAS.tolist()  # rewound, too
    assert (new.frozen[PATH] == 0).all()
    assert ticket().masks[PATH].all()  # nothing was changed in place


def test_pruned_weights_are_frozen_where_they_were_first_put():
    rule = Forgetting(mask0=actions.rewind)
    one = after(rule, 1 / 6)  # the one at -0.1
    assert one.arrays()[PATH].tolist() == W_INIT.tolist()
    assert one.frozen[PATH].tolist() == [[0, W_INIT[0, 1], 0], [0, 0, 0]]
    # What follows is frozen at zero, and the first one stays.
    two = after(Forgetting(), 1 / 5, start=one)
    assert two.masks[PATH].tolist() == [[1, 0, 0], [1, 1, 1]]
    assert two.frozen[PATH].tolist() == one.frozen[PATH].tolist()
    assert two.arrays()[PATH][0, 2] == 0
    assert two.arrays()[PATH][0, 1] == W_INIT[0, 1]


def test_variant_2_starts_kept_weights_that_shrank_at_zero():
    zero_if_shrunk = actions.zero_if_shrunk
    new = after(Forgetting(mask0=zero_if_shrunk, mask1=zero_if_shrunk))
    # Kept: 0.1 -> 0.6 grew, 0.5 stayed, -0.6 -> -0.4 shrank. Of the pruned
    # ones, all of which shrank, none keeps its value.
    expected = [[W_INIT[0, 0], 0, 0], [0, W_INIT[1, 1], 0]]
    assert new.arrays()[PATH].tolist() == expected


def test_actions_accumulate_over_rounds():
    rule = Forgetting(mask1=actions.reinit)
    one = after(rule)
    two = forget(one, {PATH: TRAINED}, rule, {PATH: 0.5}, known(round=2))
    # The whole layer is shuffled, pruned places included, and again.
    again = seeds.generator(0, 2, "1", PATH).permutation(
        one.weights[PATH].ravel()
    )
    assert two.weights[PATH].ravel().tolist() == again.tolist()


def test_criteria_see_pruned_weights_as_zero_and_actions_as_unmoved():
    seen = {}

    def criterion(w_init, w_final):
        seen["criterion"] = w_init.copy(), w_final.copy()
        return np.abs(w_final)

    def action(w_init, w_final, mask, pruned):
        seen["action"] = w_init, w_final, mask, pruned
        return w_init

    one = after(Forgetting(mask0=actions.rewind))
    two = after(Forgetting(criterion=criterion, mask1=action), 0.4, start=one)
    kept = one.masks[PATH]
    w_init, w_final = seen["criterion"]
    assert w_init.tolist() == (W_INIT * kept).tolist()
    assert w_final.tolist() == (TRAINED * kept).tolist()
    w_init, w_final, mask, pruned = seen["action"]
    assert w_init.tolist() == W_INIT.tolist()
    assert w_final.tolist() == np.where(kept, TRAINED, W_INIT).tolist()
    assert mask.tolist() == two.masks[PATH].tolist()
    assert pruned.tolist() == (kept & ~mask).tolist()


def test_what_an_action_does_in_place_stays_its_own():
    def spoil(w_init, w_dense, w_fresh, mask, pruned):
        for array in (w_init, w_dense, w_fresh):
            array[:] = 7
        mask[:], pruned[:] = False, False
        return w_init

    new = after(Forgetting(mask1=spoil))
    assert new.masks[PATH].sum() == 3
    assert W_INIT[0, 0] == np.float32(0.1)


def test_the_gradient_is_asked_for_only_if_it_is_looked_at():
    def refuse():
        raise AssertionError("nobody looks at it")

    lazy = dataclasses.replace(
        known(), derivatives={"gradient": refuse}, fresh=refuse
    )
    forget(ticket(), {PATH: TRAINED}, Forgetting(), {PATH: 0.5}, lazy)
    new = after(Forgetting(criterion=sensitivity.grad), 1 / 6)
    assert new.masks[PATH].tolist() == [[0, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize("criterion", [sensitivity.grasp, sensitivity.synflow])
def test_what_an_experiment_does_not_know_is_named(criterion):
    with pytest.raises(
        InvalidValue, match=r"one of \w+, which only tf_lottery"
    ):
        after(Forgetting(criterion=criterion))


def test_tickets_that_start_the_same_training_have_equal_arrays():
    one = after(Forgetting())
    other = Ticket(
        {PATH: np.where(one.masks[PATH], one.weights[PATH], 99)}, one.state
    )
    for path, array in one.arrays().items():
        assert np.array_equal(array, other.arrays()[path])


def test_numbers_that_nobody_looks_at_may_be_nan():
    def same_sign(w_init, w_final):
        with np.errstate(invalid="ignore"):
            return np.maximum(0, w_init * w_final / abs(w_init))  # 0 / 0

    def zero_by_division(w_init, mask):
        return np.where(mask, w_init, np.nan)

    one = after(Forgetting())
    rule = Forgetting(criterion=same_sign, mask1=zero_by_division)
    two = after(rule, 0.4, start=one)
    assert two.masks[PATH].sum() == 2
    assert not np.isnan(two.arrays()[PATH]).any()


def wrong_shape(w_final):
    return w_final.ravel()


def not_a_number(w_final):
    return np.where(w_final > 0.5, np.nan, w_final)


def words(w_init):
    return np.full(w_init.shape, "a")


@pytest.mark.parametrize(
    "rule, message",
    [
        ({"criterion": wrong_shape}, r"wrong_shape at fc/kernel .*\(2, 3\).*6"),
        ({"criterion": not_a_number}, "not_a_number at fc/kernel .* NaN"),
        ({"mask1": words}, "mask1 words at fc/kernel to return numbers"),
        ({"mask0": wrong_shape}, r"mask0 wrong_shape at .*\(2, 3\).*\(6,\)"),
    ],
)
def test_what_a_function_of_a_rule_returns_is_checked(rule, message):
    with pytest.raises(InvalidValue, match=message):
        after(Forgetting(**rule))


def looks_at_labels(w_init, labels):
    return w_init


@pytest.mark.parametrize(
    "rule, message",
    [
        ({"criterion": "large_final"}, "criterion to be a function .*'large_f"),
        ({"mask1": 3}, "mask1 to be a function .* received 3"),
        ({"mask0": looks_at_labels}, "among w_init, .* received 'labels'"),
        ({"criterion": actions.zero_shuffled}, "received 'pruned'"),
    ],
)
def test_a_rule_of_something_else_is_refused(rule, message):
    with pytest.raises(InvalidValue, match=message):
        Forgetting(**rule)


def test_a_ticket_without_fixed_masks_is_named():
    with pytest.raises(ValueError, match=r"fixed masks.*kernel_mask/value"):
        _ = Ticket({PATH: W_INIT}, {"fc/bias": BIAS}).masks
