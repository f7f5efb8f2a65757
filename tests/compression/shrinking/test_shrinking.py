"""Shrunken models against the models they come from, on real small networks.

All masks are of whole channels, and biases and normalisation are random: a
pruned channel is a number, not nothing.
"""

import keras
import numpy as np
import pytest
from keras import layers

from tf_lottery.compression.shrinking.shrink import (
    shrink,
    silence_pruned_channels,
)
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.conversion import mask_model
from tf_lottery.masking.kernels import channel_axes, masked_kernels
from tf_lottery.masking.layers import (
    Masked,
    MaskedConv1D,
    MaskedConv2D,
    MaskedConv2DTranspose,
    MaskedDense,
    MaskedDepthwiseConv2D,
)
from tf_lottery.masking.masks import TopKMask
from tf_lottery.masking.model_state import effective_weights, read_state
from tf_lottery.rules import pruning


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture
def float64():
    """Rounding is out of the way: deep networks amplify it."""
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def randomize(model, seed=0):
    """Moves biases and normalisation, as a training does."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        if len(variable.shape) == 1:
            name = variable.path.rpartition("/")[2]
            low, high = (0.5, 2) if name in ("gamma",) else (-0.5, 0.5)
            if name == "moving_variance":
                low, high = 0.1, 0.3
            variable.assign(rng.uniform(low, high, variable.shape))
    return model


def prune(layer, channels):
    """Prunes channels of a layer, by number."""
    mask = np.ones(layer.raw_kernel.shape, bool)
    np.moveaxis(mask, layer.channel_axis, -1)[..., list(channels)] = False
    layer.kernel_mask.assign(mask)


def prune_all(model, rate, dense=(), seed=0):
    """Prunes channels of all layers at random but those that stay dense."""
    kernels = masked_kernels(model)
    rng = np.random.default_rng(seed)
    scores = {
        p: rng.random(w.shape) for p, w in effective_weights(model).items()
    }
    after = pruning.prune(
        scores,
        {path: numpy(kernel.mask.value) for path, kernel in kernels.items()},
        {p: None if any(d in p for d in dense) else rate for p in kernels},
        lambda path: np.random.default_rng(seed),
        "channel",
        channel_axes(model),
    )
    for path, kernel in kernels.items():
        kernel.mask.assign(after[path])


def expect_same(model, smaller, seed=1):
    """Compares outputs, which must differ from example to example."""
    rng = np.random.default_rng(seed)
    batch = [
        rng.normal(size=(5, *x.shape[1:])).astype(x.dtype) for x in model.inputs
    ]
    batch = batch if len(batch) > 1 else batch[0]
    before, after = (
        keras.tree.flatten(m(batch, training=False)) for m in (model, smaller)
    )
    assert len(before) == len(after)
    for one, other in zip(map(numpy, before), map(numpy, after), strict=True):
        scale = one.std(0).max()
        assert scale > 1e-3 * abs(one).max()
        most = 1e-11 if one.dtype == np.float64 else 1e-5
        assert abs(one - other).max() <= most * abs(one).max()
    inside = smaller._flatten_layers()
    assert not any(isinstance(layer, Masked) for layer in inside)
    return smaller


def shrunken(model, capsys=None):
    before = read_state(model)
    smaller = expect_same(model, shrink(model, verbose=capsys is not None))
    after = read_state(model)
    assert all(np.array_equal(after[path], before[path]) for path in before)
    return smaller


def widths(model):
    """How many channels each layer with a bias makes, by name."""
    return {
        layer.name: layer.bias.shape[0]
        for layer in model._flatten_layers()
        if getattr(layer, "bias", None) is not None
    }


def sequential(*stack, seed=0):
    return randomize(keras.Sequential(list(stack)), seed)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu"])
def test_a_dense_network_shrinks_whatever_its_biases(activation, tmp_path):
    model = sequential(
        keras.Input((784,)),
        MaskedDense(300, activation, name="fc1"),
        MaskedDense(100, activation, name="fc2"),
        MaskedDense(10, "softmax", name="output"),
    )
    prune_all(model, 0.8, dense=["output"])
    smaller = shrunken(model)
    assert widths(smaller) == {"fc1": 60, "fc2": 20, "output": 10}
    assert smaller.count_params() == 785 * 60 + 61 * 20 + 21 * 10
    assert [type(layer) for layer in smaller.layers] == [layers.Dense] * 3
    model.save(tmp_path / "model.keras")
    smaller.save(tmp_path / "smaller.keras")
    sizes = [p.stat().st_size for p in sorted(tmp_path.iterdir())]
    assert sizes[1] < sizes[0] / 4
    expect_same(model, keras.models.load_model(tmp_path / "smaller.keras"))


def test_a_convolutional_network_with_normalisation_and_flatten():
    model = sequential(
        keras.Input((8, 8, 3)),
        MaskedConv2D(6, 3, use_bias=False, name="conv1"),
        layers.BatchNormalization(name="normalization"),
        layers.ReLU(),
        MaskedConv2D(8, 3, activation="relu", name="conv2"),
        layers.MaxPooling2D(),
        layers.Dropout(0.5),
        layers.Flatten(),
        MaskedDense(7, "relu", name="fc"),
        layers.Dense(3, name="output"),
    )
    prune(model.get_layer("conv1"), [0, 4])
    prune(model.get_layer("conv2"), [1, 2, 7])
    prune(model.get_layer("fc"), [6])
    smaller = shrunken(model)
    assert widths(smaller) == {"conv2": 5, "fc": 6, "output": 3}
    assert smaller.get_layer("normalization").gamma.shape == (4,)
    # conv1, normalisation, conv2, four places of conv2 in fc, output
    by_hand = [27 * 4, 4 * 4, 37 * 4 + 4 * 5 * 9 - 36 * 4 - 4 + 5]
    assert by_hand[-1] == 36 * 5 + 5
    by_hand += [(4 * 5 + 1) * 6, 7 * 3]
    assert smaller.count_params() == sum(by_hand)


def test_a_constant_goes_into_a_bias_that_was_not_there():
    model = sequential(
        keras.Input((9, 9, 2)),
        MaskedConv2D(4, 3, activation="sigmoid", name="conv1"),
        MaskedConv2D(3, 3, 2, use_bias=False, name="conv2"),
    )
    prune(model.get_layer("conv1"), [1])
    smaller = shrunken(model)
    assert widths(smaller) == {"conv1": 3, "conv2": 3}
    # No bias where there is nothing to add.
    model.get_layer("conv1").activation = keras.activations.relu
    model.get_layer("conv1").bias.assign(-np.ones(4))
    model.get_layer("conv1").bias.assign([1, -1, 1, 1])
    assert widths(shrunken(model)) == {"conv1": 3}


@pytest.mark.parametrize("second", ["conv", "padding", "depthwise", "pooling"])
def test_what_is_not_zero_at_a_border_stays(second, capsys):
    between = {
        "conv": [],
        "padding": [layers.ZeroPadding2D(name="border")],
        "depthwise": [layers.DepthwiseConv2D(3, padding="same", name="border")],
        "pooling": [layers.AveragePooling2D(3, 1, "same", name="border")],
    }[second]
    model = sequential(
        keras.Input((6, 6, 2)),
        MaskedConv2D(6, 3, padding="same", activation="relu", name="conv1"),
        *between,
        layers.Conv2D(
            3,
            3,
            padding="same" if second == "conv" else "valid",
            name="border" if second == "conv" else "conv2",
        ),
    )
    first = model.get_layer("conv1")
    prune(first, [0, 1, 2])
    first.bias.assign([-1, 0, 0.5, 1, 1, 1])
    smaller = shrunken(model, capsys)
    assert widths(smaller)["conv1"] == 4
    said = " ".join(capsys.readouterr().out.split())
    assert "conv1 6 4 1 not 0 where border pads with zeros" in said
    assert "Took out 2 channels. Parameters:" in said
    silence_pruned_channels(model)
    assert first.bias[2] == 0 and first.bias[3] == 1
    assert widths(shrunken(model))["conv1"] == 3


def test_silence_behind_normalisation():
    model = sequential(
        keras.Input((6, 6, 2)),
        MaskedConv2D(5, 3, name="conv1"),
        layers.BatchNormalization(name="normalization"),
        layers.ReLU(),
        MaskedConv2D(3, 3, padding="same", name="conv2"),
    )
    prune(model.get_layer("conv1"), [0, 3])
    before = read_state(model)
    assert silence_pruned_channels(model) is model
    after = read_state(model)
    changed = {p for p in before if not np.array_equal(before[p], after[p])}
    assert {"/".join(path.split("/")[-2:]) for path in changed} == {
        "conv1/bias",
        "normalization/beta",
        "normalization/moving_mean",
    }
    for path in changed:
        same = [1, 2, 4]
        assert np.array_equal(before[path][same], after[path][same])
        assert (after[path][[0, 3]] == 0).all()
    assert widths(shrunken(model)) == {"conv1": 3, "conv2": 3}
    # Trained on, pruned channels stay silent.
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(8, 6, 6, 2))
    model.fit(x, np.ones((8, 4, 4, 3)), epochs=2, verbose=0)
    assert widths(shrunken(model)) == {"conv1": 3, "conv2": 3}


def residual(pruned_first, pruned_branch, join):
    x = keras.Input((6, 6, 2))
    y = MaskedConv2D(4, 3, padding="same", activation="relu", name="first")(x)
    branch = MaskedConv2D(3, 1, activation="relu", name="inner")(y)
    branch = MaskedConv2D(4, 1, activation="relu", name="branch")(branch)
    y = layers.Activation("relu")(join(y, branch))
    y = MaskedConv2D(5, 1, name="last")(y)
    model = randomize(keras.Model(x, layers.GlobalAveragePooling2D()(y)))
    prune(model.get_layer("first"), pruned_first)
    prune(model.get_layer("branch"), pruned_branch)
    return model


JOINS = {
    "Add": lambda a, b: layers.Add()([a, b]),
    "Average": lambda a, b: layers.Average()([a, b]),
    "Maximum": lambda a, b: layers.Maximum()([a, b]),
    "Subtract": lambda a, b: layers.Subtract()([a, b]),
    "plus": lambda a, b: 0.5 * (a + b) + 0.25,
}


@pytest.mark.parametrize("join", JOINS)
def test_a_residual_channel_goes_if_both_branches_are_dead(join, capsys):
    model = residual([0, 1], [1, 2], JOINS[join])
    smaller = shrunken(model, capsys)
    assert widths(smaller) == {"first": 3, "inner": 3, "branch": 3, "last": 5}
    assert "joined with others that last" in capsys.readouterr().out


def test_a_product_with_zero_is_dead():
    model = residual([0, 1], [2], JOINS["Add"])
    x = keras.Input((6, 6, 4))
    y = MaskedConv2D(6, 3, activation="relu", name="conv1")(x)
    gate = layers.GlobalAveragePooling2D()(y)
    gate = layers.Reshape((1, 1, 6))(gate)
    gate = layers.Conv2D(2, 1, activation="relu", name="squeeze")(gate)
    gate = layers.Conv2D(6, 1, activation="sigmoid", name="excite")(gate)
    y = MaskedConv2D(3, 3, padding="same", name="conv2")(y * gate)
    model = randomize(keras.Model(x, y))
    first = model.get_layer("conv1")
    prune(first, [0, 1])
    first.bias.assign([-1, 2, 1, 1, 1, 1])
    assert widths(shrunken(model)) == {
        **{"conv1": 5, "squeeze": 2, "excite": 5, "conv2": 3}
    }


def test_concatenated_channels():
    x = keras.Input((6, 6, 2))
    one = MaskedConv2D(4, 3, activation="relu", name="one")(x)
    two = MaskedConv2D(3, 3, activation="relu", name="two")(x)
    both = layers.Concatenate()([one, two, one])
    along = layers.Concatenate(1)([both, both])
    y = layers.BatchNormalization()(along)
    y = MaskedConv2D(2, 3, name="last")(y)
    model = randomize(keras.Model(x, y))
    prune(model.get_layer("one"), [3])
    prune(model.get_layer("two"), [0, 1])
    smaller = shrunken(model)
    assert widths(smaller) == {"one": 3, "two": 1, "last": 2}
    assert smaller.get_layer("last").kernel.shape == (3, 3, 7, 2)


@pytest.mark.parametrize("multiplier", [1, 2])
def test_a_depthwise_block(multiplier):
    x = keras.Input((8, 8, 3))
    y = MaskedConv2D(6, 1, use_bias=False, name="expand")(x)
    y = layers.BatchNormalization(name="expand_normalization")(y)
    y = layers.ReLU(6)(y)
    y = MaskedDepthwiseConv2D(
        3, depth_multiplier=multiplier, padding="same", name="depthwise"
    )(y)
    y = layers.BatchNormalization()(y)
    y = layers.ReLU(6)(y)
    y = MaskedConv2D(4, 1, padding="same", name="project")(y)
    model = randomize(keras.Model(x, y))
    prune(model.get_layer("expand"), [0, 2])
    mask = np.ones((3, 3, 6, multiplier), bool)
    mask[:, :, 5] = False  # dead, whatever it reads
    model.get_layer("depthwise").kernel_mask.assign(mask)
    silence_pruned_channels(model)
    randomize(model.get_layer("depthwise"))
    smaller = shrunken(model)
    kernel = smaller.get_layer("depthwise").kernel
    assert kernel.shape == (3, 3, 3, multiplier)
    assert smaller.get_layer("expand").kernel.shape == (1, 1, 3, 3)
    assert widths(smaller) == {"depthwise": 3 * multiplier, "project": 4}


def test_a_shared_layer_stays_as_it_is():
    x = keras.Input((5,))
    y = MaskedDense(5, "relu", name="first")(x)
    shared = MaskedDense(5, "tanh", name="shared")
    y = shared(shared(y))
    relu = layers.ReLU()
    y = relu(MaskedDense(4, name="second")(relu(y)))
    model = randomize(keras.Model(x, layers.Dense(2, name="last")(y)))
    for name in ("first", "shared", "second"):
        prune(model.get_layer(name), [0, 1])
    assert widths(shrunken(model)) == {
        **{"first": 5, "shared": 5, "second": 2, "last": 2}
    }


def test_outputs_of_the_model_stay():
    x = keras.Input((5,))
    y = MaskedDense(4, "relu", name="first")(x)
    z = MaskedDense(4, "relu", name="second")(y)
    outputs = {"features": y, "last": MaskedDense(3, name="last")(z)}
    model = randomize(keras.Model(x, outputs))
    for name in ("first", "second", "last"):
        prune(model.get_layer(name), [0])
    smaller = shrunken(model)
    assert widths(smaller) == {"first": 4, "second": 3, "last": 3}
    assert smaller.output.keys() == {"features", "last"}


def test_nested_models_shrink():
    base = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            MaskedConv2D(6, 3, activation="relu", name="conv1"),
            MaskedConv2D(5, 3, activation="relu", name="conv2"),
        ],
        name="base",
    )
    x, other = keras.Input((8, 8, 2)), keras.Input((4,))
    y = MaskedConv2D(3, 3, name="before")(x)
    y = base(y, training=False)
    y = layers.GlobalMaxPooling2D()(y)
    y = layers.Concatenate()([y, other])
    model = randomize(keras.Model([x, other], layers.Dense(2, name="last")(y)))
    prune(model.get_layer("before"), [0])
    prune(base.get_layer("conv1"), [0, 5])
    prune(base.get_layer("conv2"), [1])
    smaller = shrunken(model)
    assert widths(smaller) == {"before": 3, "conv1": 4, "conv2": 4, "last": 2}


def test_a_transposed_convolution():
    model = sequential(
        keras.Input((4, 4, 2)),
        MaskedConv2D(5, 1, activation="relu", name="first"),
        MaskedConv2DTranspose(4, 3, 2, activation="relu", name="up"),
        layers.UpSampling2D(),
        MaskedConv2D(3, 1, name="last"),
    )
    first = model.get_layer("first")
    prune(first, [0, 1])
    first.bias.assign([-1, 1, 1, 1, 1])  # not 0: it stays
    prune(model.get_layer("up"), [3])
    assert widths(shrunken(model)) == {"first": 4, "up": 3, "last": 3}


def test_a_causal_convolution_pads():
    model = sequential(
        keras.Input((7, 2)),
        MaskedConv1D(4, 1, activation="relu", name="first"),
        MaskedConv1D(4, 3, padding="causal", name="second"),
        layers.GlobalAveragePooling1D(),
        layers.Dense(2, name="last"),
    )
    prune(model.get_layer("first"), [0, 1])
    prune(model.get_layer("second"), [0, 1])
    model.get_layer("first").bias.assign([-1, 1, 1, 1])
    assert widths(shrunken(model)) == {"first": 3, "second": 2, "last": 2}


def test_layers_with_masks_within_stay_as_they_are():
    x = keras.Input((5, 4))
    y = MaskedDense(6, "relu", name="first")(x)
    y = layers.LSTM(3)(y)
    y = layers.Dense(4, "tanh", name="second")(y)
    model = randomize(keras.Model(x, layers.Dense(2, name="last")(y)))
    mask_model(model, verbose=False)
    prune(model.get_layer("first"), [0])
    prune(model.get_layer("second"), [0, 1])
    for path, kernel in masked_kernels(model).items():
        if "lstm" in path:
            mask = np.random.default_rng(0).random(kernel.variable.shape) < 0.5
            kernel.mask.assign(mask)
    found = widths(shrunken(model))
    assert (found["first"], found["second"], found["last"]) == (6, 2, 2)


def double(x):
    return 2 * x


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.LayerNormalization(),
        lambda: layers.Softmax(),
        lambda: layers.Activation("softmax"),
        lambda: layers.Lambda(double),
        lambda: layers.Reshape((-1,)),
        lambda: layers.Permute((3, 1, 2)),
        lambda: layers.Conv2D(4, 1, groups=2),
        lambda: layers.BatchNormalization(axis=1),
        lambda: keras.Sequential([layers.Conv2D(3, 1)]),
    ],
)
def test_before_a_layer_that_is_not_known_nothing_goes(make):
    x = keras.Input((5, 5, 2))
    y = MaskedConv2D(4, 1, activation="relu", name="first")(x)
    y = MaskedConv2D(4, 1, activation="relu", name="second")(y)
    y = layers.Flatten()(make()(y))
    model = randomize(keras.Model(x, layers.Dense(2, name="last")(y)))
    prune(model.get_layer("first"), [0])
    prune(model.get_layer("second"), [1])
    found = widths(shrunken(model))
    assert (found["first"], found["second"], found["last"]) == (3, 4, 2)


def test_a_layer_called_for_training_is_not_known():
    x = keras.Input((4,))
    y = MaskedDense(6, "relu", name="first")(x)
    y = layers.BatchNormalization()(y, training=True)
    model = randomize(keras.Model(x, layers.Dense(2, name="last")(y)))
    prune(model.get_layer("first"), [0, 1])
    assert widths(shrunken(model)) == {"first": 6, "last": 2}


def test_weights_frozen_at_another_value_are_not_pruned():
    model = sequential(
        keras.Input((4,)),
        MaskedDense(6, "relu", name="first"),
        MaskedDense(2, name="last"),
    )
    first = model.get_layer("first")
    mask, frozen = np.ones((4, 6), bool), np.zeros((4, 6))
    mask[:, :3] = False
    frozen[:, 0] = 0.5
    first.kernel_mask.assign(mask, frozen)
    assert widths(shrunken(model)) == {"first": 4, "last": 2}


def test_zeros_by_chance_are_not_pruned():
    model = sequential(
        keras.Input((4,)),
        MaskedDense(6, "relu", name="first"),
        layers.Dense(5, "relu", name="second"),
        MaskedDense(2, name="last"),
    )
    prune(model.get_layer("first"), [0])
    first, second = model.get_layer("first"), model.get_layer("second")
    first.raw_kernel.assign(np.where(np.arange(6) < 3, 0, numpy(first.kernel)))
    second.kernel.assign(np.where(np.arange(5) < 2, 0, numpy(second.kernel)))
    assert widths(shrunken(model)) == {"first": 5, "second": 5, "last": 2}


def test_channels_that_read_dead_ones_are_dead_and_unread_ones_go():
    model = sequential(
        keras.Input((4,)),
        MaskedDense(4, "relu", name="first"),
        MaskedDense(4, "sigmoid", name="second"),
        MaskedDense(4, "relu", name="third"),
        MaskedDense(3, name="last"),
    )
    prune(model.get_layer("first"), [0])
    second = np.ones((4, 4), bool)
    second[:, 0] = [True, False, False, False]  # reads a dead one
    model.get_layer("second").kernel_mask.assign(second)
    third = np.ones((4, 4), bool)
    third[3] = False  # nobody reads that one of second
    model.get_layer("third").kernel_mask.assign(third)
    last = np.ones((4, 3), bool)
    last[2] = False
    model.get_layer("last").kernel_mask.assign(last)
    assert widths(shrunken(model)) == {
        **{"first": 3, "second": 2, "third": 3, "last": 3}
    }


def test_one_channel_stays():
    x = keras.Input((4,))
    y = MaskedDense(4, "relu", name="first")(x)
    y = MaskedDense(5, "relu", name="second")(y)
    z = layers.Dense(3, name="last")(layers.Concatenate()([x, y]))
    model = randomize(keras.Model(x, z))
    prune(model.get_layer("second"), range(5))
    assert widths(shrunken(model)) == {"first": 1, "second": 1, "last": 3}


def test_a_learned_mask_is_taken_as_it_is():
    model = sequential(
        keras.Input((8,)),
        MaskedDense(6, "relu", kernel_mask=TopKMask(0.5, seed=1), name="first"),
        layers.Dense(2, name="last"),
    )
    mask = model.get_layer("first").kernel_mask
    mask.scores.assign(np.ones((8, 1)) * [1, 0.1, 2, 0.1, 3, 0.1])
    assert widths(shrunken(model)) == {"first": 3, "last": 2}


def test_single_weights_make_nothing_smaller_and_that_is_said(capsys):
    model = sequential(keras.Input((4,)), MaskedDense(3), layers.Dense(2))
    mask = np.ones((4, 3), bool)
    mask[0, :2] = False
    model.layers[0].kernel_mask.assign(mask)
    smaller = shrunken(model, capsys)
    assert numpy(smaller.layers[0].kernel)[0].tolist()[:2] == [0, 0]
    said = " ".join(capsys.readouterr().out.split())
    assert "Took out no channel: none has all its weights pruned" in said
    prune(model.layers[0], [0])
    model = randomize(keras.Model(model.inputs, model.layers[0].output))
    shrunken(model, capsys)
    said = " ".join(capsys.readouterr().out.split())
    assert "the pruned ones are needed, see above. Parameters: 15 b" in said
    assert "an output of the model" in said


def test_what_keras_keeps_is_kept():
    model = sequential(keras.Input((4,)), MaskedDense(3), layers.Dense(2))
    prune(model.layers[0], [0])
    model.layers[1].trainable = False
    model.compile("adam", "mse")
    smaller = shrink(model, verbose=False)
    assert smaller.name == model.name
    assert [layer.trainable for layer in smaller.layers] == [True, False]
    x = np.ones((4, 4), "float32")
    smaller.fit(x, np.ones((4, 2)), verbose=0)
    assert type(model.layers[0]) is MaskedDense


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = MaskedDense(3)

    def call(self, x):
        return self.dense(x)


class Doubling(keras.Model):
    def call(self, x):
        return 2 * super().call(x)


@pytest.mark.parametrize("function", [shrink, silence_pruned_channels])
def test_models_of_another_kind_are_named(function):
    subclassed = Subclassed()
    subclassed(np.zeros((1, 2)))
    x = keras.Input((2,))
    doubling = Doubling(x, MaskedDense(3)(x))
    plain = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    for model, message in (
        (subclassed, "received Subclassed, of which it is not known"),
        (doubling, "received Doubling, of which it is not known"),
        (keras.Sequential([MaskedDense(2)], name="new"), "new, which is not b"),
        (plain, "with masked layers, received one without"),
        ("model", "expected a Keras model, received builtins.str"),
    ):
        with pytest.raises(InvalidValue, match=message):
            function(model)


@pytest.mark.parametrize("seed", range(12))
def test_networks_made_at_random(seed, float64):
    """Layers in any order, channels pruned at random: the outputs stay."""
    rng = np.random.default_rng(seed)
    x = keras.Input((8, 8, 3))
    y = MaskedConv2D(6, 3, padding="same", activation="relu")(x)
    open_ends = [y]
    for _ in range(10):
        y = open_ends[rng.integers(len(open_ends))]
        padding = rng.choice(["same", "valid"]) if y.shape[1] > 3 else "same"
        activation = rng.choice(["relu", "sigmoid", "linear"])
        kind = rng.integers(9)
        if kind < 3:
            y = MaskedConv2D(
                int(rng.integers(2, 7)),
                int(rng.choice([1, 3])),
                padding=padding,
                activation=activation,
                use_bias=bool(rng.integers(2)),
            )(y)
        elif kind == 3:
            y = layers.BatchNormalization(scale=bool(rng.integers(2)))(y)
        elif kind == 4:
            y = layers.DepthwiseConv2D(3, padding=padding)(y)
        elif kind == 5:
            y = layers.Activation(activation)(y)
        else:
            others = [z for z in open_ends if z.shape[1:3] == y.shape[1:3]]
            z = others[rng.integers(len(others))]
            if kind == 6 or z.shape != y.shape:
                y = layers.Concatenate()([y, z])
            else:
                y = (y + z) if kind == 7 else layers.Multiply()([y, z])
        open_ends.append(y)
    ends = [layers.Flatten()(z) for z in open_ends[-2:]]
    y = layers.Dense(4)(layers.Concatenate()(ends))
    model = randomize(keras.Model(x, y), seed)
    prune_all(model, 0.5, seed=seed)
    shrunken(model)
    silence_pruned_channels(model)
    shrunken(model)


def test_mobilenet(float64):
    model = keras.applications.MobileNetV2((96, 96, 3), weights=None, classes=5)
    parameters = model.count_params()
    randomize(model)
    rates = [("depthwise|predictions", None), (".", 0.5)]
    mask_model(model, rates, verbose=False)
    prune_all(model, 0.5)
    # Statistics of its own, or all examples would look alike at the end.
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    model(np.random.default_rng(0).normal(size=(4, 96, 96, 3)), training=True)
    one = shrunken(model)
    silence_pruned_channels(model)
    two = shrunken(model)
    assert two.count_params() < 0.4 * parameters
    assert two.count_params() < one.count_params() < 0.6 * parameters
    for block in range(1, 17):
        name = f"block_{block}_expand"
        before = model.get_layer(name).raw_kernel.shape[-1]
        assert two.get_layer(name).kernel.shape[-1] == before // 2
