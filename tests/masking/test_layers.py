"""Masked layers on whatever backend Keras runs on; see test_backends.py.

One table of layers is run through all checks.
"""

import keras
import numpy as np
import pytest

from tf_lottery.masking import layers
from tf_lottery.masking.masks import BernoulliMask, FixedMask, TopKMask

# Layer, its arguments, shape of a batch, the plain Keras layer.
LAYERS = {
    "Dense": (layers.MaskedDense, dict(units=5), (4, 6), keras.layers.Dense),
    "Conv1D": (
        layers.MaskedConv1D,
        dict(filters=5, kernel_size=3),
        (2, 8, 3),
        keras.layers.Conv1D,
    ),
    "Conv2D": (
        layers.MaskedConv2D,
        dict(filters=5, kernel_size=3, padding="same", activation="relu"),
        (2, 6, 6, 3),
        keras.layers.Conv2D,
    ),
    "Conv3D": (
        layers.MaskedConv3D,
        dict(filters=2, kernel_size=2),
        (2, 4, 4, 4, 3),
        keras.layers.Conv3D,
    ),
    "EinsumDense": (
        layers.MaskedEinsumDense,
        dict(equation="abc,cd->abd", output_shape=(4, 7), bias_axes="d"),
        (2, 4, 3),
        keras.layers.EinsumDense,
    ),
    "DepthwiseConv2D": (
        layers.MaskedDepthwiseConv2D,
        dict(kernel_size=3),
        (2, 6, 6, 3),
        keras.layers.DepthwiseConv2D,
    ),
    "Conv2DTranspose": (
        layers.MaskedConv2DTranspose,
        dict(filters=5, kernel_size=3),
        (2, 6, 6, 3),
        keras.layers.Conv2DTranspose,
    ),
}
MASKS = {
    "fixed": lambda: FixedMask(),
    "bernoulli": lambda: BernoulliMask(rescale=True, seed=3),
    "top_k": lambda: TopKMask(0.4, seed=3),
}


@pytest.fixture(params=LAYERS)
def entry(request):
    return LAYERS[request.param]


@pytest.fixture(params=MASKS)
def make_mask(request):
    return MASKS[request.param]


def batch(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def model_of(layer, shape, dtype=None):
    images = keras.Input(shape[1:], batch_size=shape[0])
    x = keras.layers.Flatten()(layer(images))
    return keras.Model(images, keras.layers.Dense(2, dtype=dtype)(x))


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def random_mask(layer, seed=1):
    rng = np.random.default_rng(seed)
    shape = tuple(layer.raw_kernel.shape)
    value = rng.integers(0, 2, shape)
    frozen = rng.normal(size=shape).astype("float32")
    layer.kernel_mask.assign(value, frozen)
    return value.astype(bool), frozen


def test_with_all_weights_kept_it_is_the_plain_layer(entry):
    cls, kwargs, shape, plain_cls = entry
    masked, plain = cls(**kwargs), plain_cls(**kwargs)
    x = batch(shape)
    masked(x), plain(x)
    own = {v.path.rsplit("/", 1)[1]: v for v in masked.trainable_variables}
    assert len(own) == len(plain.trainable_variables)
    for variable in plain.trainable_variables:
        variable.assign(own[variable.path.rsplit("/", 1)[1]])
    assert np.array_equal(numpy(masked(x)), numpy(plain(x)))


def test_the_effective_kernel_is_what_the_layer_uses(entry):
    cls, kwargs, shape, plain_cls = entry
    masked, plain = cls(**kwargs), plain_cls(**kwargs)
    x = batch(shape)
    masked(x), plain(x)
    value, frozen = random_mask(masked)
    effective = np.where(value, numpy(masked.raw_kernel), frozen)
    assert np.array_equal(numpy(masked.kernel), effective)
    for variable in plain.variables:
        name = variable.path.rsplit("/", 1)[1]
        variable.assign(effective if "kernel" in name else masked.bias)
    np.testing.assert_allclose(
        numpy(masked(x)), numpy(plain(x)), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.SGD(0.1, momentum=0.9),
        lambda: keras.optimizers.Adam(0.01),
        lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    ],
)
def test_pruned_weights_do_not_move(entry, optimizer):
    cls, kwargs, shape, _ = entry
    layer = cls(**kwargs)
    model = model_of(layer, shape)
    model.compile(optimizer(), "mse", run_eagerly=True)
    x, y = batch(shape), batch((shape[0], 2), seed=2)
    model.fit(x, y, verbose=0)  # momentum from before the pruning
    value, frozen = random_mask(layer)
    kept = numpy(layer.kernel)[value]
    model.fit(x, y, epochs=3, verbose=0)
    after = numpy(layer.kernel)
    assert np.array_equal(after[~value], frozen[~value])
    assert not np.array_equal(after[value], kept)


def test_the_kernel_below_a_learned_mask_does_not_move(entry):
    cls, kwargs, shape, _ = entry
    for make in (MASKS["bernoulli"], MASKS["top_k"]):
        layer = cls(kernel_mask=make(), **kwargs)
        model = model_of(layer, shape)
        model.trainable = True  # does not thaw it
        model.compile(
            keras.optimizers.AdamW(0.1, weight_decay=0.1),
            "mse",
            run_eagerly=True,
        )
        kernel = numpy(layer.raw_kernel)
        [learned] = layer.kernel_mask.trainable_variables
        before = numpy(learned)
        model.fit(batch(shape), batch((shape[0], 2)), verbose=0)
        assert np.array_equal(numpy(layer.raw_kernel), kernel)
        assert not np.array_equal(numpy(learned), before)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_files_keep_everything_bit_for_bit(entry, make_mask, tmp_path, suffix):
    cls, kwargs, shape, _ = entry
    layer = cls(kernel_mask=make_mask(), **kwargs)
    model = model_of(layer, shape)
    model.compile("adam", "mse", run_eagerly=True)
    x, y = batch(shape), batch((shape[0], 2))
    if isinstance(layer.kernel_mask, FixedMask):
        random_mask(layer)
    model.fit(x, y, epochs=2, verbose=0)
    path = tmp_path / f"model{suffix}"
    if suffix == ".keras":
        model.save(path)
        again = keras.models.load_model(path)
    else:
        model.save_weights(path)
        # Seeds of masks are configuration, not weights.
        fresh = cls.from_config({**layer.get_config(), "name": "fresh"})
        again = model_of(fresh, shape)
        again.load_weights(path)
    for one, other in zip(model.weights, again.weights, strict=True):
        assert np.array_equal(numpy(one), numpy(other)), one.path
        if suffix == ".keras":
            assert one.path == other.path
    assert np.array_equal(numpy(model(x)), numpy(again(x)))
    # And the next step is the same, noise included.
    if suffix == ".keras":
        losses = [m.train_on_batch(x, y) for m in (model, again)]
        assert np.array_equal(losses[0], losses[1])


def test_configurations_round_trip(entry, make_mask):
    cls, kwargs, _, _ = entry
    layer = cls(kernel_mask=make_mask(), **kwargs)
    again = cls.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert type(again.kernel_mask) is type(layer.kernel_mask)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float64"])
def test_any_dtype_policy(entry, make_mask, policy):
    cls, kwargs, shape, _ = entry
    if policy == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has no float64 unless it is switched on")
    layer = cls(kernel_mask=make_mask(), dtype=policy, **kwargs)
    model = model_of(layer, shape, dtype="float32")
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(batch(shape), batch((shape[0], 2)), verbose=0)
    out = layer(batch(shape))
    expected = {"mixed_bfloat16": "bfloat16", "float64": "float64"}[policy]
    assert keras.backend.standardize_dtype(out.dtype) == expected
    assert keras.backend.standardize_dtype(layer.raw_kernel.dtype) == (
        "float32" if policy == "mixed_bfloat16" else "float64"
    )


def test_compiled_or_not_the_steps_are_the_same(make_mask):
    plain, compiled = (some_losses(make_mask(), jit) for jit in (False, True))
    np.testing.assert_allclose(plain, compiled, rtol=1e-5)
    assert len(set(plain)) == 3


def some_losses(mask, jit_compile):
    layer = layers.MaskedDense(5, kernel_mask=mask)
    model = model_of(layer, (8, 6))
    for variable in model.trainable_variables:
        rng = np.random.default_rng(len(variable.shape))
        variable.assign(rng.normal(size=variable.shape))
    layer.raw_kernel.assign(batch((6, 5), seed=5))
    model.compile("sgd", "mse", jit_compile=jit_compile)
    return [
        float(model.train_on_batch(batch((8, 6)), batch((8, 2))))
        for _ in range(3)
    ]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float64"])
def test_a_global_dtype_policy(entry, make_mask, policy):
    cls, kwargs, shape, _ = entry
    if policy == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has no float64 unless it is switched on")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        layer = cls(kernel_mask=make_mask(), **kwargs)
        layer(batch(shape))
        kernel = numpy(layer.kernel)
        raw = numpy(layer.raw_kernel)
    finally:
        keras.config.set_dtype_policy(before)
    assert kernel.dtype == raw.dtype
    if isinstance(layer.kernel_mask, FixedMask):
        assert np.array_equal(kernel, raw)
    else:
        assert 0 < np.count_nonzero(kernel) < kernel.size


def test_a_mask_serves_one_layer():
    mask = FixedMask()
    layers.MaskedDense(5, kernel_mask=mask).build((None, 6))
    for inputs in (6, 7):
        layer = layers.MaskedDense(5, kernel_mask=mask)
        with pytest.raises(ValueError, match=r"of its own for .*in use"):
            layer.build((None, inputs))


def test_a_mask_is_assigned_after_it_is_built():
    layer = layers.MaskedDense(5)
    with pytest.raises(ValueError, match="build its layer first"):
        layer.kernel_mask.assign(np.ones((6, 5)))


@pytest.mark.parametrize("wrong", ["bernoulli", 0.5, keras.layers.Dense(1)])
def test_what_is_no_mask_is_refused(wrong):
    with pytest.raises(ValueError, match="expected `kernel_mask` to be"):
        layers.MaskedDense(5, kernel_mask=wrong)


def test_lora_and_quantization_are_refused():
    with pytest.raises(ValueError, match="no LoRA on the masked layer Masked"):
        layers.MaskedDense(5, lora_rank=2)
    layer = layers.MaskedDense(5)
    layer.build((None, 6))
    with pytest.raises(ValueError, match="no LoRA on the masked layer"):
        layer.enable_lora(2)
    with pytest.raises(ValueError, match="no quantization on the masked"):
        layer.quantize("int8")
    with pytest.raises(ValueError, match="no quantization on the masked"):
        layers.MaskedDense(5, dtype="int8_from_float32")(np.ones((2, 6)))


def test_bare_kernels_are_read_past_fixed_masks_only():
    fixed = layers.MaskedDense(2)
    learned = layers.MaskedDense(2, kernel_mask=TopKMask(0.5))
    for layer in (fixed, learned):
        layer.build((None, 2))
    fixed.kernel_mask.assign(np.eye(2))
    zeros = []
    for layer in (fixed, learned):
        with layers.bare_kernels():
            bare = keras.ops.convert_to_numpy(layer.kernel)
        masked = keras.ops.convert_to_numpy(layer.kernel)
        zeros.append([int((w == 0).sum()) for w in (bare, masked)])
    assert zeros == [[0, 2], [2, 2]]
