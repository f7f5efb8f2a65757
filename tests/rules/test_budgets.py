import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.rules import budgets

SHAPES = st.lists(
    st.lists(st.integers(1, 40), min_size=1, max_size=4), min_size=1, max_size=9
)


def named(shapes):
    return {f"layer{i}/kernel": tuple(s) for i, s in enumerate(shapes)}


def kept(shapes, fractions):
    return sum(fractions[p] * math.prod(s) for p, s in shapes.items())


def by_bisection(shapes, remaining):
    """The same by search for the factor."""
    raw = {p: sum(s) / math.prod(s) for p, s in shapes.items()}
    aim = remaining * sum(math.prod(s) for s in shapes.values())
    low, high = 0.0, 1 / min(raw.values())
    for _ in range(200):
        factor = (low + high) / 2
        found = {p: min(1, factor * r) for p, r in raw.items()}
        if kept(shapes, found) < aim:
            low = factor
        else:
            high = factor
    return found


@given(SHAPES, st.floats(0.001, 1))
def test_erk_is_that_of_a_search_and_exact_in_total(shapes, remaining):
    shapes = named(shapes)
    found = budgets.erdos_renyi_kernel(shapes, remaining)
    assert list(found) == list(shapes)
    assert all(0 < fraction <= 1 for fraction in found.values())
    total = sum(math.prod(s) for s in shapes.values())
    assert kept(shapes, found) == pytest.approx(remaining * total, rel=1e-9)
    assert found == pytest.approx(by_bisection(shapes, remaining), rel=1e-6)


def test_erk_by_hand():
    # Sums 24 and 12, sizes 128 and 20: of 148 weights, 37 in proportion 2 : 1
    # would be 24.7 and 12.3; of 74, the small layer is full.
    shapes = {"a": (16, 8), "b": (2, 10)}
    assert budgets.erdos_renyi_kernel(shapes, 0.25) == pytest.approx(
        {"a": 37 * 2 / 3 / 128, "b": 37 / 3 / 20}
    )
    assert budgets.erdos_renyi_kernel(shapes, 0.5) == pytest.approx(
        {"a": 54 / 128, "b": 1}
    )
    assert budgets.erdos_renyi_kernel(shapes, 1) == {"a": 1, "b": 1}


def test_erk_counts_the_space_of_a_convolution():
    shapes = {"conv": (3, 3, 16, 32), "one by one": (16, 32)}
    found = budgets.erdos_renyi_kernel(shapes, 0.05)
    ratio = found["conv"] / found["one by one"]
    assert ratio == pytest.approx((54 / 4608) / (48 / 512))


@given(SHAPES, st.floats(0.001, 1))
def test_uniform(shapes, remaining):
    shapes = named(shapes)
    assert budgets.uniform(shapes, remaining) == dict.fromkeys(
        shapes, remaining
    )


@pytest.mark.parametrize(
    "budget", [budgets.uniform, budgets.erdos_renyi_kernel]
)
@pytest.mark.parametrize(
    "remaining", [0, -0.1, 1.1, float("nan"), "half", True]
)
def test_a_fraction_that_is_none(budget, remaining):
    with pytest.raises(InvalidValue, match=r"remaining .*received"):
        budget({"fc/kernel": (4, 3)}, remaining)


@pytest.mark.parametrize("shape", [(), (3, 0)])
def test_a_shape_without_weights(shape):
    for budget in (budgets.uniform, budgets.erdos_renyi_kernel):
        with pytest.raises(InvalidValue, match="weights for fc/kernel"):
            budget({"fc/kernel": shape}, 0.5)
