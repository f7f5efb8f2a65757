import numpy as np

from tf_lottery.rules import weight_plane


def arrays(*values):
    return {"k": np.array(values, np.float32)}


def masks(*values):
    return {"k": np.array(values, bool)}


def test_the_density_counts_each_weight_once_in_its_bin():
    start = arrays(-1, 1, 1, 1)  # standard deviation sqrt(3) / 2
    unit = np.sqrt(3) / 2
    end = arrays(*(unit * np.array([0.05, -0.05, 99, 0.25])))
    found = weight_plane.density(start, end, masks(1, 1, 1, 0), start)
    assert found.shape == (weight_plane.BINS, weight_plane.BINS)
    assert found.sum() == 3
    # The others start at 1.155 standard deviations; bins are a sixth wide
    # across and a third up.
    right, left = 15 + 6, 15 - 7
    assert found[left, 15] == found[right, 14] == found[right, -1] == 1


def test_layers_have_units_of_their_own_and_are_added_up():
    start = {
        "small": np.float32([0.1, -0.1, 0.01]),
        "large": np.float32([10.0, -10.0, 1.0]),
    }
    chosen = {path: np.ones(3, bool) for path in start}
    found = weight_plane.density(start, start, chosen, start)
    # 0.1 is 1.22 standard deviations of 0.1, -0.1 and 0.01.
    assert found[22, 18] == found[7, 11] == found[15, 15] == 2
    assert found.sum() == 6


def test_a_layer_of_equal_weights_has_a_place():
    found = weight_plane.density(
        arrays(0.5, 0.5), arrays(0.5, 0.5), masks(1, 1), arrays(0.5, 0.5)
    )
    assert found.sum() == 2


def test_signs_are_compared_where_there_was_one():
    start, end = arrays(1, -1, 0, 2, -2), arrays(2, 1, 5, 0, -9)
    kept = masks(1, 1, 1, 1, 0)
    assert weight_plane.sign_agreement(start, end, kept) == {
        "k": 1 / 3,
        "all": 1 / 3,
    }


def test_the_agreement_of_nothing_is_not_a_number():
    found = weight_plane.sign_agreement(arrays(1), arrays(1), masks(0))
    assert np.isnan(found["k"]) and np.isnan(found["all"])
