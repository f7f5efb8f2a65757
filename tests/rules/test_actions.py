import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_lottery.rules import actions

W_INIT = np.array([4, -1, 2, -3, -2], np.float32)
W_FINAL = np.array([3, 2, -2, -5, 1], np.float32)
W_DENSE = np.array([1, -2, 3, -4, 5], np.float32)
W_FRESH = np.array([-9, -8, 7, 6, 0.5], np.float32)
MASK = np.array([True, True, False, True, False])
STD = float(np.std(W_INIT))
STD_DENSE = float(np.std(W_DENSE))


def act(name, **changed):
    seen = {
        "w_init": W_INIT.copy(),
        "w_final": W_FINAL.copy(),
        "w_dense": W_DENSE.copy(),
        "w_fresh": W_FRESH.copy(),
        "mask": MASK.copy(),
        "pruned": ~MASK,
        "generator": np.random.default_rng(0),
        **changed,
    }
    action = getattr(actions, name)
    return action(**{n: seen[n] for n in inspect.signature(action).parameters})


EXACT = {
    "rewind": W_INIT,
    "keep": W_FINAL,
    "reset": W_DENSE,
    "zero": [0, 0, 0, 0, 0],
    "zero_if_shrunk": [0, -1, 2, -3, 0],
    "zero_if_grown": [4, 0, 2, 0, -2],
    "reinit_fresh": W_FRESH,
    "reinit_fresh_same_sign": [9, -8, 7, -6, -0.5],
    "signed_constant": [STD, -STD, STD, -STD, -STD],
    "signed_constant_rescaled": [
        s * STD_DENSE * 5 / 3 for s in (1, -1, 1, -1, 1)
    ],
}
DRAWN = {
    "reinit": (W_INIT, 1),
    "constant": (np.sign(W_INIT) * STD, 1),
    "reinit_rescaled": (W_DENSE, 5 / 3),
    "constant_rescaled": (np.sign(W_DENSE) * STD_DENSE, 5 / 3),
}
DRAWN_SIGNED = {
    "reinit_same_sign": (W_INIT, 1),
    "reinit_same_sign_rescaled": (W_DENSE, 5 / 3),
}
NOISY = {"noisy_half": 0.5, "noisy_1": 1, "noisy_2": 2, "noisy_3": 3}
OTHERS = ("reshuffle", "reshuffle_same_sign", "zero_shuffled")


def test_every_action_is_tested():
    names = {
        name
        for name, function in vars(actions).items()
        if inspect.isfunction(function) and not name.startswith("_")
    }
    assert names == {*EXACT, *DRAWN, *DRAWN_SIGNED, *NOISY, *OTHERS}


@pytest.mark.parametrize("name", EXACT)
def test_by_hand(name):
    np.testing.assert_allclose(act(name), EXACT[name], rtol=1e-6)


@pytest.mark.parametrize("name", NOISY)
def test_noise_is_in_standard_deviations_of_the_layer(name):
    many = np.random.default_rng(1).normal(3, 2, (200, 300)).astype("float32")
    found = act(name, w_init=many)
    assert found.dtype == many.dtype
    noise = found - many
    assert noise.std() == pytest.approx(NOISY[name] * many.std(), rel=0.02)
    assert abs(noise.mean()) < 0.05
    assert abs(np.corrcoef(noise.ravel(), many.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("name", DRAWN)
def test_permutations_of_the_whole_layer(name):
    values, factor = DRAWN[name]
    found = [act(name, generator=np.random.default_rng(i)) for i in range(20)]
    for array in found:
        np.testing.assert_allclose(
            np.sort(array), np.sort(values * factor), rtol=1e-6
        )
    assert len({tuple(array) for array in found}) > 1


@pytest.mark.parametrize("name", DRAWN_SIGNED)
def test_permutations_that_keep_the_sign(name):
    values, factor = DRAWN_SIGNED[name]
    found = [act(name, generator=np.random.default_rng(i)) for i in range(20)]
    for array in found:
        assert np.array_equal(np.sign(array), np.sign(values))
        np.testing.assert_allclose(
            np.sort(abs(array)), np.sort(abs(values) * factor), rtol=1e-6
        )
    assert len({tuple(array) for array in found}) > 1


@given(seed=st.integers(0, 999), n=st.integers(2, 30))
def test_reshuffles_move_kept_values_among_kept_places(seed, n):
    rng = np.random.default_rng(seed)
    w_init = rng.standard_normal(n).astype(np.float32)
    mask = rng.random(n) < 0.5
    changed = {"w_init": w_init, "mask": mask}
    plain = act("reshuffle", generator=np.random.default_rng(0), **changed)
    assert np.array_equal(np.sort(plain[mask]), np.sort(w_init[mask]))
    assert np.array_equal(plain[~mask], w_init[~mask])
    signed = act(
        "reshuffle_same_sign", generator=np.random.default_rng(0), **changed
    )
    assert np.array_equal(np.sign(signed), np.sign(w_init))
    assert np.array_equal(abs(signed), abs(plain))


@given(seed=st.integers(0, 999), n=st.integers(2, 30))
def test_shuffled_zeros_are_as_many_as_variant_1_has(seed, n):
    rng = np.random.default_rng(seed)
    w_init, w_final = rng.standard_normal((2, n))
    pruned = rng.random(n) < 0.5
    changed = {"w_init": w_init, "w_final": w_final, "pruned": pruned}
    values = act("zero_shuffled", **changed)[pruned]
    variant_1 = act("zero_if_shrunk", **changed)[pruned]
    assert (values == 0).sum() == (variant_1 == 0).sum()
    assert np.isin(values[values != 0], w_init[pruned]).all()


@pytest.mark.parametrize("name", [*EXACT, *DRAWN, *DRAWN_SIGNED, *OTHERS])
def test_actions_keep_shape_and_precision(name):
    square = {
        key: value.repeat(5).reshape(5, 5)
        for key, value in {
            "w_init": W_INIT,
            "w_final": W_FINAL,
            "w_dense": W_DENSE,
            "w_fresh": W_FRESH,
            "mask": MASK,
            "pruned": ~MASK,
        }.items()
    }
    result = act(name, **square)
    assert result.shape == (5, 5)
    assert result.dtype == np.float32
