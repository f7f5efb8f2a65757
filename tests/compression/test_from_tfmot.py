"""Models of tensorflow-model-optimization, taken over.

Importing it turns `tf.keras` into Keras 2 for the process and its children:
so all of this happens in a process of its own, below.
"""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

MODEL = """
import keras
import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras
from tf_keras import layers

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.conversion import mask_model
from tf_lottery.compression.from_tfmot import from_tfmot
from tf_lottery.masking.kernels import masked_kernels

pruning = tfmot.sparsity.keras
rng = np.random.default_rng(0)
x = rng.random((16, 8, 8, 3), np.float32)
y = rng.integers(0, 3, 16)


def make():
    inputs = tf_keras.Input((8, 8, 3))
    h = layers.Conv2D(8, 3, activation="relu", name="conv")(inputs)
    h = layers.BatchNormalization()(h)
    h = layers.DepthwiseConv2D(3)(h)
    h = layers.SeparableConv2D(6, 3, name="separable")(h)
    h = layers.Reshape((4, 6))(h)
    h = layers.LSTM(5, name="lstm")(h)
    return tf_keras.Model(inputs, layers.Dense(3, name="output")(h))


def pruned(model):
    schedule = pruning.ConstantSparsity(0.5, 0, frequency=1)
    model = pruning.prune_low_magnitude(model, schedule)
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    update = pruning.UpdatePruningStep()
    model.fit(x, y, batch_size=8, callbacks=[update], verbose=0)
    return model


def check(model, ours, kernels):
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(
        ours.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6
    )
    found = masked_kernels(ours)
    assert [path.split("/")[-2:] for path in found] == kernels, list(found)
    for path, kernel in found.items():
        mask = kernel.mask.value.numpy()
        # The peer keeps round(n / 2) weights and those equal to the last.
        assert abs(mask.sum() - mask.size / 2) <= 1, path
        assert not kernel.effective.numpy()[~mask].any()


KERNELS = [
    ["conv", "kernel"],
    ["separable", "pointwise_kernel"],
    ["lstm_cell", "kernel"],
    ["lstm_cell", "recurrent_kernel"],
    ["output", "kernel"],
]
model = pruned(make())
ours = from_tfmot(model, verbose=False)
check(model, ours, KERNELS)
ours.compile("adam", "mse")
before = {p: k.mask.value.numpy() for p, k in masked_kernels(ours).items()}
ours.fit(x, np.zeros((16, 3)), verbose=0)
for path, kernel in masked_kernels(ours).items():
    assert not kernel.effective.numpy()[~before[path]].any()
# Without its wrappers, by the zeros.
stripped = pruning.strip_pruning(model)
check(stripped, from_tfmot(stripped, verbose=False), KERNELS)


def refused(wrong, message, call=from_tfmot):
    try:
        call(wrong)
    except InvalidValue as error:
        assert message in str(error), error
    else:
        raise AssertionError(message)


class Own(tf_keras.Model):
    def call(self, x):
        return x


own = Own()
own(x)
refused(make(), "without wrapped layers and without zeros")
refused(own, "Sequential or functional")
refused(ours, "expected a tf_keras model")
refused(3, "received builtins.int")
refused(make(), "from_tfmot", mask_model)
print("done")
"""


@pytest.mark.slow  # a process of its own, with both versions of Keras
def test_a_pruned_model_is_taken_over_with_its_masks(tmp_path):
    pytest.importorskip("tf_keras")
    (tmp_path / "script.py").write_text(MODEL)
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("done\n")
    assert [p.name for p in tmp_path.iterdir()] == ["script.py"]
