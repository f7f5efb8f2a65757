"""Criteria against a brute-force line each, and masks against a sort."""

import functools
import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_lottery.rules import criteria, pruning, sensitivity

INF = np.inf
pairs = functools.partial(zip, strict=True)


def smaller(values):
    return (values[:, None] > values[None, :]).sum(axis=1)


# From (w_init, w_final, gradient), one array each, to the scores.
BRUTE_FORCE = {
    "large_final": lambda i, f, g: [abs(x) for x in f],
    "small_final": lambda i, f, g: [-abs(x) for x in f],
    "random": lambda i, f, g: [0 for _ in f],
    "large_init": lambda i, f, g: [abs(x) for x in i],
    "small_init": lambda i, f, g: [-abs(x) for x in i],
    "large_init_large_final": lambda i, f, g: [
        min(a, b) for a, b in pairs(smaller(abs(i)), smaller(abs(f)))
    ],
    "small_init_small_final": lambda i, f, g: [
        -max(a, b) for a, b in pairs(smaller(abs(i)), smaller(abs(f)))
    ],
    "large_init_large_final_by_value": lambda i, f, g: [
        min(abs(a), abs(b)) for a, b in pairs(i, f)
    ],
    "small_init_small_final_by_value": lambda i, f, g: [
        -max(abs(a), abs(b)) for a, b in pairs(i, f)
    ],
    "magnitude_increase": lambda i, f, g: [
        abs(b) - abs(a) for a, b in pairs(i, f)
    ],
    "movement": lambda i, f, g: [abs(b - a) for a, b in pairs(i, f)],
    "large_final_same_sign": lambda i, f, g: [
        max(0, a * b / abs(a)) if a else 0 for a, b in pairs(i, f)
    ],
    "large_final_diff_sign": lambda i, f, g: [
        max(0, -a * b / abs(a)) if a else 0 for a, b in pairs(i, f)
    ],
    "large_final_same_sign_single": lambda i, f, g: [
        a * b > 0 for a, b in pairs(i, f)
    ],
    "large_final_diff_sign_single": lambda i, f, g: [
        a * b < 0 for a, b in pairs(i, f)
    ],
    "magnitude_increase_same_sign": lambda i, f, g: [
        abs(b) - abs(a) if a * b > 0 else 0 for a, b in pairs(i, f)
    ],
    "magnitude_increase_diff_sign": lambda i, f, g: [
        abs(b) - abs(a) if a * b < 0 else 0 for a, b in pairs(i, f)
    ],
    "magnitude_increase_same_sign_strict": lambda i, f, g: [
        abs(b) - abs(a) if a * b > 0 else -INF for a, b in pairs(i, f)
    ],
    "magnitude_increase_diff_sign_strict": lambda i, f, g: [
        abs(b) - abs(a) if a * b < 0 else -INF for a, b in pairs(i, f)
    ],
    "snip": lambda i, f, g: [abs(a * c) for a, c in pairs(i, g)],
    "grad": lambda i, f, g: [abs(c) for c in g],
    # Of these two, g is what they look at in place of the gradient.
    "grasp": lambda i, f, g: [a * c for a, c in pairs(i, g)],
    "synflow": lambda i, f, g: [abs(a * c) for a, c in pairs(i, g)],
}

# On w_init = 4 -1 2 -3, w_final = 3 2 -2 -5, gradient = 1 0 -2 2.
BY_HAND = {
    "large_final": [3, 2, 2, 5],
    "small_final": [-3, -2, -2, -5],
    "random": [0, 0, 0, 0],
    "large_init": [4, 1, 2, 3],
    "small_init": [-4, -1, -2, -3],
    "large_init_large_final": [2, 0, 0, 2],
    "small_init_small_final": [-3, 0, -1, -3],
    "large_init_large_final_by_value": [3, 1, 2, 3],
    "small_init_small_final_by_value": [-4, -2, -2, -5],
    "magnitude_increase": [-1, 1, 0, 2],
    "movement": [1, 3, 4, 2],
    "large_final_same_sign": [3, 0, 0, 5],
    "large_final_diff_sign": [0, 2, 2, 0],
    "large_final_same_sign_single": [True, False, False, True],
    "large_final_diff_sign_single": [False, True, True, False],
    "magnitude_increase_same_sign": [-1, 0, 0, 2],
    "magnitude_increase_diff_sign": [0, 1, 0, 0],
    "magnitude_increase_same_sign_strict": [-1, -INF, -INF, 2],
    "magnitude_increase_diff_sign_strict": [-INF, 1, 0, -INF],
    "snip": [4, 0, 4, 6],
    "grad": [1, 0, 2, 2],
    "grasp": [4, 0, -4, -6],
    "synflow": [4, 0, 4, 6],
}
CRITERIA = {
    name: function
    for module in (criteria, sensitivity)
    for name, function in vars(module).items()
    if inspect.isfunction(function) and not name.startswith("_")
}


def score(name, w_init, w_final, gradient):
    criterion = CRITERIA[name]
    seen = {
        "w_init": w_init,
        "w_final": w_final,
        "gradient": gradient,
        "hessian_gradient": gradient,
        "flow": gradient,
    }
    names = inspect.signature(criterion).parameters
    return criterion(**{n: seen[n] for n in names if n in seen})


def test_the_factor_between_the_magnitudes():
    w_init, w_final = np.array([4, -1, 2]), np.array([3, 2, -2])
    large = criteria.large_init_large_final_by_value
    assert large(w_init, w_final, alpha=0.5).tolist() == [2, 0.5, 1]
    small = criteria.small_init_small_final_by_value
    assert small(w_init, w_final, alpha=0.5).tolist() == [-3, -2, -2]


def test_every_criterion_is_in_both_tables():
    assert CRITERIA.keys() == BRUTE_FORCE.keys() == BY_HAND.keys()


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name):
    w_init = np.array([4, -1, 2, -3], np.float32)
    w_final = np.array([3, 2, -2, -5], np.float32)
    gradient = np.array([1, 0, -2, 2], np.float32)
    scores = score(name, w_init, w_final, gradient)
    assert scores.tolist() == BY_HAND[name]
    assert (scores.dtype == bool) == name.endswith("single")


small = st.integers(-3, 3)  # many ties, and zeros


@st.composite
def weights(draw):
    n = draw(st.integers(2, 40))
    arrays = [
        np.array(draw(st.lists(small, min_size=n, max_size=n)), np.float32)
        for _ in range(3)
    ]
    mask = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    return *arrays, np.array(mask)


@pytest.mark.parametrize("name", BRUTE_FORCE)
@given(data=weights(), rate=st.floats(0.01, 0.9), seed=st.integers(0, 99))
def test_scores_and_masks_are_those_of_brute_force(name, data, rate, seed):
    w_init, w_final, gradient, mask = data
    mask[0] = True  # there is something to prune
    w_init, w_final = w_init * mask, w_final * mask
    scores = score(name, w_init, w_final, gradient)
    expected = np.array(BRUTE_FORCE[name](w_init, w_final, gradient))
    assert scores.tolist() == expected.tolist()

    survivors = np.flatnonzero(mask)
    if scores.dtype == bool:
        kept = expected & mask
        if not kept.any():
            return
    else:
        count = int(rate * len(survivors) + 1e-6)
        own = expected[survivors]
        lots = np.zeros(len(survivors))
        if count:
            tied = own == np.sort(own)[count - 1]
            lots[tied] = np.random.default_rng(seed).random(
                tied.sum(), np.float32
            )
        kept = mask.copy()
        kept[survivors[np.lexsort((lots, own))[:count]]] = False
    after = pruning.prune(
        {"w": scores},
        {"w": mask},
        {"w": rate},
        lambda path: np.random.default_rng(seed),
    )["w"]
    assert after.tolist() == kept.tolist()
