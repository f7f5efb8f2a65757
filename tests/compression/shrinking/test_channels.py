import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tf_lottery.compression.shrinking.channels import Wiring

NAN = np.nan


def chain(widths, rng):
    """A chain of layers with random links and dead channels."""
    wiring = Wiring()
    layers = [
        wiring.new(np.where(rng.random(width) < 0.5, NAN, rng.integers(0, 2)))
        for width in widths
    ]
    links = [rng.random((i, o)) < 0.3 for i, o in itertools.pairwise(widths)]
    for i, reads in enumerate(links):
        wiring.read(layers[i], layers[i + 1], reads, f"layer{i + 1}")
    wiring.need(layers[-1], "an output")
    return wiring, layers, links


@given(
    widths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    seed=st.integers(0, 1000),
)
def test_needed_is_what_has_a_path_to_the_outputs(widths, seed):
    rng = np.random.default_rng(seed)
    wiring, layers, links = chain(widths, rng)
    wiring.solve()
    expected = [np.ones(widths[-1], bool)]
    for reads in reversed(links):
        expected.insert(0, (reads[:, expected[0]]).any(1))
    for i, channels in enumerate(layers):
        needed = wiring.needed(channels)
        if i and not expected[i].any():
            assert needed.sum() >= 1  # and what that one reads
            return
        if all(e.any() for e in expected[1:]):
            assert needed.tolist() == expected[i].tolist()
        assert [bool(w) for w in wiring.why(channels)] == needed.tolist()


def test_united_channels_stay_together():
    wiring = Wiring()
    one, other = wiring.new(np.full(3, NAN)), wiring.new(np.full(3, NAN))
    end = wiring.new(np.full(1, NAN))
    wiring.unite(one, other)
    wiring.read(one, end, np.array([[1], [0], [0]], bool), "end")
    wiring.need(end, "an output")
    wiring.solve()
    assert wiring.needed(other).tolist() == [True, False, False]
    assert wiring.why(other)[0] == "joined with others that end reads"


def test_the_channel_that_has_to_stay_holds_no_other():
    wiring = Wiring()
    first, middle = wiring.new(np.full(2, NAN)), wiring.new(np.array([NAN, 0]))
    end = wiring.new(np.array([0.0]))
    wiring.read(first, middle, np.array([[1, 0], [1, 0]], bool), "middle")
    wiring.read(middle, end, np.zeros((2, 1), bool), "end")
    wiring.need(end, "an output")
    wiring.solve()
    assert wiring.needed(middle).tolist() == [False, True]
    assert wiring.needed(first).sum() == 0
    assert wiring.why(middle) == ["", "one channel has to stay"]
