"""Trainings of the store for its tests, and how their files are damaged."""

import numpy as np
import pytest

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
