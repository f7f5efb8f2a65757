"""Masks on whatever backend Keras runs on; see test_backends.py."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from tf_lottery.masking.masks import BernoulliMask, FixedMask, TopKMask

KERNEL = np.array([[1, -2, 3], [-4, 5, -6]], "float32")


def built(mask, shape=KERNEL.shape):
    mask.build(shape)
    return mask


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def gradient(mask, variable, kernel=KERNEL):
    """d sum(weights * mask(kernel)) / d variable, by the backend's autodiff."""
    """Of a kernel that is a variable, with respect to it, likewise."""
    is_variable = isinstance(kernel, keras.Variable)
    shape = tuple(kernel.shape)
    weights = np.arange(1, np.prod(shape) + 1).reshape(shape)

    def value_of():
        return kernel.value if is_variable else ops.array(kernel)

    if keras.backend.backend() == "jax":
        import jax

        def loss(value):
            with keras.StatelessScope([(variable, value)]):
                return ops.sum(mask(value_of()) * weights)

        return numpy(jax.grad(loss)(variable.value))
    if keras.backend.backend() == "torch":
        ops.sum(mask(value_of()) * ops.array(weights, "float32")).backward()
        return numpy(variable.value.grad)
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = ops.sum(mask(value_of()) * weights)
    return numpy(tape.gradient(loss, variable.value))


def test_fixed_mask_starts_as_the_kernel_itself():
    assert np.array_equal(numpy(built(FixedMask())(KERNEL)), KERNEL)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_fixed_mask_is_the_equation(seed):
    rng = np.random.default_rng(seed)
    w, frozen = rng.normal(size=(2, 4, 5)).astype("float32")
    value = rng.integers(0, 2, (4, 5))
    mask = built(FixedMask(), (4, 5))
    mask.assign(value, frozen)
    assert np.array_equal(numpy(mask(w)), value * w + (1 - value) * frozen)


def test_the_gradient_of_pruned_weights_is_exactly_zero():
    mask = built(FixedMask())
    value = np.array([[1, 0, 1], [0, 0, 1]])
    mask.assign(value, np.full((2, 3), 9.0))
    kernel = keras.Variable(KERNEL)
    expected = np.arange(1, 7).reshape(2, 3) * value
    assert np.array_equal(gradient(mask, kernel, kernel), expected)


def test_fixed_mask_holds_pruned_weights_even_if_the_kernel_is_not_finite():
    mask = built(FixedMask(), (2,))
    mask.assign([0, 1], [7, 8])
    out = mask(np.array([np.nan, 2], "float32"))
    assert numpy(out).tolist() == [7, 2]


@pytest.mark.parametrize("shape", [(3, 2), (2, 3, 1), (6,), ()])
def test_a_mask_of_the_wrong_shape_names_both_shapes(shape):
    mask = built(FixedMask())
    with pytest.raises(ValueError, match=r"mask of shape \(2, 3\).*received"):
        mask.assign(np.ones(shape))
    with pytest.raises(ValueError, match=r"frozen values of shape \(2, 3\)"):
        mask.assign(np.ones((2, 3)), np.ones(shape))


def test_a_mask_of_anything_but_0_and_1_is_refused():
    mask = built(FixedMask(), (3,))
    with pytest.raises(ValueError, match=r"only 0 and 1 .*0\.5"):
        mask.assign([0, 1, 0.5])
    assert numpy(mask.value).all(), "the mask from before must stay"


def test_bernoulli_mask_is_exactly_binary():
    mask = built(BernoulliMask(seed=1), (500, 300))
    mask.logits.assign(np.random.default_rng(0).normal(size=(500, 300)))
    z = numpy(mask(np.ones((500, 300), "float32")))
    assert set(np.unique(z)) == {0.0, 1.0}


@pytest.mark.parametrize("logit", [-2.0, 0.0, 3.0])
def test_bernoulli_mask_keeps_with_probability_sigmoid(logit):
    n = 100_000
    mask = built(BernoulliMask(initial_logit=logit, seed=2), (n,))
    p = 1 / (1 + np.exp(-logit))
    kept = numpy(mask(np.ones(n, "float32"))).mean()
    # Six standard deviations.
    assert abs(kept - p) < 6 * np.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize("rescale", [False, True])
def test_bernoulli_gradient_is_straight_through(rescale):
    mask = built(BernoulliMask(rescale=rescale, seed=3), (2, 3))
    logits = np.linspace(-2, 2, 6).reshape(2, 3).astype("float32")
    mask.logits.assign(logits)
    p = 1 / (1 + np.exp(-logits))
    upstream = np.arange(1, 7).reshape(2, 3) * KERNEL
    z = numpy(mask(np.ones((2, 3), "float32"))) != 0
    total = z.sum()
    if rescale:
        # z * n / sum(z): each logit moves its own weight and the factor.
        upstream = upstream * 6 / total - (upstream * z).sum() * 6 / total**2
    expected = upstream * p * (1 - p)
    np.testing.assert_allclose(
        gradient(mask, mask.logits), expected, rtol=1e-5, atol=1e-5
    )


def test_rescaling_keeps_the_sum_of_the_mask_at_its_size():
    mask = built(BernoulliMask(rescale=True, initial_logit=-1.0, seed=4), (99,))
    z = numpy(mask(np.ones(99, "float32")))
    assert np.count_nonzero(z) < 60
    np.testing.assert_allclose(z.sum(), 99, rtol=1e-6)


def test_an_empty_mask_is_zero_and_not_nan():
    mask = built(
        BernoulliMask(rescale=True, initial_logit=-50.0, seed=5), (2, 3)
    )
    assert not numpy(mask(KERNEL)).any()
    assert np.isfinite(gradient(mask, mask.logits)).all()


def test_draws_are_a_function_of_seed_and_step():
    ones = np.ones((40, 40), "float32")
    masks = [built(BernoulliMask(seed=seed), (40, 40)) for seed in (6, 6, 7)]
    one, same, other = (
        [numpy(mask(ones, training=True)) for _ in range(3)] for mask in masks
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one[0], one[1])
    masks[0].step.assign(1)
    assert np.array_equal(numpy(masks[0](ones, training=True)), one[1])


def test_evaluation_repeats_a_mask_of_its_own_and_does_not_step():
    ones = np.ones((40, 40), "float32")
    mask = built(BernoulliMask(seed=8), (40, 40))
    first, second = numpy(mask(ones)), numpy(mask(ones))
    assert np.array_equal(first, second)
    assert int(numpy(mask.step)) == 0
    assert not np.array_equal(first, numpy(mask(ones, training=True)))
    assert not np.array_equal(first, numpy(mask(ones)))


# Of few sizes, because some backends compile each anew.
@given(
    st.sampled_from((1, 2, 9, 40)),
    st.sampled_from((0.001, 0.1, 0.34, 0.5, 0.99, 1.0)),
    st.integers(0, 1000),
)
@settings(max_examples=25, deadline=None)
def test_top_k_keeps_exactly_the_k_largest(size, remaining, seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(-3, 4, size).astype("float32")  # with many ties
    mask = built(TopKMask(remaining, seed=0), (size,))
    mask.scores.assign(scores)
    z = numpy(mask(np.ones(size, "float32")))
    k = max(1, int(remaining * size + 1e-6))
    best = np.argsort(-np.abs(scores), kind="stable")[:k]
    assert np.array_equal(z, np.isin(np.arange(size), best))


def test_top_k_gradient_is_straight_through_to_the_absolute_scores():
    mask = built(TopKMask(0.5, seed=9))
    scores = np.array([[1, -2, 3], [-4, 5, -6]], "float32") / 10
    mask.scores.assign(scores)
    expected = np.arange(1, 7).reshape(2, 3) * KERNEL * np.sign(scores)
    np.testing.assert_allclose(gradient(mask, mask.scores), expected, rtol=1e-6)


@pytest.mark.parametrize("remaining", [0, -0.5, 1.5])
def test_top_k_refuses_a_fraction_outside_0_to_1(remaining):
    with pytest.raises(ValueError, match=r"`remaining` in \(0, 1\]"):
        TopKMask(remaining)


@pytest.mark.parametrize("make", [BernoulliMask, TopKMask])
def test_a_seed_outside_its_range_is_refused(make):
    with pytest.raises(ValueError, match=r"`seed` in \[0, 2\*\*31\)"):
        make(seed=2**31)


def test_a_seed_that_is_not_given_follows_keras_and_is_kept():
    keras.utils.set_random_seed(1)
    one = BernoulliMask()
    keras.utils.set_random_seed(1)
    assert BernoulliMask().seed == one.seed
    assert BernoulliMask.from_config(one.get_config()).seed == one.seed
