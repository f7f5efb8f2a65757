import math

import numpy as np
import pytest

from tf_lottery.rules import survivors


def arrays(values):
    return {"k": np.array(values, np.float32)}


def masks(values):
    return {"k": np.array(values, bool)}


def of_round(start, end, kept):
    kept = masks(kept)
    gone = {"k": ~kept["k"]}
    return survivors.of_round(arrays(start), arrays(end), kept, gone, UNIT)


UNIT = {"k": np.float32([-1, 1])}  # whose standard deviation is 1


def test_near_zero_is_within_half_a_standard_deviation():
    start = [[0.4, -0.5], [0.6, -2]]
    found = survivors.of_start(arrays(start), UNIT)
    assert found == {"near zero": {"k": 0.5, "all": 0.5}}
    found = of_round(start, start, [[1, 0], [1, 1]])
    assert found["near zero"] == pytest.approx({"k": 1 / 3, "all": 1 / 3})


def test_normal_weights_are_near_zero_as_often_as_the_normal_law_says():
    draws = {"k": np.random.default_rng(0).normal(0, 7, (500, 400))}
    found = survivors.of_start(draws, draws)["near zero"]["k"]
    assert found == pytest.approx(math.erf(0.5 / math.sqrt(2)), abs=0.005)


def test_what_is_kept_is_held_against_what_the_round_pruned():
    found = of_round([[1, 1], [1, 1]], [[4, 0], [2, 1.5]], [[1, 1], [0, 0]])
    assert found["moved"] == pytest.approx(
        {"k": 2 / 0.75, "all": 2 / 0.75}, rel=1e-6
    )
    # 4 is further from zero than 1, and 0 is not.
    assert found["away from zero"] == {"k": 0.5, "all": 0.5}


def test_weights_pruned_in_earlier_rounds_do_not_count():
    kept = masks([[1, 0], [0, 0]])
    gone = masks([[0, 1], [0, 0]])
    start, end = arrays([[1, 1], [1, 1]]), arrays([[3, 2], [99, 99]])
    found = survivors.of_round(start, end, kept, gone, UNIT)
    assert found["moved"] == {"k": 2, "all": 2}


def test_a_round_that_prunes_nothing_moves_nothing_further():
    found = of_round([[1, 1]], [[2, 2]], [[1, 1]])
    assert math.isnan(found["moved"]["k"])
    assert math.isnan(found["uneven in"]["k"])


def test_layers_count_by_their_weights_together():
    start = {"a": np.float32([0, 0, 9]), "b": np.float32([9])}
    unit = {path: np.float32([-1, 1]) for path in start}
    found = survivors.of_start(start, unit)["near zero"]
    assert found == pytest.approx({"a": 2 / 3, "b": 0.0, "all": 0.5})


def test_random_masks_are_as_uneven_as_chance():
    mask = np.random.default_rng(0).random((3, 3, 300, 200)) < 0.2
    assert survivors.unevenness(mask, -1) == pytest.approx(1, abs=0.35)
    assert survivors.unevenness(mask, -2) == pytest.approx(1, abs=0.35)


def test_units_are_the_last_axis_and_inputs_the_one_before():
    mask = np.zeros((4, 6), bool)
    mask[:, 0] = True  # one unit has all, from every input one
    assert survivors.unevenness(mask, -2) == 0
    # Numbers 4, 0, 0, 0, 0, 0: a variance of 16 * 5 / 36, where chance has
    # that of four draws with one in six.
    assert survivors.unevenness(mask, -1) == pytest.approx(
        (16 * 5 / 36) / (4 * (1 / 6) * (5 / 6))
    )
    assert math.isnan(survivors.unevenness(np.ones(3, bool), -1))
