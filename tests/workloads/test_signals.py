"""The signals of MNIST-1D."""

import hashlib
import random
import socket
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.workloads import signals
from tf_lottery.workloads.signals import ARRANGEMENTS, Signals
from tf_lottery.workloads.task import DataError

ONE = tf.distribute.get_strategy()


@pytest.fixture(scope="module")
def plain():
    return Signals().open(ONE)


def test_signals_are_what_the_package_makes(plain):
    arrays = plain.arrays()
    inputs, targets = arrays["inputs"], arrays["targets"]
    assert (inputs.shape, inputs.dtype) == ((5000, 40), np.float32)
    assert plain.sizes == {"train": 3600, "validation": 400, "test": 1000}
    assert np.bincount(targets).tolist() == [500] * 10
    assert abs(inputs.mean()) < 1e-4
    assert inputs.std() == pytest.approx(1, abs=1e-4)
    # Rounded, so that the order of a sum on another processor is no failure.
    rounded = np.rint(inputs * 1000).astype("<i4").tobytes()
    digest = hashlib.sha256(rounded + targets.astype("<i4").tobytes())
    assert digest.hexdigest()[:16] == "0abc7ce7391ed1f4"


def test_they_are_the_same_each_time_and_touch_nothing(plain, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("no signal comes from the network")

    monkeypatch.setattr(socket, "socket", refuse)
    signals._made.cache_clear()
    before = np.random.get_state()[1].tolist(), random.getstate()
    again = Signals().open(ONE)
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before
    assert again.fingerprint == plain.fingerprint
    for name, array in plain.arrays().items():
        assert np.array_equal(again.arrays()[name], array)


@pytest.mark.parametrize("arrange", ARRANGEMENTS)
def test_arranged_signals_have_the_same_numbers_elsewhere(plain, arrange):
    source = Signals(arrange).open(ONE)
    own, other = plain.arrays(), source.arrays()
    assert np.array_equal(own["targets"], other["targets"])
    # Where each number of the first signals went, the same for all.
    same = own["inputs"][:50, :, None] == other["inputs"][:50, None, :]
    [order] = np.unique(same.argmax(axis=2), axis=0)
    assert np.array_equal(own["inputs"], other["inputs"][:, order])
    assert (order.tolist() == list(range(39, -1, -1))) == (arrange == "flipped")
    assert order.tolist() != list(range(40))
    assert source.fingerprint != plain.fingerprint
    assert Signals(arrange).name == f"mnist1d, {arrange}"


def test_what_is_wrong_is_said_in_one_line(monkeypatch):
    with pytest.raises(InvalidValue, match="flipped, shuffled, received 'up'"):
        Signals("up")
    signals._made.cache_clear()
    monkeypatch.setitem(sys.modules, "mnist1d", None)
    with pytest.raises(DataError, match=r"^[^\n]*pip install mnist1d[^\n]*$"):
        Signals().open(ONE)
