"""Masks on the networks that come with Keras."""

import keras
import numpy as np
import pytest

from tf_lottery.masking.conversion import mask_model, strip_masks, survey
from tf_lottery.masking.kernels import masked_kernels, masked_layers

# And how many kernels they have; ResNet50V2, for one, 53 and a classifier.
NETWORKS = {
    "MobileNetV2": 53,
    "ResNet50V2": 54,
    "EfficientNetB0": 82,
    "DenseNet121": 121,
    "ConvNeXtTiny": 59,
}


@pytest.mark.slow  # networks of real size
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_keras_is_masked_trained_saved_and_stripped(
    name, tmp_path
):
    network = getattr(keras.applications, name)
    model = network(weights=None, input_shape=(32, 32, 3), classes=3)
    rng = np.random.default_rng(0)
    x = rng.random((8, 32, 32, 3), np.float32)

    def outputs(of):
        return keras.ops.convert_to_numpy(of(x, training=False))

    before = outputs(model)
    big = [v for v in model.trainable_variables if len(v.shape) > 1]
    assert len(big) == NETWORKS[name]
    mask_model(model, verbose=False)
    kernels = masked_kernels(model)
    assert {id(k.variable) for k in kernels.values()} == set(map(id, big))
    np.testing.assert_allclose(outputs(model), before, rtol=0, atol=1e-6)
    for kernel in kernels.values():
        kernel.mask.assign(rng.random(tuple(kernel.variable.shape)) < 0.5)

    model.compile(keras.optimizers.SGD(1e-4), "mse", run_eagerly=True)
    model.fit(x, np.zeros((8, 3)), verbose=0)
    pruned = outputs(model)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for one, other in zip(model.weights, again.weights, strict=True):
        assert np.array_equal(one, other), one.path
    assert np.array_equal(outputs(again), pruned)
    strip_masks(again)
    assert not list(masked_layers(again))
    np.testing.assert_allclose(outputs(again), pruned, rtol=1e-5, atol=1e-6)
    zeros = sum(
        (keras.ops.convert_to_numpy(w.variable) == 0).sum()
        for w in survey(again)
    )
    total = sum(int(np.prod(v.shape)) for v in big)
    assert 0.45 * total < zeros < 0.55 * total
