import os

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis.extra import numpy as hnp

from tf_lottery.foundation import files
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.rules.tickets import Ticket


def ticket(shape=(4, 3), kept=0.5, frozen=0.0, seed=0):
    rng = np.random.default_rng(seed)
    weights = {"fc/kernel": rng.normal(size=shape).astype("float32")}
    mask = rng.random(shape) < kept
    held = np.where(mask, 0, frozen * rng.normal(size=shape)).astype("float32")
    state = {"fc/bias": np.arange(3.0), "steps": np.array(7)}
    start = Ticket(weights, state)
    return start.pruned(weights, {"fc/kernel": mask}, {"fc/kernel": held})


def assert_equal(one, other):
    one, other = one.arrays(), other.arrays()
    assert one.keys() == other.keys()
    for path, array in one.items():
        assert array.dtype == other[path].dtype, path
        assert np.array_equal(array, other[path]), path


@pytest.mark.parametrize("frozen", [0.0, 1.0])
@pytest.mark.parametrize("kept", [0.0, 0.3, 1.0])
def test_a_ticket_comes_back_as_it_starts_a_training(tmp_path, frozen, kept):
    before = ticket(kept=kept, frozen=frozen)
    before.save(tmp_path / "a.ticket")
    after = Ticket.load(tmp_path / "a.ticket")
    assert_equal(before, after)
    assert list(after.weights) == list(before.weights)
    assert not after.weights["fc/kernel"][~before.masks["fc/kernel"]].any()


@hypothesis.given(
    hnp.arrays(bool, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5)),
    st.booleans(),
)
def test_masks_of_any_shape(tmp_path_factory, mask, frozen):
    path = tmp_path_factory.mktemp("tickets") / "a.ticket"
    weights = {"a/b/kernel": np.full(mask.shape, 2.5, np.float32)}
    held = {"a/b/kernel": np.full(mask.shape, float(frozen), np.float32)}
    before = Ticket(weights, {}).pruned(weights, {"a/b/kernel": mask}, held)
    before.save(path)
    # What kept weights would be frozen at is not kept.
    after = Ticket.load(path)
    assert np.array_equal(after.masks["a/b/kernel"], mask)
    arrays = [t.arrays()["a/b/kernel"] for t in (before, after)]
    assert np.array_equal(*arrays)


def test_the_file_is_small(tmp_path):
    before = ticket(shape=(784, 300), kept=0.05)
    before.save(tmp_path / "a.ticket")
    size = (tmp_path / "a.ticket").stat().st_size
    # A bit for every weight and four bytes for every twentieth.
    assert size < 235_200 * (1 / 8 + 0.05 * 4) * 1.05
    assert b"pickle" not in (tmp_path / "a.ticket").read_bytes()


def test_bfloat16_is_kept_as_float32(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = np.array([1.5, 2.25], ml_dtypes.bfloat16)
    weights, mask = {"fc/kernel": values}, {"fc/kernel": np.array([1, 1])}
    start = Ticket(weights, {"fc/bias": values})
    start.pruned(weights, mask, weights).save(tmp_path / "a.ticket")
    after = Ticket.load(tmp_path / "a.ticket")
    assert after.weights["fc/kernel"].tolist() == [1.5, 2.25]
    assert after.state["fc/bias"].tolist() == [1.5, 2.25]


@pytest.mark.parametrize("at", [0, 30, 90, 200, -1])
def test_every_damaged_byte_is_noticed(tmp_path, at):
    path = tmp_path / "a.ticket"
    ticket().save(path)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(InvalidValue, match=r"expected a (whole )?ticket in"):
        Ticket.load(path)


@pytest.mark.parametrize("length", [0, 10, 100])
def test_a_file_that_was_cut_off_is_noticed(tmp_path, length):
    path = tmp_path / "a.ticket"
    ticket().save(path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InvalidValue, match=r"expected a (whole )?ticket in"):
        Ticket.load(path)


def test_another_file_is_no_ticket(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.ones(3))
    with pytest.raises(InvalidValue, match="received b'PK"):
        Ticket.load(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError):
        Ticket.load(tmp_path / "none.ticket")


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.ticket"
    ticket().save(path)
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(files.StorageError, match="No space left"):
        ticket(seed=1).save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.ticket"]


def test_learned_masks_are_no_part_of_a_ticket(tmp_path):
    start = Ticket({"fc/kernel": np.ones(3)}, {})
    with pytest.raises(InvalidValue, match="with fixed masks"):
        start.save(tmp_path / "a.ticket")
    assert not list(tmp_path.iterdir())
