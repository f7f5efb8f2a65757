import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from folders import write_folder

from tf_lottery.workloads.images import decoded_cache, image_sets
from tf_lottery.workloads.images.image_sets import Images

DIGITS = Images("mnist_5k")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def decodings(monkeypatch):
    """The splits that were decoded since."""
    splits = []
    as_dataset = tfds.core.DatasetBuilder.as_dataset

    def noted(self, *args, split, **kwargs):
        splits.append(split)
        return as_dataset(self, *args, split=split, **kwargs)

    monkeypatch.setattr(tfds.core.DatasetBuilder, "as_dataset", noted)
    return splits


@pytest.fixture(scope="module")
def entry(data_dir, tmp_path_factory):
    """What is kept of the digits: the file's name and what is in it."""
    folder = tmp_path_factory.mktemp("cache")
    image_sets.load(DIGITS, data_dir, cache=folder)
    [path] = folder.iterdir()
    return path.name, path.read_bytes()


def same(one, other):
    assert one.fingerprint == other.fingerprint
    assert one.sizes == other.sizes
    assert list(one.sizes) == list(other.sizes)
    assert one.classes == other.classes
    for a, b in ((one.images, other.images), (one.labels, other.labels)):
        assert a.dtype == b.dtype
        assert np.array_equal(a, b)
    return True


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.name == "absl"]


def test_a_set_is_decoded_once(cache, data_dir, digits, decodings, caplog):
    assert same(image_sets.load(DIGITS, data_dir, cache=cache), digits)
    assert decodings == ["train", "test"]
    assert same(image_sets.load(DIGITS, data_dir, cache=cache), digits)
    assert len(decodings) == 2
    assert len(list(cache.iterdir())) == 1, "nothing temporary is left"
    assert not warnings(caplog)


def test_no_cache_is_no_file(cache, data_dir, decodings):
    image_sets.load(DIGITS, data_dir)
    image_sets.load(DIGITS, data_dir)
    assert len(decodings) == 4
    assert not cache.exists()


def test_each_choice_of_images_has_its_file(cache, data_dir, digits):
    other = image_sets.load(Images("mnist_5k", 7), data_dir, cache=cache)
    assert other.sizes["validation"] == 7
    assert same(image_sets.load(DIGITS, data_dir, cache=cache), digits)
    assert len(list(cache.iterdir())) == 2
    again = image_sets.load(Images("mnist_5k", 7), data_dir, cache=cache)
    assert same(again, other)


def flipped(data, where):
    changed = bytearray(data)
    changed[where] ^= 1
    return bytes(changed)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: flipped(data, len(data) // 2),  # a pixel
        lambda data: flipped(data, data.index("origin".encode("utf-32-le"))),
        lambda data: flipped(data, -20),  # the zip file's table
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        # Fewer images: the zip file's checksum is not reached.
        lambda data: data.replace(b"(5000, 28, 28, 1)", b"(3000, 28, 28, 1)"),
    ],
    ids=("pixel", "text", "table", "cut", "empty", "fewer"),
)
def test_what_is_damaged_is_decoded_again_and_replaced(
    cache, data_dir, digits, decodings, caplog, entry, damage
):
    name, data = entry
    cache.mkdir()
    (cache / name).write_bytes(damage(data))
    assert (cache / name).read_bytes() != data
    assert same(image_sets.load(DIGITS, data_dir, cache=cache), digits)
    assert decodings == ["train", "test"]
    [warning] = warnings(caplog)
    assert f"{name} cannot be used, the images are decoded again" in warning
    assert same(image_sets.load(DIGITS, data_dir, cache=cache), digits)
    assert len(decodings) == 2
    assert len(list(cache.iterdir())) == 1


def test_objects_are_not_unpickled(cache, data_dir, digits, caplog, entry):
    cache.mkdir()
    harm = np.array([pytest.fail], object)
    np.savez(cache / entry[0], about=harm, images=harm, labels=harm)
    assert same(image_sets.load(DIGITS, data_dir, cache=cache), digits)
    assert "allow_pickle" in warnings(caplog)[0]


@pytest.mark.parametrize("blocked", ["store", "store/below"])
def test_a_cache_that_cannot_be_written_costs_a_warning(
    tmp_path, data_dir, digits, caplog, blocked
):
    (tmp_path / "store").write_text("not a folder")
    found = image_sets.load(DIGITS, data_dir, cache=tmp_path / blocked)
    assert same(found, digits)
    [warning] = warnings(caplog)
    assert "the decoded images are not kept: expected to write" in warning


def test_a_full_disk_leaves_nothing(
    cache, data_dir, digits, caplog, monkeypatch
):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert same(image_sets.load(DIGITS, data_dir, cache=cache), digits)
    [warning] = warnings(caplog)
    assert "No space left on device" in warning
    assert not list(cache.iterdir())


def test_two_at_once_do_not_disturb_each_other(
    cache, data_dir, digits, monkeypatch, decodings
):
    decode = image_sets._decode

    def overtaken(*args):
        monkeypatch.setattr(image_sets, "_decode", decode)
        assert same(image_sets.load(DIGITS, data_dir, cache=cache), digits)
        return decode(*args)

    monkeypatch.setattr(image_sets, "_decode", overtaken)
    assert same(image_sets.load(DIGITS, data_dir, cache=cache), digits)
    assert len(decodings) == 4
    assert same(image_sets.load(DIGITS, data_dir, cache=cache), digits)
    assert len(decodings) == 4
    assert len(list(cache.iterdir())) == 1


def test_a_touched_data_set_is_decoded_again(
    cache, data_dir, tmp_path, digits, decodings
):
    root = tmp_path / "tfds"
    shutil.copytree(data_dir, root)
    image_sets.load(DIGITS, str(root), cache=cache)
    [file] = root.rglob("*train.*tfrecord*")
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert same(image_sets.load(DIGITS, str(root), cache=cache), digits)
    assert len(decodings) == 4
    assert len(list(cache.iterdir())) == 1, "the older one is replaced"


@pytest.mark.parametrize("what", ["tf.__version__", "FORMAT"])
def test_another_decoder_decodes_again(
    cache, data_dir, decodings, monkeypatch, entry, what
):
    cache.mkdir()
    (cache / entry[0]).write_bytes(entry[1])
    image_sets.load(DIGITS, data_dir, cache=cache)
    assert not decodings
    monkeypatch.setattr(
        f"tf_lottery.workloads.images.decoded_cache.{what}", "0"
    )
    image_sets.load(DIGITS, data_dir, cache=cache)
    assert len(decodings) == 2


def png(grey):
    return tf.io.encode_png(np.full((8, 6, 1), grey, np.uint8)).numpy()


def other_pixels(root):
    file = root / "train/cat/3.png"
    size = file.stat().st_size
    file.write_bytes(png(77))
    assert file.stat().st_size == size, "only the time tells"


def one_more(root):
    (root / "train/dog/more.png").write_bytes(png(8))


def one_less(root):
    (root / "test/dog/3.png").unlink()


def one_moved(root):
    (root / "test/dog/3.png").rename(root / "test/cat/3b.png")


def one_class_more(root):
    for split in ("train", "test"):
        shutil.copytree(root / split / "cat", root / split / "lion", True)


@pytest.mark.parametrize(
    "change", [other_pixels, one_more, one_less, one_moved, one_class_more]
)
@pytest.mark.parametrize("linked", [False, True])
def test_a_changed_image_folder_is_decoded_again(
    cache, tmp_path, decodings, caplog, change, linked
):
    write_folder(tmp_path, [(8, 6, 1)])
    root = tmp_path / "animals"
    if linked:
        for folder in list(root.glob("*/*")):
            elsewhere = tmp_path / f"{folder.parent.name}-{folder.name}"
            folder.rename(elsewhere)
            folder.symlink_to(elsewhere)
        (root / "train/cat/notes").symlink_to(tmp_path / "nowhere")

    def load():
        return image_sets.load(Images("animals"), str(tmp_path), cache=cache)

    before = load()
    assert same(load(), before)
    assert len(decodings) == 2
    change(root)
    after = load()
    assert len(decodings) == 4
    assert after.fingerprint != before.fingerprint
    assert same(after, image_sets.load(Images("animals"), str(tmp_path)))
    assert same(load(), after)
    assert len(decodings) == 6
    assert len(list(cache.iterdir())) == 1
    assert not warnings(caplog)


def test_a_class_of_another_name_makes_other_labels(cache, tmp_path):
    write_folder(tmp_path, [(8, 6, 1)], ("aaa", "cat", "dog"))
    chosen = image_sets.Images("animals", validation=1)
    before = image_sets.load(chosen, str(tmp_path), cache).fingerprint
    for split in ("train", "test"):
        folder = tmp_path / "animals" / split / "aaa"
        folder.rename(folder.with_name("zzz"))
    after = image_sets.load(chosen, str(tmp_path), cache).fingerprint
    assert before != after


def test_a_link_back_ends_the_search_for_files(cache, tmp_path):
    write_folder(tmp_path, [(8, 6, 1)])
    root = tmp_path / "animals"
    for name in ("back", "and_back"):
        (root / "train/cat" / name).symlink_to(root)
    origin = decoded_cache._origin(
        "", image_sets.prepared_builder("animals", tmp_path)
    )
    assert origin


def test_a_place_whose_files_are_not_seen_is_not_kept(
    cache, data_dir, digits, monkeypatch
):
    builder = image_sets.prepared_builder("mnist_5k", data_dir)
    monkeypatch.setattr(
        type(builder), "data_dir", pathlib.Path("bucket:/digits")
    )
    for _ in range(2):
        assert (
            decoded_cache.get(cache, DIGITS, builder, lambda: digits) is digits
        )
    assert not cache.exists()


def test_an_error_of_decoding_is_raised_and_nothing_kept(cache, data_dir):
    with pytest.raises(image_sets.DataError, match="validation images"):
        image_sets.load(Images("mnist_5k", 4000), data_dir, cache=cache)
    assert not cache.exists()
