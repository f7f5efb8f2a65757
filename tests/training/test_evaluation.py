import numpy as np
import pytest
import tensorflow as tf

from tf_lottery.masking.kernels import bernoulli_masks
from tf_lottery.masking.masks import BernoulliMask, fixed_mask
from tf_lottery.training import evaluation
from tf_lottery.workloads.classification import ImageClassification
from tf_lottery.workloads.images.opened_images import resident
from tf_lottery.workloads.models.lenet import LeNet
from tf_lottery.workloads.task import Shapes

TASK = ImageClassification()
ONE = tf.distribute.get_strategy()


def build(kernel_mask, seed=0):
    return LeNet((20, 10))(Shapes((28, 28, 1), 10), kernel_mask, seed)


def by_hand(model, digits, split):
    start = {"train": 0, "validation": 3600, "test": 4000}[split]
    end = start + digits.sizes[split]
    logits = model(digits.images[start:end] / np.float32(255)).numpy()
    logits = logits.astype(float)
    labels = digits.labels[start:end]
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    loss = -logs[np.arange(len(labels)), labels].mean()
    return loss, (logits.argmax(-1) == labels).mean()


@pytest.mark.parametrize("split", ["validation", "test", "train"])
@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("batch_size", [1000, 300])
def test_every_image_counts_once(
    digits, source, monkeypatch, split, jit, batch_size
):
    monkeypatch.setattr(evaluation, "BATCH_SIZE", batch_size)
    model = build(fixed_mask)
    evaluate = evaluation.evaluator(TASK, model, source, ONE, jit, samples=5)
    assert evaluate(split) == pytest.approx(
        by_hand(model, digits, split), abs=1e-5
    )


def test_two_devices_count_every_image_once(digits, monkeypatch, two_devices):
    monkeypatch.setattr(evaluation, "BATCH_SIZE", 301)
    with two_devices.scope():
        model = build(fixed_mask)
    source = resident(digits, two_devices)
    evaluate = evaluation.evaluator(
        TASK, model, source, two_devices, False, samples=1
    )
    assert evaluate("test") == pytest.approx(
        by_hand(model, digits, "test"), abs=1e-5
    )


def test_a_random_mask_is_averaged_over_samples(digits, source):
    model = build(BernoulliMask)
    masks = bernoulli_masks(model)
    expected = []
    for step in range(3):
        for mask in masks:
            mask.step.assign(step)
        expected.append(by_hand(model, digits, "test"))
    for mask in masks:
        mask.step.assign(0)
    assert len(set(expected)) == 3
    evaluate = evaluation.evaluator(TASK, model, source, ONE, True, samples=3)
    assert evaluate("test") == pytest.approx(
        tuple(np.mean(expected, axis=0)), abs=1e-5
    )
    assert [int(mask.step.numpy()) for mask in masks] == [0, 0, 0]
    assert evaluate("test") == evaluate("test")
