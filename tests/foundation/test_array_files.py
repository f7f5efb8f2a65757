import errno
import json

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

from tf_lottery.foundation import array_files
from tf_lottery.foundation.files import StorageError
from tf_lottery.foundation.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


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


def test_a_missing_array_file_is_noticed(store, tmp_path):
    store.get("k", make)
    (tmp_path / "store" / "k" / "result.npz").unlink()
    assert same(store.get("k", make))


def test_no_pickles(store):
    with pytest.raises(ValueError, match=r"arrays of numbers.*\['x'\]"):
        store.get("k", lambda _: ({"x": np.array([{}])}, {}))
    assert store.find("k") is None
