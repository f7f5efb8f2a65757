import errno
import json

import numpy as np
import pytest

from tf_lottery.foundation import files as files_lib
from tf_lottery.foundation.files import StorageError
from tf_lottery.foundation.store import Store

ARRAYS = {"fc1/kernel": np.arange(6.0).reshape(2, 3), "step": np.array(3)}
META = {"history": [[0, "test", "loss", 0.1]], "seconds": 1.5}


def make(checkpoint):
    del checkpoint
    return ARRAYS, META


def refuse(checkpoint):
    raise AssertionError("this must not be trained again")


def files(folder):
    return sorted(p for p in folder.rglob("*") if p.is_file())


def same(record):
    arrays, meta = record
    assert meta == META
    assert arrays.keys() == ARRAYS.keys()
    return all(np.array_equal(arrays[k], ARRAYS[k]) for k in ARRAYS)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_what_was_made_is_found_and_not_made_again(store):
    assert store.find("k") is None
    assert same(store.get("k", make))
    assert same(store.get("k", refuse))
    assert same(store.find("k"))
    assert store.find("other") is None


@pytest.mark.parametrize("suffix", [".npz", ".json"])
@pytest.mark.parametrize(
    "damage", ["truncate", "flip", "empty", "garbage", "list"]
)
def test_damage_is_noticed_set_aside_and_made_again(
    store, tmp_path, caplog, suffix, damage
):
    store.get("k", make)
    path = tmp_path / "store" / "k" / f"result{suffix}"
    data = bytearray(path.read_bytes())
    if damage == "truncate":
        data = data[: len(data) // 2]
    elif damage == "flip":
        data[len(data) // 2] ^= 1
    else:
        contents = {"empty": b"", "garbage": b"\x00\xff", "list": b"[1]"}
        data = contents[damage]
    path.write_bytes(data)
    made = []

    def again(checkpoint):
        made.append(checkpoint)
        return make(checkpoint)

    assert same(store.get("k", again))
    assert len(made) == 1
    aside = list(path.parent.glob(f"damaged-*{suffix}"))
    assert len(aside) == 1
    assert aside[0].read_bytes() == bytes(data), "nothing is thrown away"
    assert "result is damaged and not used" in caplog.text
    assert same(store.get("k", refuse))


def test_every_number_of_the_meta_data_is_checked(store, tmp_path):
    store.get("k", make)
    path = tmp_path / "store" / "k" / "result.json"
    body = json.loads(path.read_text())
    body["meta"]["history"][0][3] = 0.9
    path.write_text(json.dumps(body))
    assert store.find("k") is None


def test_looking_sets_nothing_aside(store, tmp_path):
    store.get("k", make)
    path = tmp_path / "store" / "k" / "result.npz"
    path.write_bytes(b"")
    before = files(tmp_path)
    assert store.find("k") is None
    assert files(tmp_path) == before


def test_what_cannot_be_read_is_not_damaged(store, tmp_path):
    store.get("k", make)
    path = tmp_path / "store" / "k" / "result.npz"
    path.rename(path.with_suffix(".moved"))
    path.mkdir()  # reading it is an OSError, even for root
    with pytest.raises(StorageError, match=r"expected to read .*k/result"):
        store.get("k", refuse)


def test_after_an_error_the_lock_is_free(store):
    def fail(checkpoint):
        raise KeyboardInterrupt

    try:
        store.get("k", fail)
    except KeyboardInterrupt:
        # The traceback is alive, and with it everything it refers to.
        assert same(store.get("k", make, waiting=refuse_to_wait))


def refuse_to_wait():
    raise AssertionError("nobody else trains")


def test_a_missing_array_file_is_noticed(store, tmp_path):
    store.get("k", make)
    (tmp_path / "store" / "k" / "result.npz").unlink()
    assert same(store.get("k", make))


def test_no_pickles(store):
    with pytest.raises(ValueError, match=r"arrays of numbers.*\['x'\]"):
        store.get("k", lambda _: ({"x": np.array([{}])}, {}))
    assert store.find("k") is None


def test_the_last_checkpoint_is_kept_and_loaded(store, tmp_path):
    def interrupted(checkpoint):
        assert checkpoint.load() is None
        for step in (5, 10, 100):
            checkpoint.save({"x": np.array(step)}, {"step": step})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.get("k", interrupted)
    folder = tmp_path / "store" / "k"
    names = [p.name for p in files(folder) if "checkpoint" in p.name]
    assert names == ["checkpoint-000000100.json", "checkpoint-000000100.npz"]

    def resumed(checkpoint):
        arrays, meta = checkpoint.load()
        assert (int(arrays["x"]), meta["step"]) == (100, 100)
        return make(checkpoint)

    store.get("k", resumed)
    assert not list(folder.glob("checkpoint-*")), "dropped at the end"


def test_a_damaged_checkpoint_is_not_loaded(store, tmp_path):
    def interrupted(checkpoint):
        checkpoint.save({"x": np.array(5)}, {"step": 5})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.get("k", interrupted)
    [path] = (tmp_path / "store" / "k").glob("checkpoint-*.npz")
    path.write_bytes(path.read_bytes()[:-10])

    def resumed(checkpoint):
        assert checkpoint.load() is None
        return make(checkpoint)

    assert same(store.get("k", resumed))


class FullDisk:
    """A file on a disk that is full after some bytes."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data):
        self.file.write(data[: self.room])
        if len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("room", [0, 100])
def test_a_full_disk_loses_nothing(store, tmp_path, monkeypatch, room):
    store.get("old", make)
    before = files(tmp_path)

    def fill_up(checkpoint):
        checkpoint.save({"x": np.array(5)}, {"step": 5})
        monkeypatch.setattr(
            files_lib,
            "open",
            lambda *args: FullDisk(open(*args), room),
            raising=False,
        )
        return make(checkpoint)

    with pytest.raises(StorageError, match=r"No space left on device.*intact"):
        store.get("k", fill_up)
    monkeypatch.undo()
    new = [p.name for p in files(tmp_path) if p not in before]
    assert sorted(new) == [
        ".lock",
        "checkpoint-000000005.json",
        "checkpoint-000000005.npz",
    ]
    assert same(store.get("old", refuse))

    def resumed(checkpoint):
        assert checkpoint.load()[1] == {"step": 5}
        return make(checkpoint)

    assert same(store.get("k", resumed))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(StorageError, match=r"expected to write '.*file/store'"):
        Store(blocked / "store")


def test_trainings_of_an_older_format_are_counted_once_and_left_alone(
    store, tmp_path
):
    assert store.older(3) == 0
    for key in ("a", "b"):
        store.get(key, make)
    assert store.older(3) == 0
    before = {p: p.read_bytes() for p in files(tmp_path / "store")}
    assert store.older(4) == 2
    assert store.older(4) == 0
    mark = tmp_path / "store" / "format"
    assert mark.read_text() == "4\n"
    after = {p: p.read_bytes() for p in files(tmp_path / "store")}
    assert {**after, mark: b""} == {**before, mark: b""}
