"""Files of masked models: read by whoever imported tf_lottery, of 0.1 too.

`files_of_0_1` was written by commit 7b41298, where modules lay elsewhere:
models of layers with each kind of mask, one that `mask_model` had masked, the
outputs of both, and the latter's ticket.
"""

import itertools
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import tf_lottery
from tf_lottery.masking.conversion import mask_model

OLD = pathlib.Path(__file__).with_name("files_of_0_1")
READ = """
import numpy as np
{imports}
model = keras.saving.load_model({file!r})
with np.load({outputs!r}) as file:
    assert np.array_equal(model(file["x"]).numpy(), file["y"])
print("read")
"""
ORDERS = ("import tf_lottery\nimport keras", "import keras\nimport tf_lottery")


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow  # processes that import Keras
@pytest.mark.parametrize("imports", ORDERS, ids=["before", "after"])
def test_a_fresh_process_reads_files_after_one_import(imports):
    code = "".join(
        READ.format(
            imports=imports,
            file=str(OLD / f"{name}.{kind}"),
            outputs=str(OLD / f"{name}_outputs.npz"),
        )
        for name, kind in itertools.product(
            ("layers", "masked"), ("keras", "h5")
        )
    )
    assert run(code).count("read") == 4


def test_an_import_of_one_layer_first_registers_all():
    # Its module is not through yet when Keras, which it imports, is.
    out = run(
        "from tf_lottery.masking.layers import MaskedDense\nimport keras\n"
        "print(keras.saving.get_registered_object('tf_lottery>Composite'))"
    )
    assert "composites.Composite" in out


@pytest.mark.parametrize("name", ["layers", "masked"])
@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_models_of_0_1_are_read_and_written_again(name, kind, tmp_path):
    model = keras.saving.load_model(OLD / f"{name}.{kind}")
    with np.load(OLD / f"{name}_outputs.npz") as file:
        x, y = file["x"], file["y"]
    assert np.array_equal(model(x).numpy(), y)
    new = tmp_path / f"new.{kind}"
    model.save(new)
    assert np.array_equal(keras.saving.load_model(new)(x).numpy(), y)


@pytest.mark.parametrize("name", ["layers", "masked"])
def test_weights_of_0_1_are_read(name):
    model = keras.saving.load_model(OLD / f"{name}.keras")
    with np.load(OLD / f"{name}_outputs.npz") as file:
        x, y = file["x"], file["y"]
    for variable in model.variables:
        variable.assign(keras.ops.zeros_like(variable))
    model.load_weights(OLD / f"{name}.weights.h5")
    assert np.array_equal(model(x).numpy(), y)


def test_tickets_of_0_1_are_read():
    ticket = tf_lottery.Ticket.load(OLD / "masked.ticket")
    with np.load(OLD / "ticket_arrays.npz") as file:
        arrays = {name.replace("|", "/"): file[name] for name in file.files}
    own = ticket.arrays()
    assert own.keys() == arrays.keys()
    assert all(np.array_equal(own[path], arrays[path]) for path in own)


def objects(config):
    """All parts of a serialized configuration that are of a class."""
    if isinstance(config, dict):
        if "class_name" in config and "module" in config:
            yield config
        config = list(config.values())
    if isinstance(config, list):
        for item in config:
            yield from objects(item)


def test_every_class_of_ours_is_registered_under_a_name_without_a_module():
    inputs = keras.Input((4, 6))
    x = keras.layers.LSTM(4, return_sequences=True)(inputs)
    x = keras.layers.MultiHeadAttention(2, 2)(x, x)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    mask_model(model, verbose=False)
    config = keras.saving.serialize_keras_object(model)
    own = [o for o in objects(config) if o["module"].startswith("tf_lottery")]
    names = {o["registered_name"] for o in own}
    assert names == {
        "tf_lottery>Composite",
        "tf_lottery>FixedMask",
        "tf_lottery>MaskedDense",
    }
