import numpy as np
import pytest
import tensorflow as tf

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.training.steps import draw_of
from tf_lottery.workloads.classification import ImageClassification
from tf_lottery.workloads.images.augmentation import Augmentation
from tf_lottery.workloads.task import Draw

COUNT, HEIGHT, WIDTH = 400, 6, 5
IMAGES = np.arange(1, HEIGHT * WIDTH * 2 + 1, dtype=np.uint8).reshape(
    1, HEIGHT, WIDTH, 2
)
MANY = np.repeat(IMAGES, COUNT, axis=0)


def possible(flip, padding):
    """Every image that may come of the one, by its bytes."""
    padded = np.pad(IMAGES[0], [(padding,) * 2, (padding,) * 2, (0, 0)])
    found = {}
    for top in range(2 * padding + 1):
        for left in range(2 * padding + 1):
            cut = padded[top : top + HEIGHT, left : left + WIDTH]
            for turned in (False, True) if flip else (False,):
                own = cut[:, ::-1] if turned else cut
                found[own.tobytes()] = (top, left, turned)
    return found


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("padding", [0, 2])
def test_every_flip_and_crop_comes_about_as_often(flip, padding):
    if not flip and not padding:
        return
    known = possible(flip, padding)
    images = Augmentation(flip, padding)(MANY, draw_of(3, 7, COUNT)).numpy()
    assert images.shape == MANY.shape and images.dtype == np.uint8
    met = [known[image.tobytes()] for image in images]
    for axis, values in enumerate(zip(*met, strict=True)):
        kinds = 2 if axis == 2 else 2 * padding + 1
        if axis == 2 and not flip:
            kinds = 1
        counts = np.unique(values, return_counts=True)[1]
        assert len(counts) == kinds
        # Four standard deviations of a binomial.
        expected = COUNT / kinds
        assert np.abs(counts - expected).max() <= 4 * expected**0.5


def test_what_is_done_is_a_function_of_seed_and_step():
    augment = Augmentation()
    first = augment(MANY[:, :, :, :], draw_of(1, 2, COUNT)).numpy()
    assert np.array_equal(first, augment(MANY, draw_of(1, 2, COUNT)))
    for other in (draw_of(1, 3, COUNT), draw_of(2, 2, COUNT)):
        assert not np.array_equal(first, augment(MANY, other))


def test_a_replica_does_to_its_part_what_one_device_does():
    draw = draw_of(1, 2, COUNT)
    whole = Augmentation()(MANY, draw).numpy()
    half = COUNT // 2
    places = tf.range(half, COUNT)
    own = Draw(draw.seed, draw.step, places, COUNT)
    assert np.array_equal(whole[half:], Augmentation()(MANY[half:], own))


def test_an_evaluation_sees_the_images_as_they_are():
    task = ImageClassification(augmentation=Augmentation())
    assert np.array_equal(task.prepare(MANY, None), MANY / np.float32(255))
    seen = task.prepare(MANY, draw_of(0, 0, COUNT))
    assert not np.array_equal(seen, MANY / np.float32(255))


def test_channels_are_normalised():
    task = ImageClassification(mean=(0.5, 0.25), deviation=(0.5, 2.0))
    found = task.prepare(IMAGES, None).numpy()
    expected = (IMAGES / 255 - [0.5, 0.25]) / [0.5, 2.0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Augmentation(flip=1), r"Augmentation\.flip"),
        (lambda: Augmentation(padding=-1), r"Augmentation\.padding"),
        (lambda: Augmentation(False, 0), "flips or has a padding"),
        (
            lambda: Augmentation(padding=5)(MANY, draw_of(0, 0, COUNT)),
            "less than the images' 6 x 5 pixels, received 5",
        ),
        (lambda: ImageClassification(augmentation=True), "augmentation"),
        (lambda: ImageClassification(mean=0.5), "mean"),
        (lambda: ImageClassification(deviation=(0.0,)), "more than 0"),
        (
            lambda: ImageClassification(mean=(1.0,)).prepare(IMAGES, None),
            r"mean of 2 channels, received \(1.0,\)",
        ),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(InvalidValue, match=message):
        make()
