"""The highest scores, against a stable sort."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_lottery.masking.highest import highest


def oracle(scores, count):
    taken = np.zeros(scores.size, scores.dtype)
    taken[np.argsort(-scores, kind="stable")[:count]] = 1
    return taken


# Many equals, zeros, and numbers far apart.
FLOATS = st.one_of(
    st.sampled_from([0.0, 1.0, 2.0, 0.5, 1e-30, 1e30]),
    st.floats(0, 10, width=32, allow_subnormal=False),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(FLOATS, min_size=1, max_size=40), st.data())
def test_it_takes_what_a_stable_sort_takes(scores, data):
    scores = np.array(scores, np.float32)
    count = data.draw(st.integers(1, scores.size))
    found = np.asarray(highest(tf.constant(scores), count))
    np.testing.assert_array_equal(found, oracle(scores, count))


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("kept", [0.1, 0.5, 1.0])
def test_of_as_many_scores_as_a_layer_has(jit, kept):
    generator = np.random.default_rng(0)
    scores = np.abs(generator.standard_normal(30_000)).astype(np.float32)
    scores[::7] = scores[0]
    count = int(kept * scores.size)
    program = tf.function(lambda x: highest(x, count), jit_compile=jit)
    found = program(tf.constant(scores)).numpy()
    np.testing.assert_array_equal(found, oracle(scores, count))


def test_no_gradient_passes_through():
    scores = tf.Variable([1.0, 2.0, 3.0])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(highest(scores, 2) * scores)
    np.testing.assert_array_equal(tape.gradient(total, scores), [0, 1, 1])
