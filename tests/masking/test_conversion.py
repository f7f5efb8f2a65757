"""Masks on models that were made without any, on Keras' backend of the day."""

import pickle

import keras
import numpy as np
import pytest
from keras import layers as plain

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking import layers
from tf_lottery.masking.conversion import (
    mask_model,
    strip_masks,
    stripped,
    survey,
)
from tf_lottery.masking.kernels import all_layers, masked_kernels, masked_layers
from tf_lottery.masking.layers import Masked
from tf_lottery.masking.masks import BernoulliMask, FixedMask, TopKMask
from tf_lottery.masking.model_state import variables_by_path


@keras.saving.register_keras_serializable("tests")
class Block(keras.Layer):
    """A block of a Transformer that leaves building to Keras."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.attention = plain.MultiHeadAttention(2, 4)
        self.feed = keras.Sequential([plain.Dense(12), plain.Dense(8)])
        self.norms = [plain.LayerNormalization(), plain.LayerNormalization()]

    def call(self, x):
        x = self.norms[0](x + self.attention(x, x))
        return self.norms[1](x + self.feed(x))


@keras.saving.register_keras_serializable("tests")
class Net(keras.Model):
    """A subclassed model with a nested one and layers in a list."""

    def __init__(self, width=4, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.body = keras.Sequential(
            [
                plain.Conv2D(width, 3, activation="relu"),
                plain.BatchNormalization(),
                plain.SeparableConv2D(width, 3),
            ]
        )
        self.heads = [plain.Dense(5), plain.Dense(2)]

    def get_config(self):
        return {**super().get_config(), "width": self.width}

    def call(self, x, training=False):
        x = keras.ops.mean(self.body(x, training=training), axis=(1, 2))
        for head in self.heads:
            x = head(x)
        return x


@keras.saving.register_keras_serializable("tests")
class OwnDense(plain.Dense):
    """A layer of the user's that is more than Keras' own."""

    def __init__(self, units, scale=2.0, **kwargs):
        super().__init__(units, **kwargs)
        self.scale = scale

    def call(self, x):
        return super().call(x) * self.scale

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable("tests")
class OwnKernel(keras.Layer):
    """A layer that is none of Keras', with two kernels and a table."""

    def build(self, input_shape):
        size = (input_shape[-1], 3)
        self.kernel = self.add_weight(shape=size, name="kernel")
        self.gate_kernel = self.add_weight(shape=size, name="gate_kernel")
        self.table = self.add_weight(shape=size, name="table")

    def call(self, x):
        gate = keras.ops.sigmoid(keras.ops.matmul(x, self.gate_kernel))
        return keras.ops.matmul(x, self.kernel + self.table) * gate


@keras.saving.register_keras_serializable("tests")
class Noise(keras.Layer):
    """A layer that has nothing to build."""

    def call(self, x):
        return x + keras.random.normal(keras.ops.shape(x))


@keras.saving.register_keras_serializable("tests")
class SometimesNoisy(keras.Model):
    """A model that calls one of its layers in training only."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = plain.Dense(2)
        self.noise = Noise()

    def call(self, x, training=False):
        x = self.dense(x)
        return self.noise(x) if training else x


@keras.saving.register_keras_serializable("tests")
class OddKernels(keras.Layer):
    """A layer that keeps kernels in every way that it should not.

    Args:
        how: Which.
    """

    def __init__(self, how="private", **kwargs):
        super().__init__(**kwargs)
        self.how = how

    def get_config(self):
        return {**super().get_config(), "how": self.how}

    def build(self, input_shape):
        size = (input_shape[-1], 3)
        kernel = self.add_weight(shape=size, name="kernel")
        self._kernel = kernel
        if self.how == "alias":
            self.kernel = kernel
        if self.how == "two":
            self.kernel = self.add_weight(shape=size, name="other_kernel")
        if self.how == "taken":
            self._kernel_mask = keras.ops.ones(size)
        if self.how == "constant":
            self._kernel = self.add_weight(
                shape=size, name="kernel", trainable=False
            )

    def call(self, x):
        kernel = self._kernel
        if self.how == "two":
            kernel = kernel + self.kernel
        if self.how == "taken":
            kernel = kernel * self._kernel_mask
        return keras.ops.matmul(x, kernel)


def images(size=9):
    return np.random.default_rng(0).random((2, size, size, 3), np.float32)


def sequence():
    return np.random.default_rng(0).random((2, 6, 8), np.float32)


def functional(make, x):
    inputs = keras.Input(x.shape[1:], dtype=x.dtype)
    return keras.Model(inputs, make(inputs)), x


def sequential():
    model = keras.Sequential(
        [plain.Conv2D(4, 3), plain.Flatten(), plain.Dense(2)]
    )
    model.build((None, 9, 9, 3))
    return model, images()


def shared():
    layer = plain.Dense(8, name="twice")
    return functional(lambda x: plain.Dense(2)(layer(layer(x))), sequence())


def nested():
    inner, _ = sequential()
    tower = keras.Sequential([plain.Dense(2, name="dense")], name="tower")
    return functional(lambda x: tower(inner(x)), images())


def transformer():
    tokens = np.random.default_rng(0).integers(0, 9, (2, 6))
    return functional(
        lambda x: plain.Dense(2)(
            plain.GlobalAveragePooling1D()(
                Block()(Block()(plain.Embedding(9, 8)(x)))
            )
        ),
        tokens,
    )


def recurrent():
    def make(x):
        x = plain.Bidirectional(plain.LSTM(3, return_sequences=True))(x)
        x = plain.TimeDistributed(plain.Dense(4))(x)
        x = plain.RNN(plain.LSTMCell(3), return_sequences=True)(x)
        return plain.GRU(2)(x)

    return functional(make, sequence())


def convolutions():
    def make(x):
        x = plain.DepthwiseConv2D(3)(x)
        x = plain.Conv2DTranspose(4, 3)(x)
        return plain.Conv2D(4, 3, groups=2)(x)

    return functional(make, images())


def subclassed():
    model = Net()
    model(images())
    return model, images()


def own_layers():
    return functional(
        lambda x: OwnKernel()(OwnDense(5)(x)),
        np.random.default_rng(0).random((2, 8), np.float32),
    )


def sometimes_noisy():
    model, x = SometimesNoisy(), sequence()
    model(x)
    return model, x


def odd(how="private"):
    return functional(lambda x: plain.Dense(2)(OddKernels(how)(x)), sequence())


# And how many kernels they have.
MODELS = {
    "sequential": (sequential, 2),
    "shared": (shared, 2),
    "nested": (nested, 3),
    "transformer": (transformer, 2 * (4 + 2) + 1),
    "recurrent": (recurrent, 2 * 2 + 1 + 2 + 2),
    "convolutions": (convolutions, 3),
    "subclassed": (subclassed, 1 + 2 + 2),
    "own layers": (own_layers, 3),
    "sometimes noisy": (sometimes_noisy, 1),
    "odd": (odd, 2),
}


@pytest.fixture(params=MODELS)
def case(request):
    make, kernels = MODELS[request.param]
    return *make(), kernels


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def outputs(model, x):
    return numpy(model(x, training=False))


def prune_at_random(model, seed=1):
    rng = np.random.default_rng(seed)
    for kernel in masked_kernels(model).values():
        kernel.mask.assign(rng.random(tuple(kernel.variable.shape)) < 0.5)


def state(model):
    return {p: numpy(v) for p, v in variables_by_path(model).items()}


def assert_same(one, other):
    assert list(one) == list(other)
    for path in one:
        assert np.array_equal(one[path], other[path]), path


def train_a_step(model, x):
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(x, np.ones_like(outputs(model, x)), verbose=0)


def test_outputs_are_the_same_and_all_kernels_are_found(case):
    model, x, kernels = case
    before, names = outputs(model, x), [v.path for v in model.weights]
    variables = {v.path: v for v in model.trainable_variables}
    assert mask_model(model, verbose=False) is model
    assert np.array_equal(outputs(model, x), before)
    assert len(masked_kernels(model)) == kernels
    # The same objects in the same places.
    assert {v.path: v for v in model.trainable_variables} == variables
    assert [v.path for v in model.weights if "_mask/" not in v.path] == names


def test_masks_are_what_the_model_computes_with(case):
    model, x, _ = case
    before = outputs(model, x)
    mask_model(model, verbose=False)
    prune_at_random(model)
    pruned = outputs(model, x)
    assert not np.array_equal(pruned, before)
    masks = [numpy(k.mask.value) for k in masked_kernels(model).values()]
    strip_masks(model)
    np.testing.assert_allclose(outputs(model, x), pruned, rtol=1e-6, atol=1e-6)
    kernels = [w.variable for w in survey(model) if not w.why]
    for kernel, mask in zip(kernels, masks, strict=True):
        assert not numpy(kernel)[~mask].any()


def test_pruned_weights_do_not_move_in_fit(case):
    model, x, _ = case
    mask_model(model, verbose=False)
    prune_at_random(model)
    before = {p: numpy(k.effective) for p, k in masked_kernels(model).items()}
    train_a_step(model, x)
    moved = 0
    for path, kernel in masked_kernels(model).items():
        mask, after = numpy(kernel.mask.value), numpy(kernel.effective)
        assert not after[~mask].any()
        moved += (after != before[path]).sum()
    assert moved


@pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer")
def test_files_keep_everything_bit_for_bit(case, tmp_path):
    model, x, _ = case
    mask_model(model, [(".", 0.3)], verbose=False)
    prune_at_random(model)
    train_a_step(model, x)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for one, other in zip(model.weights, again.weights, strict=True):
        assert np.array_equal(numpy(one), numpy(other)), one.path
    assert np.array_equal(outputs(model, x), outputs(again, x))
    rates = [kernel.mask.rate for kernel in masked_kernels(again).values()]
    assert set(rates) == {0.3}
    # And what was loaded can be saved again, trained, and stripped.
    again.save(tmp_path / "again.keras")
    train_a_step(again, x)
    strip_masks(again)
    again.save(tmp_path / "plain.keras")
    last = keras.models.load_model(tmp_path / "plain.keras")
    assert not list(masked_layers(last))
    assert np.array_equal(outputs(again, x), outputs(last, x))


def test_stripping_gives_every_layer_its_own_class_back(case):
    model, x, _ = case
    classes = [type(layer) for layer in all_layers(model)]
    config = model.get_config()
    names = [v.path for v in model.weights]
    mask_model(model, verbose=False)
    assert strip_masks(model) is model
    assert [type(layer) for layer in all_layers(model)] == classes
    assert model.get_config() == config
    assert [v.path for v in model.weights] == names
    train_a_step(model, x)
    with pytest.raises(
        InvalidValue, match="with masked layers, received one w"
    ):
        strip_masks(model)


def test_masks_come_back_after_a_with_block(case):
    model, x, _ = case
    mask_model(model, verbose=False)
    prune_at_random(model)
    classes = [type(layer) for layer in all_layers(model)]
    before, pruned = state(model), outputs(model, x)
    with pytest.raises(KeyError), stripped(model) as bare:
        assert not list(masked_layers(bare))
        np.testing.assert_allclose(
            outputs(bare, x), pruned, rtol=1e-6, atol=1e-6
        )
        raise KeyError
    assert [type(layer) for layer in all_layers(model)] == classes
    assert_same(state(model), before)
    assert np.array_equal(outputs(model, x), pruned)
    train_a_step(model, x)


def test_what_was_compiled_is_compiled_again():
    model, x = sequential()
    model.compile("sgd", "mse")
    y = np.ones((2, 2))
    model.fit(x, y, verbose=0)
    before = model.predict(x, verbose=0)
    mask_model(model, verbose=False)
    assert np.array_equal(model.predict(x, verbose=0), before)
    prune_at_random(model)
    pruned = model.predict(x, verbose=0)
    assert not np.allclose(pruned, before)
    model.fit(x, y, verbose=0)  # the optimizer still fits
    strip_masks(model)
    after = model.predict(x, verbose=0)
    np.testing.assert_allclose(after, outputs(model, x), rtol=1e-5)


def test_layers_are_left_out_by_pattern(capsys):
    model, _ = nested()
    rates = [("tower", None), ("conv", 0.1), (".", 0.2)]
    mask_model(model, rates)
    kernels = masked_kernels(model)
    assert [type(k.layer).__name__ for k in kernels.values()] == [
        "MaskedConv2D",
        "MaskedDense",
    ]
    assert [k.mask.rate for k in kernels.values()] == [0.1, 0.2]
    out = capsys.readouterr().out
    assert "none: its rate is None" in out
    assert "Masked 500 of 504 weights" in out


def test_a_sequence_is_masked_once_and_not_in_each_step(monkeypatch):
    model, x = functional(
        lambda x: plain.Bidirectional(plain.RNN(plain.LSTMCell(3)))(x),
        sequence(),
    )
    outputs(model, x)  # Keras keeps something of a call
    before = {id(layer): {*vars(layer)} for layer in all_layers(model)}
    mask_model(model, verbose=False)
    prune_at_random(model)
    pruned = outputs(model, x)
    calls = []
    call = FixedMask.call
    monkeypatch.setattr(
        FixedMask, "call", lambda *args: calls.append(args) or call(*args)
    )
    assert np.array_equal(outputs(model, x), pruned)
    assert len(calls) == len(masked_kernels(model)) == 4
    # Nothing is held beyond a call.
    [kernel, *_] = masked_kernels(model).values()
    kernel.mask.assign(np.zeros(kernel.variable.shape))
    assert not np.array_equal(outputs(model, x), pruned)
    strip_masks(model)
    for layer in all_layers(model):
        assert "call" not in vars(layer)
        assert {*vars(layer)} == before[id(layer)]


def test_one_of_a_cells_kernels_is_left_out(tmp_path):
    model, x = recurrent()
    before = outputs(model, x)
    mask_model(model, [("recurrent", 0.2), (".", None)], verbose=False)
    assert len(masked_kernels(model)) == 4
    assert np.array_equal(outputs(model, x), before)
    prune_at_random(model)
    train_a_step(model, x)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert np.array_equal(outputs(again, x), outputs(model, x))
    strip_masks(again)
    np.testing.assert_allclose(
        outputs(again, x), outputs(model, x), rtol=1e-5, atol=1e-6
    )


def test_what_is_left_dense_is_listed_with_the_reason(capsys):
    model, _ = transformer()
    mask_model(model)
    out = " ".join(capsys.readouterr().out.split())
    assert "embedding" in out
    assert "9 x 8 none: no kernel of Embedding" in out
    [left] = [w for w in survey(model) if w.why != "it has a mask already"]
    assert left.why == "no kernel of Embedding"


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("alias", "kept in several attributes (_kernel, kernel)"),
        ("two", "its layer uses the attribute _kernel otherwise"),
        ("taken", "its layer uses the attribute _kernel_mask otherwise"),
        ("constant", "it is never trained"),
    ],
)
def test_kernels_that_cannot_be_masked_are_left_and_listed(how, why):
    model, x = odd(how)
    before = outputs(model, x)
    assert why in {w.why for w in survey(model) if "odd" in w.path}
    mask_model(model, verbose=False)
    assert np.array_equal(outputs(model, x), before)
    strip_masks(model)
    assert np.array_equal(outputs(model, x), before)


def test_one_variable_of_two_layers_stays_dense():
    model, _ = functional(
        lambda x: plain.SpectralNormalization(plain.Dense(3, name="fc"))(
            plain.Dense(5)(x)
        ),
        sequence(),
    )
    mask_model(model, verbose=False)
    [path] = masked_kernels(model)
    assert path.startswith("dense")
    [why] = [w.why for w in survey(model) if "fc" in w.path and w.why]
    assert why.startswith("one variable of several layers")


def test_layers_of_one_name_in_two_towers_keep_apart():
    def tower(name):
        return keras.Sequential(
            [keras.Input((8,)), plain.Dense(3, name="fc")], name=name
        )

    inputs = keras.Input((8,))
    towers = [tower("a"), tower("b")]
    model = keras.Model(inputs, plain.Add()([t(inputs) for t in towers]))
    plain_paths = [v.path for v in model.weights]
    mask_model(model, verbose=False)
    paths = list(variables_by_path(model))
    assert len(paths) == len(set(paths)) == 4 + 4
    if len(set(plain_paths)) < len(plain_paths):
        assert {"fc#2/kernel", "fc#2/kernel_mask/value"} <= set(paths)


@pytest.mark.parametrize("make", [BernoulliMask, TopKMask])
def test_learned_masks_freeze_what_is_below(make):
    model, x = sequential()
    mask_model(model, kernel_mask=make, verbose=False)
    model.trainable = True  # does not thaw it
    kernels = masked_kernels(model).values()
    before = [numpy(kernel.variable) for kernel in kernels]
    learned = [v for k in kernels for v in k.mask.trainable_variables]
    start = [numpy(v) for v in learned]
    assert len(learned) == 2
    train_a_step(model, x)
    for kernel, value in zip(kernels, before, strict=True):
        assert np.array_equal(numpy(kernel.variable), value)
    for variable, value in zip(learned, start, strict=True):
        assert not np.array_equal(numpy(variable), value)
    strip_masks(model)
    assert len(model.trainable_variables) == 4


@pytest.mark.parametrize("name", ["convolutions", "subclassed", "own layers"])
def test_learned_masks_leave_the_order_of_variables(name, tmp_path):
    model, x = MODELS[name][0]()
    names = [v.path for v in model.weights]
    trainable = [v.trainable for v in model.weights]
    mask_model(model, kernel_mask=BernoulliMask, verbose=False)
    train_a_step(model, x)
    strip_masks(model)
    assert [v.path for v in model.weights] == names
    assert [v.trainable for v in model.weights] == trainable
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert np.array_equal(outputs(again, x), outputs(model, x))


def test_a_masked_model_is_pickled():
    model, x = subclassed()
    mask_model(model, verbose=False)
    prune_at_random(model)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(outputs(again, x), outputs(model, x))
    assert len(masked_kernels(again)) == len(masked_kernels(model))


def test_masks_are_one_for_each_kernel():
    one = FixedMask()
    for made, message in (
        (lambda **_: one, "which gave"),
        (one, r"functools.partial\(FixedMask"),
    ):
        model, _ = sequential()
        with pytest.raises(InvalidValue, match=message):
            mask_model(model, kernel_mask=made, verbose=False)
        assert not list(masked_layers(model))


def test_a_frozen_layer_stays_frozen():
    model, _ = sequential()
    model.layers[0].trainable = False
    mask_model(model, kernel_mask=BernoulliMask, verbose=False)
    strip_masks(model)
    assert len(model.trainable_variables) == 2


def test_own_classes_of_layers_are_found_again():
    model, _ = own_layers()
    mask_model(model, verbose=False)
    own = [layer for layer in model.layers if isinstance(layer, Masked)]
    assert isinstance(own[0], OwnDense)
    assert isinstance(own[1], OwnKernel)
    assert own[1].kernels == ("kernel", "gate_kernel")
    assert type(own[0]).__name__ == "MaskedOwnDense"


def test_masked_layers_of_a_model_that_has_them_are_stripped():
    model = keras.Sequential(
        [
            keras.Input((9, 9, 3)),
            layers.MaskedDepthwiseConv2D(3),
            plain.Flatten(),
            layers.MaskedDense(2),
        ]
    )
    prune_at_random(model)
    before = outputs(model, images())
    strip_masks(model)
    np.testing.assert_allclose(outputs(model, images()), before, rtol=1e-6)
    model.layers[-1].quantize("int8")


def test_a_masked_layer_is_not_quantized():
    model, _ = sequential()
    mask_model(model, verbose=False)
    with pytest.raises(ValueError, match="no quantization on the masked"):
        model.layers[-1].quantize("int8")
    with pytest.raises(ValueError, match="no LoRA on the masked"):
        model.layers[-1].enable_lora(2)


def test_a_model_that_is_not_built_is_refused():
    for model in (keras.Sequential([plain.Dense(3)]), Net()):
        with pytest.raises(InvalidValue, match=r"is built, received .* dense"):
            mask_model(model, verbose=False)


def test_a_model_without_kernels_is_refused():
    model = keras.Sequential([keras.Input((4,)), plain.Embedding(9, 3)])
    with pytest.raises(InvalidValue, match="no kernel of Embedding"):
        mask_model(model, verbose=False)
    model, _ = sequential()
    mask_model(model, verbose=False)
    with pytest.raises(InvalidValue, match="it has a mask already"):
        mask_model(model, verbose=False)


def test_models_of_another_kind_are_refused():
    class Sequential:
        __module__ = "tf_keras.src.engine.sequential"

    for model, message in (
        (Sequential(), "Keras 3 model, received tf_keras.*from_tfmot"),
        (plain.Dense(3), "expected a Keras model, received keras"),
        (None, "received builtins.NoneType"),
    ):
        with pytest.raises(InvalidValue, match=message):
            mask_model(model, verbose=False)
        with pytest.raises(InvalidValue, match=message):
            strip_masks(model)


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ([("fc9", 0.1), (".", 0.2)], "received 'fc9', which matches none"),
        ([("conv", 0.1)], "for every layer, received none for"),
        ([(".", None)], "received None for all"),
        ([(".", 1.5)], r"in \(0, 1\).*received 1.5"),
        ([("(", 0.1)], "regular expressions"),
        (2, r"in \(0, 1\)"),
        ("conv", "expected rates to be a list of pairs"),
    ],
)
def test_wrong_rates_are_refused_and_change_nothing(rates, message):
    model, _ = sequential()
    with pytest.raises(InvalidValue, match=message):
        mask_model(model, rates, verbose=False)
    assert not list(masked_layers(model))


def test_lora_and_quantization_are_refused_before_anything_is_masked():
    for change, message in (
        (lambda layer: layer.enable_lora(2), "received LoRA"),
        (lambda layer: layer.quantize("int8"), r"quantization \(int8\)"),
    ):
        model, _ = sequential()
        change(model.layers[-1])
        with pytest.raises(InvalidValue, match=message):
            mask_model(model, verbose=False)
        assert not list(masked_layers(model))
        mask_model(model, [("conv", 0.2), (".", None)], verbose=False)
        assert len(masked_kernels(model)) == 1


def test_a_learned_mask_in_a_recurrent_cell_is_refused():
    model, _ = recurrent()
    with pytest.raises(InvalidValue, match="a recurrent cell is called"):
        mask_model(model, kernel_mask=BernoulliMask, verbose=False)
    with pytest.raises(InvalidValue, match="a new mask for each kernel"):
        mask_model(model, kernel_mask=plain.ReLU, verbose=False)
    assert not list(masked_layers(model))


def test_float64_is_kept():
    if keras.backend.backend() == "jax":
        pytest.skip("JAX has no float64 unless it is switched on")
    model = keras.Sequential(
        [keras.Input((4,)), plain.Dense(3, dtype="float64")]
    )
    mask_model(model, kernel_mask=FixedMask, verbose=False)
    [kernel] = masked_kernels(model).values()
    assert kernel.mask.frozen.dtype == "float64"
