"""Derivatives against algebra and finite differences; see test_backends.py."""

import keras
import numpy as np
import pytest

from tf_lottery.compression import saliency
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.kernels import masked_kernels
from tf_lottery.masking.layers import MaskedConv2D, MaskedDense
from tf_lottery.masking.masks import BernoulliMask
from tf_lottery.masking.model_state import read_state

layers = keras.layers
ENTROPY = "sparse_categorical_crossentropy"
X = np.random.default_rng(0).normal(size=(6, 8, 8, 2)).astype("float32")
Y = np.array([0, 1, 2, 0, 1, 2])


def convnet(activation="softmax", extras=(), hidden="relu", **options):
    keras.utils.set_random_seed(1)
    images = keras.Input((8, 8, 2))
    x = MaskedConv2D(3, 3, name="conv", activation=hidden, **options)(images)
    for extra in extras:
        x = extra(x)
    x = layers.Flatten(name="flatten")(x)
    x = MaskedDense(4, name="fc", activation=hidden, **options)(x)
    x = MaskedDense(3, name="output", activation=activation, **options)(x)
    return keras.Model(images, x)


def linear():
    """One dense layer on four examples of three numbers, and its algebra."""
    rng = np.random.default_rng(0)
    x, y, w = (rng.normal(size=shape) for shape in ((4, 3), (4, 2), (3, 2)))
    model = keras.Sequential(
        [keras.Input((3,)), MaskedDense(2, use_bias=False, name="fc")]
    )
    model.compile(loss="mean_squared_error")
    mask = np.array([[1, 1], [0, 1], [1, 0]])
    [kernel] = masked_kernels(model).values()
    kernel.variable.assign(w)
    kernel.mask.assign(mask)
    return model, x.astype("float32"), y.astype("float32"), w * mask, mask


def only(found):
    [array] = found.values()
    return array


def test_the_gradient_of_a_linear_model():
    model, x, y, w, mask = linear()
    expected = 2 / y.size * x.T @ (x @ w - y) * mask
    found = only(saliency.gradient(model, x, y))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert (found[mask == 0] == 0).all()


@pytest.mark.parametrize("temperature", [1, 200])
def test_the_hessian_times_the_gradient_of_a_linear_model(temperature):
    model, x, y, w, mask = linear()
    z = x / temperature
    gradient = 2 / y.size * z.T @ (z @ w - y) * mask
    expected = 2 / y.size * z.T @ (z @ gradient) * mask
    found = only(
        saliency.hessian_gradient(model, x, y, temperature=temperature)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-12)
    assert (found[mask == 0] == 0).all()


def shifted(model, direction, by):
    for path, kernel in masked_kernels(model).items():
        now = keras.ops.convert_to_numpy(kernel.variable)
        kernel.variable.assign(now + by * direction[path])


def test_gradients_of_a_network_against_finite_differences():
    model = convnet(hidden="tanh")
    rng = np.random.default_rng(2)
    direction = {
        p: rng.normal(size=k.variable.shape)
        for p, k in masked_kernels(model).items()
    }
    loss = keras.losses.SparseCategoricalCrossentropy()
    found = saliency.gradient(model, X, Y, loss)
    product = saliency.hessian_gradient(model, X, Y, loss, temperature=1)
    size = 1e-3
    values, gradients = [], []
    for by in (size, -size):
        shifted(model, direction, by)
        values.append(float(loss(Y, model(X))))
        gradients.append(saliency.gradient(model, X, Y, loss))
        shifted(model, direction, -by)
    along = sum((found[p] * direction[p]).sum() for p in found)
    assert along == pytest.approx((values[0] - values[1]) / 2 / size, rel=0.01)
    # H is symmetric: its product with the direction, times the gradient.
    difference = sum(
        ((gradients[0][p] - gradients[1][p]) * found[p]).sum() for p in found
    )
    along = sum((product[p] * direction[p]).sum() for p in product)
    assert along == pytest.approx(difference / 2 / size, rel=0.02)


def test_a_softmax_is_taken_after_the_temperature():
    logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    one = saliency.hessian_gradient(convnet(), X, Y, ENTROPY)
    other = saliency.hessian_gradient(convnet("linear"), X, Y, logits)
    for path, array in one.items():
        np.testing.assert_allclose(array, other[path], rtol=1e-3, atol=1e-9)
        assert array.any()


def test_a_model_is_left_as_it_was():
    dropout = layers.Dropout(0.5, seed=3)
    model = convnet(extras=[layers.BatchNormalization(), dropout])
    model.compile(loss=ENTROPY)
    before = read_state(model)
    state = keras.ops.convert_to_numpy(dropout.seed_generator.state)
    policies = [layer.dtype_policy for layer in model.layers]
    output = model.layers[-1].activation
    one = saliency.gradient(model, X, Y)
    again = saliency.gradient(model, X, Y)
    for path in one:  # so the same units were dropped
        assert np.array_equal(one[path], again[path])
    saliency.hessian_gradient(model, X, Y)
    saliency.flow(model)
    with pytest.raises(Exception, match="shape"):
        saliency.flow(model, np.ones((1, 5, 5, 9)))
    with pytest.raises(ZeroDivisionError):
        saliency.hessian_gradient(model, X, Y, lambda y, z: 1 / 0)
    for path, array in read_state(model).items():
        assert np.array_equal(array, before[path]), path
    now = keras.ops.convert_to_numpy(dropout.seed_generator.state)
    assert np.array_equal(now, state)
    assert [layer.dtype_policy for layer in model.layers] == policies
    assert model.layers[-1].activation is output


def shares(model):
    return {
        path: (array * abs(keras.ops.convert_to_numpy(kernel.effective))).sum()
        for (path, array), kernel in zip(
            saliency.flow(model).items(),
            masked_kernels(model).values(),
            strict=True,
        )
    }


def test_the_flow_is_the_product_of_absolute_matrices():
    model = keras.Sequential(
        [
            keras.Input((3,)),
            MaskedDense(4, activation="relu", name="fc"),
            MaskedDense(2, activation="softmax", name="output"),
        ]
    )
    one, two = (k.variable for k in masked_kernels(model).values())
    biases = [np.array([-1.0, 2, 0, 3]), np.array([1.0, -5])]
    for layer, bias in zip(model.layers, biases, strict=True):
        layer.bias.assign(bias)
    v, w = (abs(keras.ops.convert_to_numpy(k)) for k in (one, two))
    hidden = v.sum(axis=0) + abs(biases[0])
    first, second = saliency.flow(model).values()
    np.testing.assert_allclose(first, np.tile(w.sum(axis=1), (3, 1)), rtol=1e-5)
    np.testing.assert_allclose(second, np.tile(hidden, (2, 1)).T, rtol=1e-5)


def test_the_flow_of_every_layer_is_the_same():
    model = convnet(
        extras=[layers.BatchNormalization(), layers.AveragePooling2D(2)],
        use_bias=False,
    )
    kernel = masked_kernels(model)["conv/kernel"]
    mask = np.random.default_rng(0).random(kernel.variable.shape) < 0.5
    kernel.mask.assign(mask)
    first, *others = shares(model).values()
    assert others == pytest.approx([first] * len(others), rel=1e-5)
    assert first > 0
    flow = saliency.flow(model)["conv/kernel"]
    assert (flow[~mask] == 0).all()
    assert (flow[mask] > 0).all()


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs float64"
)
def test_the_flow_of_a_deep_network_has_room():
    wide = keras.initializers.Constant(10.0)
    model = keras.Sequential(
        [keras.Input((10,))]
        + [
            MaskedDense(10, use_bias=False, kernel_initializer=wide)
            for _ in range(60)
        ]
    )
    found = shares(model)
    assert list(found.values()) == pytest.approx([10 * 100.0**60] * 60)


def test_inputs_that_the_model_does_not_know_or_has_several_of():
    images = keras.Input((None, None, 2))
    pooled = layers.GlobalAveragePooling2D()(MaskedConv2D(3, 3)(images))
    model = keras.Model(images, pooled)
    with pytest.raises(InvalidValue, match=r"shape is known.*None, None, 2"):
        saliency.flow(model)
    assert only(saliency.flow(model, X)).shape == (3, 3, 2, 3)
    inputs = {
        "a": keras.Input((2,), name="a"),
        "b": keras.Input((3,), name="b", dtype="int32"),
    }
    b = layers.Rescaling(1.0)(inputs["b"])
    outputs = MaskedDense(2)(layers.Concatenate()([inputs["a"], b]))
    both = only(saliency.flow(keras.Model(inputs, outputs)))
    np.testing.assert_allclose(both, np.ones((5, 2)))


def test_learned_masks_stay_as_they_are():
    model = keras.Sequential(
        [keras.Input((3,)), MaskedDense(2, kernel_mask=BernoulliMask(seed=0))]
    )
    [kernel] = masked_kernels(model).values()
    kernel.mask.logits.assign([[-30.0, 30], [30, -30], [30, 30]])
    expected = np.array([[0, 1], [1, 0], [1, 1]])
    np.testing.assert_allclose(only(saliency.flow(model)), expected)


def ends_in_softmax():
    model = convnet("linear")
    return keras.Model(model.inputs, keras.ops.softmax(model.outputs[0]))


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda: convnet(extras=[layers.ReLU(max_value=1e-6)]), "on conv/kern"),
        (ends_in_softmax, "on conv/kernel, fc/kernel, output/kernel"),
        (lambda: keras.Sequential([convnet(), layers.Softmax()]), "Softmax"),
        (lambda: keras.Sequential([MaskedDense(2)]), "is built"),
        (
            lambda: keras.Sequential([keras.Input((2,)), layers.Dense(2)]),
            "mask_model",
        ),
        (lambda: convnet(kernel_initializer="zeros"), "through every layer"),
    ],
)
def test_a_model_without_a_flow(wrong, message):
    with pytest.raises(InvalidValue, match=message):
        saliency.flow(wrong())


def test_a_model_without_a_loss():
    model = convnet()
    with pytest.raises(InvalidValue, match=r"a loss, as .*received None"):
        saliency.gradient(model, X, Y)


def test_losses_are_taken_as_fit_takes_them():
    inputs = keras.Input((3,))
    outputs = [MaskedDense(1, "sigmoid", name=n)(inputs) for n in "ab"]
    model = keras.Model(inputs, outputs)
    losses = ["binary_crossentropy", "mse"]
    model.compile(loss=losses, loss_weights=[1.0, 0.0])
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    y = (x[:, 0] > 0).astype("float32")  # [8], where outputs are [8, 1]
    one, other = saliency.gradient(model, x, [y, y]).values()
    assert one.any() and not other.any()
    single = keras.Model(inputs, outputs[0])
    single.compile(loss=losses[0])
    [expected] = saliency.gradient(single, x, y).values()
    np.testing.assert_allclose(one, expected, rtol=1e-5)


def test_another_backend_is_named(monkeypatch):
    model = convnet()
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(InvalidValue, match=r"TensorFlow or JAX.* torch"):
        saliency.gradient(model, X, Y, ENTROPY)
