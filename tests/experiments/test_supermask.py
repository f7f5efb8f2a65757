"""Chains of learned masks, on an engine that only invents results."""

import dataclasses

import numpy as np
import pytest

from tf_lottery.experiments import supermask
from tf_lottery.experiments.supermask import Supermask
from tf_lottery.foundation import seeds
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.foundation.records import Record, Snapshot
from tf_lottery.masking.masks import BernoulliMask, TopKMask, fixed_mask
from tf_lottery.rules import actions
from tf_lottery.rules.tickets import Ticket
from tf_lottery.training.history import Result
from tf_lottery.training.recipes import Recipe

SHAPES = {"fc1/kernel": (20, 10), "conv1/kernel": (3, 3, 2, 4)}
RECIPE = Recipe(steps=100)


class Engine:
    """Invents what a mask has learned: noise of the seed."""

    def __init__(self):
        self.trained, self.evaluated = [], []

    def new_ticket(self, recipe, seed):
        weights, state = {}, {}
        for path, shape in SHAPES.items():
            noise = seeds.generator(seed, "init", path)
            weights[path] = noise.standard_normal(shape, np.float32)
            if recipe.kernel_mask is fixed_mask:
                state[f"{path}_mask/value"] = np.ones(shape, bool)
                state[f"{path}_mask/frozen"] = np.zeros(shape, np.float32)
        state["fc1/bias"] = np.zeros(10, np.float32)
        return Ticket(weights, state)

    def train(self, training, round=0):
        self.trained.append((training, round))
        state = {**training.ticket.arrays(), "fc1/bias": np.ones(10)}
        for path, shape in SHAPES.items():
            noise = seeds.generator(training.seed, "learned", path)
            for name in ("logits", "scores"):
                state[f"{path}_mask/{name}"] = noise.normal(0, 1, shape)
        return Result(state, (), 0.0)

    def evaluate(self, training, round=0):
        self.evaluated.append((training, round))


def run(fields, seed=3):
    engine = Engine()
    experiment = Supermask(RECIPE, rules={"arm": fields})
    experiment.rehearse(engine)
    found = list(experiment.chain("arm", seed, engine))
    records = [x for x in found if isinstance(x, Record)]
    kept = {
        (x.round, x.where): x.value for x in records if x.metric == "remaining"
    }
    return engine, kept, [x for x in found if isinstance(x, Snapshot)]


def logits(seed=3):
    return {
        path: seeds.generator(seed, "learned", path).normal(0, 1, shape)
        for path, shape in SHAPES.items()
    }


@pytest.mark.parametrize("rescale", [False, True])
def test_the_thresholded_mask_is_evaluated_too(rescale):
    engine, kept, [snapshot] = run({"rescale": rescale})
    [(training, round_)] = engine.trained
    assert round_ == 0 and snapshot.round == 0
    [(evaluated, round_)] = engine.evaluated
    assert round_ == supermask.THRESHOLDED == 1
    assert evaluated.recipe == dataclasses.replace(
        training.recipe, kernel_mask=fixed_mask
    )
    for path, values in logits().items():
        mask = evaluated.ticket.masks[path]
        np.testing.assert_array_equal(mask, values > 0)
        factor = mask.size / mask.sum() if rescale else 1
        np.testing.assert_allclose(
            evaluated.ticket.weights[path],
            training.ticket.weights[path] * factor,
            rtol=1e-6,
        )
        assert not evaluated.ticket.frozen[path].any()
        p = 1 / (1 + np.exp(-values))
        assert kept[0, path] == pytest.approx(p.mean())
        assert kept[1, path] == pytest.approx((values > 0).mean())
    # What else was trained is taken over.
    assert evaluated.ticket.state["fc1/bias"].all()
    assert {where for _, where in kept} == {*SHAPES, "all"}


def test_edge_popup_keeps_exactly_what_it_is_told():
    engine, kept, [snapshot] = run({"kept": 0.3, "scale": "he"})
    [(training, _)] = engine.trained
    mask = training.recipe.kernel_mask(seed=0)
    assert isinstance(mask, TopKMask) and mask.remaining == 0.3
    assert not engine.evaluated
    histogram = snapshot.arrays["histogram fc1/kernel"]
    assert (histogram[0], histogram[-1]) == (140, 60)
    assert kept[0, "fc1/kernel"] == 60 / 200
    assert kept[0, "conv1/kernel"] == 21 / 72
    assert {round_ for round_, _ in kept} == {0}


def test_the_mask_that_is_counted_is_the_one_that_is_applied():
    scores = np.random.default_rng(0).integers(-3, 4, (7, 9)).astype("float32")
    mask = TopKMask(remaining=0.4)
    mask.build(scores.shape)
    mask.scores.assign(scores)
    applied = np.asarray(mask(np.ones(scores.shape, "float32"))) != 0
    np.testing.assert_array_equal(applied, supermask._highest(scores, 0.4))


@pytest.mark.parametrize("scale", ["he", 2.0])
def test_weights_are_scaled_before_the_action(scale):
    engine, _, _ = run({"scale": scale, "mask1": actions.signed_constant})
    [(training, _)] = engine.trained
    start = Engine().new_ticket(RECIPE, 3).weights
    factors = {"fc1/kernel": np.sqrt(30 / 20), "conv1/kernel": np.sqrt(6 / 2)}
    for path, w in training.ticket.weights.items():
        factor = factors[path] if scale == "he" else scale
        expected = np.sign(start[path]) * start[path].std() * factor
        np.testing.assert_allclose(w, expected, rtol=1e-5)


def test_a_rule_says_where_its_logits_start():
    def mask(rule, own):
        rule = Supermask(RECIPE, ("a",), own, {"a": rule}).rule("a")
        built = rule.kernel_mask(own)(seed=0)
        assert isinstance(built, BernoulliMask)
        return built.initial_logit

    assert mask({}, None) == 0
    assert mask({}, 2.0) == 2
    assert mask({"initial_logit": -1.0}, 2.0) == -1


def test_the_arms_of_table_1_are_the_default():
    assert Supermask(RECIPE).arms == (
        *("init", "signed constant", "DWR init", "DWR signed constant"),
    )


@pytest.mark.parametrize(
    "rule, said",
    [
        ({"kept": 0.0}, "kept to be in"),
        ({"kept": 2}, "kept to be in"),
        ({"kept": 0.5, "rescale": True}, "no rescale and no initial_logit"),
        ({"kept": 0.5, "initial_logit": 1.0}, "no rescale and no initial_log"),
        ({"scale": "glorot"}, "scale to be a finite number"),
        ({"rescale": 1}, "rescale"),
        ({"mask2": 1}, "one of mask1, scale, rescale"),
        (3, "the rule of 'a' to be a dict"),
        ({"mask1": actions.keep}, "w_init alone"),
    ],
)
def test_what_is_wrong_in_a_rule_is_named(rule, said):
    with pytest.raises(InvalidValue, match=said):
        Supermask(RECIPE, rules={"a": rule}).rehearse(Engine())
