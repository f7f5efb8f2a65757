"""Exported files are opened again and compared with the model they are of."""

import errno
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_lottery.compression.exporting import export as exporting
from tf_lottery.compression.exporting import formats, measuring
from tf_lottery.compression.exporting.export import export
from tf_lottery.compression.exporting.gains import Measured, conclusions
from tf_lottery.compression.exporting.measuring import Latency
from tf_lottery.compression.exporting.samples import sample_for
from tf_lottery.compression.exporting.tflite import TFLITE
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.foundation.files import StorageError
from tf_lottery.masking.conversion import mask_model
from tf_lottery.masking.kernels import masked_kernels
from tf_lottery.masking.layers import MaskedDense
from tf_lottery.masking.masks import BernoulliMask, TopKMask
from tf_lottery.masking.model_state import read_state

L = keras.layers


def pruned(model, kept=0.1):
    """Masks a model, keeping its largest weights layer by layer."""
    mask_model(model, verbose=False)
    for kernel in masked_kernels(model).values():
        size = np.abs(keras.ops.convert_to_numpy(kernel.variable))
        kernel.mask.assign(size >= np.quantile(size, 1 - kept))
    return model


def lenet():
    return keras.Sequential(
        [
            keras.Input((28, 28)),
            L.Flatten(),
            L.Dense(300, activation="relu"),
            L.Dense(100, activation="relu"),
            L.Dense(10),
        ]
    )


def small(**kwargs):
    return keras.Sequential([keras.Input((6,)), L.Dense(64, **kwargs)])


def convolutions():
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            L.Conv2D(16, 3, use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
            L.Flatten(),
            L.Dense(5),
        ]
    )
    for variable in model.layers[1].weights:  # as after a training
        variable.assign(np.linspace(0.5, 1.5, 16))
    return model


def transformer():
    tokens = keras.Input((8,), dtype="int32")
    x = L.Embedding(30, 16)(tokens)
    x = L.LayerNormalization()(x + L.MultiHeadAttention(2, 8)(x, x))
    return keras.Model(tokens, L.Dense(3)(L.GlobalAveragePooling1D()(x)))


def two_by_name():
    left = keras.Input((8,), name="left")
    right = keras.Input((4,), name="right")
    x = L.Dense(64, activation="relu")(L.Concatenate()([right, left]))
    outputs = {"z": L.Dense(3)(x), "b": L.Dense(3)(x)}
    return keras.Model({"right": right, "left": left}, outputs)


def two_in_order():
    left, right = keras.Input((8,)), keras.Input((4,), dtype="int32")
    x = L.Concatenate()([right, left])
    return keras.Model([right, left], [L.Dense(30)(x), L.Dense(3)(x)])


@keras.saving.register_keras_serializable("tests")
class Own(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.second = L.Dense(64, activation="relu"), L.Dense(3)

    def call(self, inputs):
        return {"y": self.second(self.first(inputs["x"]) * inputs["scale"])}


MODELS = {
    "convolutions": convolutions,
    "transformer": transformer,
    "two_by_name": two_by_name,
    "two_in_order": two_in_order,
}


def rows_by_name(rows):
    return {(row.format, row.network): row for row in rows}


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def tflite(path, model, x):
    return TFLITE.open(path, model, sample_for(model, x))()["output_0"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """LeNet-300-100, a tenth of its weights, exported and measured."""
    folder = tmp_path_factory.mktemp("exported") / "made"
    model = pruned(lenet())
    before = read_state(model)
    rows = export(model, folder, verbose=False)
    return model, before, folder, rows_by_name(rows)


def test_a_tenth_of_the_weights_takes_a_sixth_of_the_tflite_file(exported):
    _, _, folder, rows = exported
    dense, own = rows["tflite", "dense"], rows["tflite", "pruned"]
    assert own.size <= 0.16 * dense.size
    assert own.size == (folder / "model.tflite").stat().st_size
    assert own.path == folder / "model.tflite"
    assert dense.path is None
    for name in ("keras", "saved_model"):
        dense, own = rows[name, "dense"], rows[name, "pruned"]
        assert own.size == pytest.approx(dense.size, rel=1e-3)
        assert own.compressed < 0.2 * dense.compressed
        assert dense.compressed > 0.85 * dense.size
    # Once each, though Keras' own export writes them twice.
    assert rows["saved_model", "pruned"].size < 1.1 * 4 * 266_610


def test_the_files_compute_what_the_model_does(exported):
    model, _, folder, rows = exported
    x = np.random.default_rng(0).normal(size=(5, 28, 28)).astype("float32")
    expected = numpy(model(x))
    loaded = keras.models.load_model(folder / "model.keras")
    assert not masked_kernels(loaded)
    assert np.array_equal(numpy(loaded(x)), expected)
    saved = tf.saved_model.load(str(folder / "saved_model"))
    np.testing.assert_allclose(saved.serve(x), expected, atol=1e-6)
    found = tflite(folder / "model.tflite", model, x)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    for row in rows.values():
        assert row.error <= 1e-6
        assert row.latency.milliseconds > 0
        assert row.from_dense is None and not row.why


def test_the_sparse_encoding_computes_what_a_dense_one_does(exported, tmp_path):
    model, _, folder, _ = exported
    saved = tf.lite.TFLiteConverter.from_saved_model(
        str(folder / "saved_model")
    )
    dense = tmp_path / "dense.tflite"
    dense.write_bytes(saved.convert())
    x = np.random.default_rng(0).normal(size=(5, 28, 28)).astype("float32")
    own = tflite(folder / "model.tflite", model, x)
    assert np.array_equal(own, tflite(dense, model, x))


def test_nothing_else_is_left_in_the_folder(exported):
    _, _, folder, _ = exported
    assert sorted(os.listdir(folder)) == [
        "model.keras",
        "model.tflite",
        "saved_model",
    ]


def test_the_model_is_as_it_was(exported):
    model, before, _, _ = exported
    after = read_state(model)
    assert before.keys() == after.keys()
    for path, value in before.items():
        assert np.array_equal(value, after[path]), path
    assert len(masked_kernels(model)) == 3
    model.compile("sgd", "mse")
    x, y = np.ones((4, 28, 28)), np.ones((4, 10))
    zeros = [numpy(k.effective) == 0 for k in masked_kernels(model).values()]
    model.fit(x, y, verbose=0)
    for zero, kernel in zip(zeros, masked_kernels(model).values(), strict=True):
        assert np.array_equal(numpy(kernel.effective) == 0, zero)
    bias = model.layers[-1].bias.path
    assert not np.array_equal(read_state(model)[bias], after[bias])


@pytest.mark.parametrize("name", MODELS)
def test_models_of_any_kind(name, tmp_path):
    model = pruned(MODELS[name](), 0.05)
    rows = export(model, tmp_path, verbose=False)
    assert [row.why for row in rows] == [""] * 6
    for row in rows:
        # Normalisation is folded into the convolution before it.
        assert row.error <= 1e-5, row
    named = rows_by_name(rows)
    assert named["tflite", "pruned"].size < named["tflite", "dense"].size


def test_a_class_of_ones_own_needs_a_sample(tmp_path):
    model = Own()
    x = {"x": np.ones((3, 9)), "scale": np.full((3, 1), 2.0)}
    model(x)
    pruned(model)
    with pytest.raises(
        InvalidValue, match=r"a class of your own .*pass a batch"
    ):
        export(model, tmp_path, verbose=False)
    rows = export(model, tmp_path, sample=x, verbose=False)
    assert [row.why for row in rows] == [""] * 6
    assert max(row.error for row in rows) <= 1e-5
    saved = tf.saved_model.load(str(tmp_path / "saved_model"))
    more = {k: tf.ones((7, *v.shape[1:])) for k, v in x.items()}
    assert saved.signatures["serving_default"](**more)["y"].shape == (7, 3)


def test_an_activation_of_ones_own(tmp_path):
    def halved(x):
        return x / 2

    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, activation=halved)]
    )
    rows = export(model, tmp_path, formats=["keras"], verbose=False)
    assert [row.why for row in rows] == [""]


def test_mixed_precision_is_float32_in_tflite(tmp_path):
    model = pruned(small(dtype="mixed_bfloat16"))
    rows = rows_by_name(export(model, tmp_path, verbose=False))
    assert rows["keras", "pruned"].error == 0
    assert rows["saved_model", "pruned"].error == 0
    assert 0 < rows["tflite", "pruned"].error < 0.02
    assert model.layers[0].dtype_policy.name == "mixed_bfloat16"
    outputs = tflite(tmp_path / "model.tflite", model, np.ones((1, 6)))
    assert outputs.dtype == np.float32


def test_a_plain_model_is_exported_as_it_is(tmp_path):
    model = small()
    before = read_state(model)
    rows = export(model, tmp_path, verbose=False)
    assert [(row.format, row.network) for row in rows] == [
        ("keras", "model"),
        ("saved_model", "model"),
        ("tflite", "model"),
    ]
    assert max(row.error for row in rows) <= 1e-6
    assert "no dense network to compare" in conclusions(rows)[0]
    # And with zeros of its own, it has a dense one beside it, and keeps them.
    model.layers[0].kernel.assign(np.eye(6, 64))
    rows = export(model, tmp_path, formats="keras", verbose=False)
    assert [row.network for row in rows] == ["dense", "pruned"]
    assert np.array_equal(numpy(model.layers[0].kernel), np.eye(6, 64))
    assert before.keys() == read_state(model).keys()


def test_learned_masks_are_fixed_as_the_model_evaluates(tmp_path, capsys):
    for mask in (BernoulliMask(seed=1), TopKMask(0.2, seed=1)):
        model = keras.Sequential(
            [keras.Input((6,)), MaskedDense(64, kernel_mask=mask)]
        )
        rows = export(model, tmp_path, formats=["keras"])
        assert rows[1].error == 0
        assert "Learned masks are fixed" in capsys.readouterr().out
        loaded = keras.models.load_model(tmp_path / "model.keras")
        kernel = numpy(loaded.layers[0].kernel)
        assert np.array_equal(kernel, numpy(model.layers[0].kernel))
        assert 0 < np.count_nonzero(kernel) < kernel.size


def test_few_zeros_are_stored_as_they_are(tmp_path):
    model = pruned(small(), 0.8)
    rows = rows_by_name(
        export(model, tmp_path, formats=["tflite"], verbose=False)
    )
    assert rows["tflite", "pruned"].size <= rows["tflite", "dense"].size + 64


def test_weights_that_the_sparse_encoding_would_drop_are_kept(tmp_path, capsys):
    # TensorFlow's converter makes blocks of four inputs here, of six.
    model = pruned(small())
    kernel = np.zeros((6, 64))
    kernel[5, :4] = 1
    model.layers[0].kernel_mask.assign(kernel)
    rows = export(model, tmp_path, formats=["tflite"], dense=small())
    assert rows[1].error <= 1e-6
    assert "would drop weights of kernels of 6 x 64" in rows[1].note
    assert "Of tflite: its zeros are stored" in capsys.readouterr().out
    # Multiples of four lose nothing.
    model = pruned(keras.Sequential([keras.Input((8,)), L.Dense(64)]), 0.02)
    rows = export(model, tmp_path, formats=["tflite"], verbose=False)
    assert rows[1].error <= 1e-6 and not rows[1].note
    assert rows[1].size < rows[0].size


def test_a_dense_model_to_compare_with(tmp_path, capsys):
    dense = small()
    model = pruned(keras.models.clone_model(dense))
    rows = export(model, tmp_path, formats=["keras"], dense=dense)
    x = np.random.default_rng(0).normal(size=(1, 6))
    expected = np.abs(numpy(model(x)) - numpy(dense(x))).max()
    assert rows[0].from_dense == 0
    assert rows[1].from_dense == pytest.approx(float(expected), rel=1e-5)
    assert rows[1].error == 0
    assert "apart" in capsys.readouterr().out
    other = keras.Sequential([keras.Input((6,)), L.Dense(7)])
    with pytest.raises(InvalidValue, match=r"\(1, 64\).*received.*\(1, 7\)"):
        export(model, tmp_path, dense=other)


def test_the_optimizer_is_left_out_and_kept_in_the_model(tmp_path):
    model = pruned(small())
    model.compile("adam", "mse")
    x, y = np.ones((4, 6)), np.ones((4, 64))
    model.fit(x, y, verbose=0)
    moments = [numpy(v) for v in model.optimizer.variables]
    export(model, tmp_path, formats=["keras"], verbose=False)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert not loaded.compiled
    for before, after in zip(moments, model.optimizer.variables, strict=True):
        assert np.array_equal(before, numpy(after))
    model.fit(x, y, verbose=0)


def test_a_format_that_cannot_hold_the_model_is_a_row(tmp_path, capsys):
    model = keras.Sequential([keras.Input((5, 3)), L.LSTM(8), L.Dense(2)])
    pruned(model, 0.3)
    (tmp_path / "model.tflite").write_bytes(b"older")
    rows = rows_by_name(export(model, tmp_path, formats=["keras", "tflite"]))
    assert not rows["keras", "pruned"].why
    row = rows["tflite", "pruned"]
    assert "TensorListReserve" in row.why and row.path is None
    assert "No tflite: 'tf.TensorListReserve'" in capsys.readouterr().out
    assert (tmp_path / "model.tflite").read_bytes() == b"older"
    assert len(masked_kernels(model)) == 3


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        tf.errors.ResourceExhaustedError(None, None, "No space left on device"),
        KeyboardInterrupt(),
    ],
)
@pytest.mark.parametrize("at", ["first", "second", "end"])
def test_what_was_there_stays_when_writing_fails(
    error, at, tmp_path, monkeypatch
):
    model = pruned(small())
    (tmp_path / "model.keras").write_bytes(b"older")
    before = read_state(model)

    def fail(*args, **kwargs):
        raise error

    if at == "first":
        broken = formats.KERAS._replace(write=fail)
        monkeypatch.setitem(exporting.FORMATS, "keras", broken)
    elif at == "second":
        broken = formats.SAVED_MODEL._replace(open=fail)
        monkeypatch.setitem(exporting.FORMATS, "saved_model", broken)
    else:
        if isinstance(error, tf.errors.OpError):
            pytest.skip("TensorFlow moves no files")
        monkeypatch.setattr(os, "replace", fail)
    expected = KeyboardInterrupt
    if not isinstance(error, KeyboardInterrupt):
        expected = StorageError
    with pytest.raises(expected) as raised:
        export(model, tmp_path, formats=["keras", "saved_model"], verbose=False)
    if expected is StorageError:
        assert "No space left on device. What was there before is intact" in (
            str(raised.value)
        )
    assert os.listdir(tmp_path) == ["model.keras"]
    assert (tmp_path / "model.keras").read_bytes() == b"older"
    after = read_state(model)
    assert all(np.array_equal(before[path], after[path]) for path in before)
    assert len(masked_kernels(model)) == 1


def test_an_older_export_is_replaced(tmp_path, monkeypatch):
    model = pruned(small())
    saved = tmp_path / "saved_model"
    export(model, tmp_path, formats=["saved_model"], verbose=False)
    (saved / "assets" / "of_before").write_text("")
    # Between taking the older folder away and putting the new one there.
    replace, calls = os.replace, []

    def fail_at_second(*args):
        calls.append(args)
        if len(calls) == 2:
            raise OSError(errno.EIO, "a faulty disk")
        replace(*args)

    monkeypatch.setattr(os, "replace", fail_at_second)
    with pytest.raises(StorageError, match="a faulty disk"):
        export(model, tmp_path, formats=["saved_model"], verbose=False)
    assert (saved / "assets" / "of_before").exists()
    monkeypatch.undo()
    export(model, tmp_path, formats=["saved_model"], verbose=False)
    assert not (saved / "assets" / "of_before").exists()
    assert os.listdir(tmp_path) == ["saved_model"]


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda f: export("model", f),
            "expected a Keras model, received builtins.str",
        ),
        (
            lambda f: export(keras.Sequential([L.Dense(3)]), f),
            "that is built, received sequential.*call it once",
        ),
        (
            lambda f: export(small(), f, formats=["keras", "onnx"]),
            "formats of keras, saved_model, tflite, received 'onnx'",
        ),
        (lambda f: export(small(), f, formats=[]), "received none"),
        (
            lambda f: export(small(), f / "file"),
            "a folder to export to, received the file",
        ),
        (
            lambda f: export(small(), f / "taken"),
            "to be an earlier export, .* received something else",
        ),
        (
            lambda f: export(small(), f, sample=np.ones((2, 7))),
            r"of shape \(None, 6\) and dtype float32, received shape \(2, 7\)",
        ),
        (
            lambda f: export(small(), f, sample=np.ones((0, 6))),
            "a sample of examples, received none",
        ),
        (
            lambda f: export(small(), f, sample=[np.ones((2, 6))] * 2),
            "received a list of 2",
        ),
        (
            lambda f: export(
                two_by_name(), f, sample={"left": np.ones((1, 8))}
            ),
            "'left' of shape.*received a dict with 'left'",
        ),
        (
            lambda f: export(
                keras.Sequential([keras.Input((None, 3)), L.Dense(2)]), f
            ),
            r"expected a sample, since .* shape \(None, None, 3\)",
        ),
    ],
)
def test_errors_say_what_was_expected(make, message, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "taken" / "saved_model" / "of_others").mkdir(parents=True)
    with pytest.raises(InvalidValue, match=message):
        make(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["file", "taken"]


def test_a_sample_by_name_for_inputs_in_order():
    model = two_in_order()
    right, left = (tensor.name for tensor in model.inputs)
    arrays = {left: np.ones((2, 8)), right: np.zeros((2, 4))}
    sample = sample_for(model, arrays)
    assert [a.shape for a in sample.inputs] == [(2, 4), (2, 8)]
    assert [a.dtype for a in sample.inputs] == ["int32", "float32"]
    assert sample.batch == 2 and sample.names == [right, left]


def test_other_backends_write_keras_files_only(tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    rows = rows_by_name(export(pruned(small()), tmp_path, verbose=False))
    assert not rows["keras", "pruned"].why
    for name in ("saved_model", "tflite"):
        assert "runs on jax" in rows[name, "pruned"].why
    only = r"that tflite can hold, .* needs Keras' TensorFlow backend"
    with pytest.raises(InvalidValue, match=only):
        export(pruned(small()), tmp_path, formats=["tflite"], verbose=False)


def pair(name, sizes=(1000, 1000), compressed=(900, 300), ms=(1.0, 1.0)):
    return [
        Measured(name, network, size, small, Latency(taken, 0.01), 0.0)
        for network, size, small, taken in zip(
            ("dense", "pruned"), sizes, compressed, ms, strict=True
        )
    ]


def test_the_sentences_follow_from_the_numbers():
    rows = pair("keras") + pair("tflite", sizes=(1000, 150))
    speed, on_disk, compressed = conclusions(rows)
    assert speed.startswith("Nothing got faster: ") and "shrink()" in speed
    assert on_disk == "Smaller on disk: tflite, 0.15 times the dense file."
    assert "Not smaller on disk: keras, " in compressed
    assert "compressed, 0.33 times the dense file." in compressed
    rows = pair("keras", ms=(1.0, 0.98)) + pair("tflite", ms=(3.0, 1.0))
    assert conclusions(rows)[0] == (
        "Faster: tflite (3.0 times). Not faster: keras."
    )
    rows = pair("keras", ms=(1.0, 2.0))
    speed, slower, _ = conclusions(rows)
    assert speed.startswith("Nothing got faster")
    assert slower == "Slower: keras (2.0 times as long)."


def test_faster_is_more_than_the_margin_and_the_spread():
    slow = Latency(1.0, 0.0)
    assert measuring.is_faster(Latency(0.94, 0.0), slow)
    assert not measuring.is_faster(Latency(0.96, 0.0), slow)
    assert not measuring.is_faster(Latency(0.8, 0.3), slow)
    assert not measuring.is_faster(Latency(0.8, 0.0), Latency(1.0, 0.3))


def test_differences_do_not_hide_what_is_no_number():
    ones, other = np.ones(3), np.array([1, np.nan, 1])
    assert measuring.difference({"a": ones}, {"a": ones + 2}) == 2
    assert np.isnan(measuring.difference({"a": ones}, {"a": other}))
    assert measuring.difference({"a": other}, {"a": other}) == 0
    infinite = np.array([np.inf])
    assert measuring.difference({"a": infinite}, {"a": infinite}) == 0
    with pytest.raises(ValueError, match="expected an output of shape"):
        measuring.difference({"a": ones}, {"a": np.ones(4)})
