import errno
import os
import subprocess

import numpy as np
import pytest
from storing import (
    DAMAGE,
    damage_file,
    files,
    interrupted,
    lines,
    make,
    refuse,
    resumed,
    same,
)

from tf_lottery.foundation import files as files_lib
from tf_lottery.foundation.files import StorageError
from tf_lottery.foundation.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_what_was_made_is_found_and_not_made_again(store):
    assert store.find("k") is None
    assert same(store.get("k", make))
    assert same(store.get("k", refuse))
    assert same(store.find("k"))
    assert store.find("other") is None


def test_a_checkpoint_of_other_threads_is_begun_again(store, tmp_path, caplog):
    one = {"threads": 1, "xla": True}
    interrupted(store, "k", one)
    interrupted(store, "other", one)
    assert resumed(store, "k", one)[1] == {"step": 5}
    assert not lines(caplog)
    assert resumed(store, "other", {**one, "threads": 2}) is None
    assert lines(caplog) == [
        "the checkpoint at step 5 was made with threads=1 and this process "
        "has threads=2, whose last bits differ: this training begins again"
    ]
    assert not list((tmp_path / "store").glob("*/damaged-*"))


@pytest.mark.parametrize("place", ["k", "k/.lock"])
def test_what_is_in_the_way_is_set_aside(store, tmp_path, caplog, place):
    path = tmp_path / "store" / place
    if place == "k":
        path.write_text("no folder")
    else:
        path.mkdir(parents=True)
    assert same(store.get("k", make))
    [line] = lines(caplog)
    assert f"store/{place} is set aside as damaged-" in line


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_format_says_nothing_of_the_trainings(
    store, tmp_path, caplog, kind
):
    store.get("k", make)
    mark = tmp_path / "store" / "format"
    mark.write_text("3\n")
    damage_file(mark, kind)
    assert store.older(3) == 0
    assert mark.read_text().strip() == "3"
    # Half of this file, or another white space at its end, says the same.
    assert len(lines(caplog)) == (kind not in ("truncated", "flipped"))
    assert store.older(3) == 0


def test_what_a_kill_left_half_written_is_taken_away(store, tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    folder = tmp_path / "store"
    (folder / "k").mkdir()
    stale, fresh = 32 * "a", 32 * "b"
    gone = [
        folder / "k" / f".result.npz-{files_lib.HOST}-{ended.pid}-{stale}",
        folder / f".images-f.npz-{files_lib.HOST}-{ended.pid}-{stale}",
        folder / f".format-{stale}",
    ]
    kept = [
        folder / "k" / f".result.npz-{files_lib.HOST}-{os.getpid()}-{fresh}",
        folder / "k" / f".result.npz-00000000-{ended.pid}-{fresh}",
        folder / f".format-{fresh}",
        folder / ".hidden-notes",
    ]
    for path in gone + kept:
        path.write_text("half")
    os.utime(gone[-1], (0, 0))
    store.tidy()
    assert files(tmp_path) == sorted(kept)


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
