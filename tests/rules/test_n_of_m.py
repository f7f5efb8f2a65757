"""N of M against a sort of every group, and where its factory is used."""

import functools
import itertools
import pickle

import numpy as np
import pytest
from absl import flags, logging
from hypothesis import given
from hypothesis import strategies as st

import gin
from tf_lottery import configuration
from tf_lottery.foundation import identity, seeds
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.rules import criteria, sensitivity
from tf_lottery.rules.forgetting import Forgetting, Known, forget
from tf_lottery.rules.n_of_m import n_of_m
from tf_lottery.rules.tickets import Ticket

PATH = "fc/kernel"


def brute_force(scores, mask, n, m):
    kept = np.zeros(scores.shape, bool)
    *places, inputs, outputs = scores.shape
    for place in itertools.product(*map(range, places)):
        for output in range(outputs):
            for first in range(0, inputs, m):
                group = [
                    (*place, i, output)
                    for i in range(first, min(first + m, inputs))
                    if mask[(*place, i, output)]
                ]
                group.sort(key=lambda at: -scores[at])  # keeps ties in order
                for at in group[:n]:
                    kept[at] = True
    return kept


@st.composite
def kernels(draw):
    shape = draw(
        st.one_of(
            st.tuples(st.integers(1, 11), st.integers(1, 4)),
            st.tuples(*[st.integers(1, 2)] * 2, *[st.integers(1, 7)] * 2),
        )
    )
    size = int(np.prod(shape))
    small = st.integers(-3, 3)  # many ties, and zeros
    w = draw(st.lists(small, min_size=size, max_size=size))
    mask = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    return np.reshape(w, shape).astype(np.float32), np.reshape(mask, shape)


@given(kernels(), st.integers(1, 5), st.integers(1, 5), st.booleans())
def test_the_best_of_every_group(data, m, n, small):
    w, mask = data
    n = min(n, m)
    criterion = criteria.small_final if small else criteria.large_final
    w = w * mask
    kept = n_of_m(n, m, criterion)(w, mask=mask)
    assert kept.dtype == bool
    assert np.array_equal(kept, brute_force(criterion(w), mask, n, m))
    whole = n_of_m(n, m, criterion)(w)[..., : w.shape[-2] // m * m, :]
    groups = whole.reshape(*w.shape[:-2], -1, m, w.shape[-1])
    assert (groups.sum(axis=-2) == n).all()


def test_groups_run_along_the_input_channels_of_a_convolution():
    w = np.zeros((1, 2, 4, 1))
    w[0, 0, :, 0] = [1, -4, 3, 2]
    w[0, 1, :, 0] = [9, 0, 0, 8]
    kept = n_of_m()(w)[0, :, :, 0].astype(int)
    assert kept.tolist() == [[0, 1, 1, 0], [1, 0, 0, 1]]


def test_minus_infinity_goes_before_what_was_pruned():
    def first_only(w_final):
        return np.where(w_final == 1, 1, -np.inf)

    w = np.array([[0, 1, 2, 3]]).T
    mask = np.array([[False, True, True, True]]).T
    kept = n_of_m(2, 4, first_only)(w, mask=mask)
    assert kept.ravel().tolist() == [False, True, True, False]


def test_it_names_what_the_criterion_names():
    def of_mask(mask, gradient):
        return gradient * mask

    known = Known(
        dense={},
        fresh=dict,
        generator=functools.partial(seeds.generator, 0),
        derivatives={"gradient": lambda: {PATH: np.arange(8.0).reshape(8, 1)}},
    )
    for criterion in (sensitivity.snip, of_mask):
        rule = Forgetting(n_of_m(1, 4, criterion))
        state = {
            f"{PATH}_mask/value": np.ones((8, 1), bool),
            f"{PATH}_mask/frozen": np.zeros((8, 1)),
        }
        w = np.ones((8, 1), np.float32)
        for _ in range(2):  # the second round changes nothing
            ticket = forget(
                Ticket({PATH: w}, state), {PATH: w}, rule, {PATH: 0.5}, known
            )
            state = ticket.state
            kept = np.flatnonzero(ticket.masks[PATH])
            assert kept.tolist() == [3, 7]


def test_its_identity_is_what_it_was_made_of():
    canonical = identity.canonical(n_of_m(1, 2, criteria.large_init))
    assert canonical == {
        "call": "tf_lottery>n_of_m._n_of_m",
        "n": 1,
        "m": 2,
        "criterion": {"name": "tf_lottery>criteria.large_init"},
    }
    again = pickle.loads(pickle.dumps(n_of_m(2, 4)))
    assert identity.digest(again) == identity.digest(n_of_m())
    assert identity.digest(n_of_m(1, 4)) != identity.digest(n_of_m())


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((3, 2), "n of at most m, received 3 of 2"),
        ((0, 2), "n of n_of_m .* received 0"),
        ((1, 2.0), "m of n_of_m .* received 2.0"),
        ((2, 4, "large_final"), "function such as .*'large_final'"),
        ((2, 4, InvalidValue), "function such as"),
    ],
)
def test_a_pattern_that_is_none(arguments, message):
    with pytest.raises(InvalidValue, match=message):
        n_of_m(*arguments)


def test_a_kernel_or_scores_that_have_no_groups():
    with pytest.raises(InvalidValue, match=r"2 of 4, received shape \(8,\)"):
        n_of_m()(np.ones(8))
    single = criteria.large_final_same_sign_single
    with pytest.raises(InvalidValue, match=r"numbers .* received booleans"):
        n_of_m(2, 4, single)(np.ones((4, 1)), np.ones((4, 1)))
    with pytest.raises(InvalidValue, match=r"numbers .* received NaN"):
        n_of_m()(np.full((4, 1), np.nan))


@pytest.fixture
def read_plan():
    """Returns a gin file's plan, and leaves no trace of it."""
    verbosity = logging.get_verbosity()
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["main"])
    yield lambda path: configuration.read_plan([str(path)], [])[0]
    gin.clear_config(clear_constants=True)
    logging.set_verbosity(verbosity)


def test_of_a_gin_file(tmp_path, read_plan):
    (tmp_path / "nm.gin").write_text(
        """
include "gin/mask_criteria.gin"
from __gin__ import dynamic_registration
from tf_lottery.rules import criteria
from tf_lottery.rules import n_of_m

RULES = {"2:4": {"criterion": @n_of_m.n_of_m()},
         "1:4": {"criterion": @one/n_of_m.n_of_m()}}
one/n_of_m.n_of_m.n = 1
one/n_of_m.n_of_m.criterion = @criteria.movement
"""
    )
    plan = read_plan(tmp_path / "nm.gin")
    rules = [plan.experiment.rule(arm) for arm in ("2:4", "1:4")]
    found = [identity.canonical(rule.criterion) for rule in rules]
    assert [(c["n"], c["m"]) for c in found] == [(2, 4), (1, 4)]
    assert found[1]["criterion"] == {"name": "tf_lottery>criteria.movement"}
    w = np.arange(8.0).reshape(4, 2)
    assert rules[1].criterion(-w, w).sum() == 2
