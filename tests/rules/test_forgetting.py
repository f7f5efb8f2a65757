"""Forgetting's freedoms: what trains on, what of the rest stays, and biases."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_lottery.foundation import identity, seeds
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.rules import actions, criteria, forgetting
from tf_lottery.rules.forgetting import Forgetting, Known, forget
from tf_lottery.rules.tickets import Ticket

A, B = "early/kernel", "late/kernel"
MEAN = "norm/moving_mean"


def ticket(w_init, masks=None):
    state = {MEAN: np.zeros(2), "late/bias": np.array([0.0, 0, 0, 0])}
    for path, w in w_init.items():
        mask = np.ones(w.shape, bool) if masks is None else masks[path]
        state[f"{path}_mask/value"] = mask
        state[f"{path}_mask/frozen"] = np.zeros(w.shape)
    return Ticket(w_init, state)


def known(fresh):
    def generator(what, path):
        return seeds.generator(0, what, path)

    return Known({}, lambda: fresh, generator, {})


W_INIT = {A: np.array([[1.0, 2, 3, 4]]), B: np.array([[5.0, 6, 7, 8]])}
TRAINED = {
    A: np.array([[9.0, -1, 7, -3]]),
    B: np.array([[-2.0, 8, 4, 6]]),
    "late/bias": np.array([1.0, 2, 3, 4]),
    MEAN: np.array([0.5, 0.25]),
}
FRESH = {
    A: np.array([[10.0, 20, 30, 40]]),
    B: np.array([[50.0, 60, 70, 80]]),
    "late/bias": np.array([0.1, 0.2, 0.3, 0.4]),
}
KEEP = {"mask1": actions.keep, "mask0": actions.reinit_fresh}

# Rule, rates, and kernels and bias and mean that come out, by hand.
BY_HAND = {
    "half of the small ones anew, the rest kept": (
        Forgetting(**KEEP, trains_on=True, keep_rest=True),
        {A: 0.5, B: None},
        [9, 20, 7, 40],
        [-2, 8, 4, 6],
        [1, 2, 3, 4],
        [0.5, 0.25],
    ),
    "later layers anew": (
        Forgetting(**KEEP, trains_on=True, keep_rest=True),
        {A: 0, B: 1},
        [9, -1, 7, -3],
        [50, 60, 70, 80],
        [1, 2, 3, 4],
        [0.5, 0.25],
    ),
    "later layers anew, with their biases": (
        Forgetting(**KEEP, trains_on=True, keep_rest=True, biases=True),
        {A: None, B: 1},
        [9, -1, 7, -3],
        [50, 60, 70, 80],
        [0.1, 0.2, 0.3, 0.4],
        [0.5, 0.25],
    ),
    "half of kernels and biases, the rest starts again": (
        Forgetting(**KEEP, trains_on=True, biases=True),
        {A: None, B: 0.5},
        [9, -1, 7, -3],
        [50, 8, 70, 6],
        [0.1, 0.2, 3, 4],
        [0, 0],
    ),
    "by initial magnitude": (
        Forgetting(criteria.large_init, **KEEP, trains_on=True),
        {A: 0.75, B: 0.25},
        [10, 20, 30, -3],
        [50, 8, 4, 6],
        [0, 0, 0, 0],
        [0, 0],
    ),
    "tickets, with the rest kept": (
        Forgetting(keep_rest=True),
        {A: 0.5, B: None},
        [1, 0, 3, 0],
        [5, 6, 7, 8],
        [1, 2, 3, 4],
        [0.5, 0.25],
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name):
    rule, rates, *expected = BY_HAND[name]
    new = forget(ticket(W_INIT), TRAINED, rule, rates, known(FRESH))
    found = new.arrays()
    paths = (A, B, "late/bias", MEAN)
    assert [found[p].ravel().tolist() for p in paths] == expected
    frozen = not all(mask.all() for mask in new.masks.values())
    assert frozen == (rule.trains_on is None)


def test_what_was_frozen_before_stays_while_the_rest_trains_on():
    masks = {A: np.array([[True, True, False, True]]), B: W_INIT[B] > 0}
    start = ticket({A: W_INIT[A] * masks[A], B: W_INIT[B]}, masks)
    rule = Forgetting(**KEEP, trains_on=True)
    new = forget(start, TRAINED, rule, {A: 1, B: None}, known(FRESH))
    assert new.arrays()[A].tolist() == [[10, 20, 0, 40]]
    assert (new.masks[A] == masks[A]).all()


@given(
    n=st.integers(1, 40),
    rate=st.floats(0.0, 1.0),
    seed=st.integers(0, 9),
)
def test_counts_are_exact_and_values_are_brute_force(n, rate, seed):
    rng = np.random.default_rng(seed)
    # Few different magnitudes: many ties.
    trained = {A: rng.integers(-3, 4, (1, n)).astype(float)}
    w_init, fresh = {A: rng.random((1, n))}, {A: 100 + rng.random((1, n))}
    count = n if rate == 1 else int(rate * n + 1e-6)
    rule = Forgetting(**KEEP, trains_on=True)
    if rate != 1 and count > n - 1:
        return  # a layer of which nothing but rounding would be left
    new = forget(ticket(w_init), trained, rule, {A: rate}, known(fresh))
    found = new.weights[A]
    gone = found == fresh[A]
    assert gone.sum() == count
    assert (found[~gone] == trained[A][~gone]).all()
    if 0 < count < n:
        assert abs(trained[A][gone]).max() <= abs(trained[A][~gone]).min()


def test_the_freedoms_are_off_by_absence_and_move_no_hash():
    @dataclasses.dataclass(frozen=True)
    class Before:
        criterion: object = criteria.large_final
        mask1: object = actions.rewind
        mask0: object = actions.zero

    before = identity.canonical(Before.__dict__ and vars(Before()))
    now = identity.canonical(Forgetting())
    assert now.pop("call") == "tf_lottery>tickets.Forgetting"
    assert now == before


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"trains_on": False}, "trains_on to be True or None, received False"),
        ({"keep_rest": 1}, "keep_rest to be True or None, received 1"),
        ({"biases": True}, "trains_on = True with biases"),
    ],
)
def test_freedoms_that_there_are_not(fields, message):
    with pytest.raises(InvalidValue, match=message):
        Forgetting(**fields)


def test_variables_that_are_missing_are_named():
    rule = Forgetting(**KEEP, trains_on=True, keep_rest=True)
    kernels = {path: TRAINED[path] for path in (A, B)}
    with pytest.raises(InvalidValue, match=r"none of late/bias, norm/moving"):
        forget(ticket(W_INIT), kernels, rule, {}, known(FRESH))
    fresh = {path: FRESH[path] for path in (A, B)}
    rule = Forgetting(**KEEP, trains_on=True, biases=True)
    with pytest.raises(InvalidValue, match=r"received none of late/bias"):
        forget(ticket(W_INIT), TRAINED, rule, {B: 0.5}, known(fresh))


def test_a_whole_layer_cannot_be_frozen():
    with pytest.raises(InvalidValue, match="at least one weight"):
        forget(ticket(W_INIT), TRAINED, Forgetting(), {B: 1}, known(FRESH))


def test_a_new_input_of_a_criterion_is_declared_once(monkeypatch):
    new = forgetting.Derivative("curvature of the loss", True)
    monkeypatch.setitem(forgetting.DERIVATIVES, "curvature", new)

    def flattest(curvature):
        return -curvature

    rule = Forgetting(flattest)
    curvature = {A: np.array([[4.0, 1, 3, 2]]), B: W_INIT[B]}
    there = dataclasses.replace(
        known(FRESH), derivatives={"curvature": lambda: curvature}
    )
    pruned = forget(ticket(W_INIT), TRAINED, rule, {A: 0.5}, there)
    assert pruned.masks[A].tolist() == [[False, True, False, True]]
    message = "w_init, w_final, mask, received one of curvature, which"
    with pytest.raises(InvalidValue, match=message):
        forget(ticket(W_INIT), TRAINED, rule, {A: 0.5}, known(FRESH))
