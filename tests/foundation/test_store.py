import errno
import json
import os
import subprocess

import numpy as np
import pytest

from tf_lottery.foundation import array_files
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


def lines(caplog):
    """What was said, a line a message, each short."""
    said = [record.getMessage() for record in caplog.records]
    assert all("\n" not in line and len(line) < 400 for line in said)
    return said


def damage_file(path, kind):
    """Damages a file in one of the ways of `DAMAGE`."""
    data = bytearray(path.read_bytes())
    path.unlink()
    if kind == "folder":
        (path / "of").mkdir(parents=True)
        return
    if kind == "truncated":
        data = data[: len(data) // 2]
    elif kind == "flipped":
        data[len(data) // 2] ^= 1
    else:
        data = DAMAGE[kind]
    path.write_bytes(data)


DAMAGE = {
    **dict.fromkeys(("truncated", "flipped", "folder")),
    "empty": b"",
    "garbage": b"\x00\xff",
    "NUL blocks": bytes(4096),
    "another type": b"[1]",
    "nested": b"[" * 100_000,
    "of nothing": b'{"sha256": 1}',
}


@pytest.mark.parametrize("suffix", [".npz", ".json"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_noticed_set_aside_and_made_again(
    store, tmp_path, caplog, suffix, kind
):
    store.get("k", make)
    path = tmp_path / "store" / "k" / f"result{suffix}"
    damage_file(path, kind)
    data = path.is_file() and path.read_bytes()
    made = []

    def again(checkpoint):
        made.append(checkpoint)
        return make(checkpoint)

    assert store.find("k") is None
    assert not caplog.records, "looking says nothing"
    assert same(store.get("k", again))
    assert len(made) == 1
    [aside] = path.parent.glob(f"damaged-*{suffix}")
    assert aside.is_dir() or aside.read_bytes() == data, "nothing is lost"
    [line] = lines(caplog)
    assert "store/k/result is set aside as damaged-" in line
    assert "expected" in line and "made anew" in line
    assert same(store.get("k", refuse))


def swap(one, other):
    for suffix in (".json", ".npz"):
        left, right = (path.with_suffix(suffix) for path in (one, other))
        content = left.read_bytes()
        left.write_bytes(right.read_bytes())
        right.write_bytes(content)


def test_pairs_that_were_exchanged_are_not_trusted(store, tmp_path, caplog):
    def other(checkpoint):
        return {"x": np.array(7)}, {}

    store.get("one", make)
    store.get("other", other)
    swap(*(tmp_path / "store" / key / "result" for key in ("one", "other")))
    assert store.find("one") is None and store.find("other") is None
    assert same(store.get("one", make))
    assert store.get("other", other)[0] == {"x": 7}
    first, second = lines(caplog)
    assert "expected a record of key one, received one of other" in first
    assert "expected a record of key other, received one of one" in second


def test_a_checkpoint_under_the_name_of_a_result_is_none(store, tmp_path):
    interrupted(store, "k")
    folder = tmp_path / "store" / "k"
    for suffix in (".json", ".npz"):
        (folder / f"checkpoint-000000005{suffix}").rename(
            folder / f"result{suffix}"
        )
    assert store.find("k") is None
    assert same(store.get("k", make))


def interrupted(store, key, computed=None):
    """Leaves a checkpoint of step 5."""

    def make(checkpoint):
        checkpoint.computed = computed or {}
        checkpoint.save({"x": np.array(5)}, {"step": 5})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.get(key, make)


def resumed(store, key, computed=None, fault=lambda _: None):
    """What is loaded of a training that goes on."""
    found = []

    def again(checkpoint):
        checkpoint.computed = computed or {}
        found.append(checkpoint.load(fault))
        return make(checkpoint)

    assert same(store.get(key, again))
    return found[0]


def test_a_checkpoint_of_another_key_or_step_is_not_loaded(
    store, tmp_path, caplog
):
    for key in ("k", "other"):
        interrupted(store, key)
    folder = tmp_path / "store" / "k"
    for path in (tmp_path / "store" / "other").glob("checkpoint-*"):
        (folder / path.name).write_bytes(path.read_bytes())
        name = path.name.replace("5.", "9.")
        (folder / name).write_bytes(path.read_bytes())
    assert resumed(store, "k") is None
    first, second = lines(caplog)
    assert "expected a record of key k, received one of other" in first
    assert "checkpoint-000000009 is set aside" in first
    assert "checkpoint-000000005 is set aside" in second


def test_a_checkpoint_that_does_not_fit_is_set_aside(store, caplog):
    interrupted(store, "k")
    assert resumed(store, "k", fault=lambda _: "expected a, received b") is None
    [line] = lines(caplog)
    assert "checkpoint-000000005 is set aside as damaged-" in line
    assert "expected a, received b" in line


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


def forget_key(path):
    """Makes a record one of an earlier version."""
    body = json.loads(path.read_text())
    del body["sha256"], body["key"], body["name"]
    body["sha256"] = array_files._checksum(body)
    path.write_text(json.dumps(body))


def test_a_result_without_its_key_is_taken_if_nothing_else_is_wrong(
    store, tmp_path, caplog
):
    for key in ("k", "other"):
        store.get(key, make)
        forget_key(tmp_path / "store" / key / "result.json")
    assert same(store.get("k", refuse))
    assert same(store.get("other", refuse))
    assert len(caplog.records) <= 1, "it is said once a process"
    caplog.clear()
    assert same(store.get("k", make, fault=lambda _: wrong_once()))
    [line] = lines(caplog)
    assert "expected seed 0, received 1; it is made anew" in line


def wrong_once(answers=[None] * 2 + ["expected seed 0, received 1"] * 2):
    return answers.pop() if answers else None


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


def test_what_cannot_be_read_is_not_damaged(store, monkeypatch):
    store.get("k", make)

    def unreadable(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(array_files.pathlib.Path, "read_bytes", unreadable)
    with pytest.raises(StorageError, match=r"expected to read .*k/result"):
        store.get("k", refuse)


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
