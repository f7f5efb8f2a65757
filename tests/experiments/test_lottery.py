"""Chains of the lottery experiment, on an engine that only invents results."""

import dataclasses

import numpy as np
import pytest

from tf_lottery.experiments.arms import Rule
from tf_lottery.experiments.lottery import Lottery
from tf_lottery.foundation import identity, seeds
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.foundation.records import Record, Snapshot
from tf_lottery.rules import actions, criteria, sensitivity, survivors
from tf_lottery.rules.tickets import Ticket
from tf_lottery.training.history import Result
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.request import Training
from tf_lottery.workloads.signals import Signals

SHAPES = {"fc1/kernel": (20, 10), "output/kernel": (10, 5)}
RATES = (("fc", 0.2), ("output", 0.1))
RECIPE = Recipe(steps=100, eval_every=10)


class Engine:
    """Invents trainings, which depend on their ticket and seed alone."""

    def __init__(self):
        self.trained = []  # (recipe, ticket, seed, round)
        self.evaluated = []

    def new_ticket(self, recipe, seed):
        weights, state = {}, {}
        for path, shape in SHAPES.items():
            noise = seeds.generator(seed, "init", path)
            weights[path] = noise.standard_normal(shape, np.float32)
            state[f"{path}_mask/value"] = np.ones(shape, bool)
            state[f"{path}_mask/frozen"] = np.zeros(shape, np.float32)
        state["fc1/bias"] = np.zeros(10, np.float32)
        return Ticket(weights, state)

    def train(self, training, round=0):
        recipe, ticket = training.recipe, training.ticket
        seed = training.seed
        self.trained.append((recipe, ticket, seed, round))
        key = identity.digest([recipe, ticket.arrays(), seed])
        state = ticket.arrays()
        for path in SHAPES:
            noise = seeds.generator(0, key, path).standard_normal(
                SHAPES[path], np.float32
            )
            mask = ticket.masks[path]
            state[path] = np.where(mask, state[path] + noise, state[path])
        state["fc1/bias"] = state["fc1/bias"] + 1
        return Result(state, (), 0.0)

    def evaluate(self, training, round=0):
        self.evaluated.append((training.ticket, round))

    def gradient(self, training, examples):
        ticket = training.ticket
        assert all(mask.all() for mask in ticket.masks.values())
        return {path: ticket.weights[path] * examples for path in SHAPES}

    @property
    def keys(self):
        return [
            identity.digest([recipe, ticket.arrays(), seed])
            for recipe, ticket, seed, _ in self.trained
        ]


def lottery(rules, **fields):
    fields = {"rounds": (1, 2, 4), **fields}
    return Lottery(RECIPE, rules, fields.pop("rates", RATES), **fields)


def run(rule, seed=0, **fields):
    engine = Engine()
    items = list(lottery({"arm": rule}, **fields).chain("arm", seed, engine))
    return engine, [i for i in items if isinstance(i, Record)]


def remaining(records):
    of_all = ("all", "remaining")
    return [r for r in records if (r.where, r.metric) == of_all]


def kept(ticket):
    return {path: int(mask.sum()) for path, mask in ticket.masks.items()}


def test_a_chain_of_tickets():
    engine, records = run({})
    assert [round for *_, round in engine.trained] == [0, 1, 2, 4]
    counts = [kept(ticket) for _, ticket, *_ in engine.trained]
    assert [c["fc1/kernel"] for c in counts] == [200, 160, 128, 82]
    assert [c["output/kernel"] for c in counts] == [50, 45, 41, 34]
    start = engine.new_ticket(RECIPE, 0)
    for _, ticket, _, _ in engine.trained:
        for path, w in start.weights.items():
            kept_ = w * ticket.masks[path]
            assert np.array_equal(ticket.arrays()[path], kept_)
        assert (ticket.arrays()["fc1/bias"] == 0).all()
    everything = remaining(records)
    assert [r.round for r in everything] == [0, 1, 2, 4]
    assert everything[-1].value == pytest.approx((82 + 34) / 250)
    assert {r.metric for r in records} == {
        "remaining",
        "sign agreement",
        *survivors.METRICS,
    }


def test_a_chain_says_which_weights_survive_and_how_far_they_moved():
    engine = Engine()
    records = [
        r
        for r in lottery({"arm": {}}).chain("arm", 0, engine)
        if isinstance(r, Record) and r.metric in survivors.METRICS
    ]
    (_, start, _, _), (_, ticket, _, _), *_ = engine.trained
    path = "fc1/kernel"
    w, kept = start.weights[path], ticket.masks[path].astype(bool)
    near = np.abs(w) <= w.std() / 2
    found = {(r.round, r.metric): r.value for r in records if r.where == path}
    assert found[0, "near zero"] == pytest.approx(near.mean())
    assert found[1, "near zero"] == pytest.approx(near[kept].mean())
    assert (0, "moved") not in found  # nothing was kept or pruned yet
    assert found[1, "uneven in"] == pytest.approx(
        kept.sum(0).var() / (len(kept) * kept.mean() * (1 - kept.mean()))
    )


def test_a_chain_shows_masks_and_how_weights_moved():
    engine = Engine()
    items = list(lottery({"arm": {}}).chain("arm", 3, engine))
    pictures = [i for i in items if isinstance(i, Snapshot)]
    assert [p[:3] for p in pictures] == [(3, "arm", r) for r in (1, 2, 4)]
    tickets = [ticket for _, ticket, *_ in engine.trained]
    for i, picture in enumerate(pictures):
        before, after = tickets[i : i + 2]
        for path in SHAPES:
            shown = picture.arrays[f"mask {path}"]
            assert shown.dtype == bool
            assert np.array_equal(shown, after.masks[path])
        counts = [sum(kept(t).values()) for t in (before, after)]
        assert picture.arrays["density kept"].sum() == counts[1]
        assert picture.arrays["density pruned"].sum() == counts[0] - counts[1]
    state = Engine().train(Training(RECIPE, tickets[0], 3)).state
    same = sum(
        int((np.sign(state[p]) == np.sign(w))[tickets[1].masks[p]].sum())
        for p, w in tickets[0].weights.items()
    )
    [measured] = [
        i.value
        for i in items
        if isinstance(i, Record)
        and (i.round, i.where, i.metric) == (1, "all", "sign agreement")
    ]
    assert measured == same / sum(kept(tickets[1]).values())


def test_the_largest_trained_weights_are_kept():
    engine, _ = run({}, rounds=(3,))
    (_, dense, seed, _), (_, ticket, _, _) = engine.trained
    final = abs(
        Engine().train(Training(RECIPE, dense, seed)).state["fc1/kernel"]
    )
    mask = ticket.masks["fc1/kernel"]
    assert final[mask].min() > final[~mask].max()


def test_arms_share_what_they_have_in_common():
    rules = {
        "tickets": {},
        "one-shot": {"one_shot": True},
        "random": {"criterion": criteria.random},
        "reinit": {"control": actions.reinit_fresh, "draw": 1},
    }
    experiment = lottery(rules)
    keys = {}
    for arm in experiment.arms:
        engine = Engine()
        list(experiment.chain(arm, 0, engine))
        keys[arm] = engine.keys
    assert len({k[0] for k in keys.values()}) == 1  # the dense round
    assert keys["one-shot"][:2] == keys["tickets"][:2]
    assert not set(keys["one-shot"][2:]) & set(keys["tickets"])
    assert not set(keys["random"][1:]) & set(keys["tickets"])
    assert len(set(keys["reinit"]) & set(keys["tickets"])) == 3


def test_another_seed_is_another_chain():
    assert not set(run({})[0].keys) & set(run({}, seed=1)[0].keys)
    assert run({})[0].keys == run({})[0].keys


def test_a_control_trains_the_masks_of_the_tickets_from_elsewhere():
    tickets, _ = run({})
    rule = {"control": actions.reinit_fresh, "draw": 1}
    engine, _ = run(rule)
    shown = [t for t in engine.trained if t[3] is not None]
    aside = [t for t in engine.trained if t[3] is None]
    assert [t[3] for t in shown] == [0, 1, 2, 4]
    # What the chain goes on with is the tickets; the last is not needed.
    assert len(aside) == 2
    for (_, ours, *_), (_, theirs, *_) in zip(
        shown[1:], tickets.trained[1:], strict=True
    ):
        for path in SHAPES:
            assert np.array_equal(ours.masks[path], theirs.masks[path])
            mask = ours.masks[path]
            assert not np.isin(
                ours.arrays()[path][mask], theirs.arrays()[path][mask]
            ).any()
    other, _ = run({**rule, "draw": 2})
    assert len(set(engine.keys) & set(other.keys)) == 3  # dense and aside
    assert run(rule)[0].keys == engine.keys


@pytest.mark.parametrize("rewind", [None, 10])
def test_another_task_trains_what_the_original_tickets_are(rewind):
    tickets, records = run({}, rewind_step=rewind)
    task = Signals("flipped")
    engine, other = run({"shown_task": task}, rewind_step=rewind)
    assert other == records
    shown = [t for t in engine.trained if t[3] is not None]
    own = [t for t in tickets.trained if t[3] is not None]
    assert [t[3] for t in shown] == [0, 1, 2, 4]
    for (recipe, ours, *_), (plain, theirs, *_) in zip(shown, own, strict=True):
        assert recipe == dataclasses.replace(plain, task=task)
        assert identity.digest(ours.arrays()) == identity.digest(
            theirs.arrays()
        )
    # All but the last round once more on the task that masks come from.
    aside = [t for t in engine.trained if t[3] is None]
    assert len(aside) == 3 + (rewind is not None)
    assert {t[0].task for t in aside} == {RECIPE.task}


@pytest.mark.parametrize("kind", ["one_shot", "untrained"])
def test_another_task_trains_or_evaluates_one_shot_tickets(kind):
    plain, records = run({kind: True})
    engine, other = run({kind: True, "shown_task": Signals()})
    assert other == records
    tasks = [t[0].task for t in engine.trained if t[3] is not None]
    assert set(tasks) == {Signals()}
    assert len(tasks) == len(plain.trained)


def test_another_task_is_of_the_same_network():
    class Wider(Engine):
        def new_ticket(self, recipe, seed):
            ticket = super().new_ticket(recipe, seed)
            if recipe.task == RECIPE.task:
                return ticket
            bias = np.zeros(11, np.float32)
            return Ticket(ticket.weights, {**ticket.state, "fc1/bias": bias})

    rules = {"arm": {"shown_task": Signals()}}
    lottery(rules).rehearse(Engine())
    message = "shown_task of 'arm' to suit .* mnist, received mnist1d"
    with pytest.raises(InvalidValue, match=message):
        lottery(rules).rehearse(Wider())


def test_one_shot_prunes_the_dense_network_each_time():
    engine, _ = run({"one_shot": True})
    _, dense, _, _ = engine.trained[0]
    final = Engine().train(Training(RECIPE, dense, 0)).state
    for _, ticket, _, round in engine.trained[1:]:
        mask = ticket.masks["fc1/kernel"]
        assert mask.sum() == 200 - int((1 - 0.8**round) * 200 + 1e-6)
        values = abs(final["fc1/kernel"])
        assert values[mask].min() > values[~mask].max()


def test_untrained_tickets_are_evaluated_only():
    rule = {
        "criterion": criteria.large_final_same_sign,
        "mask1": actions.signed_constant,
        "untrained": True,
    }
    engine, records = run(rule)
    assert len(engine.trained) == 1
    assert [round for _, round in engine.evaluated] == [1, 2, 4]
    for ticket, _ in engine.evaluated:
        values = ticket.arrays()["fc1/kernel"][ticket.masks["fc1/kernel"]]
        assert len(np.unique(abs(values))) == 1
    assert [r.round for r in remaining(records)] == [0, 1, 2, 4]


def test_reinits_accumulate_and_rescaled_ones_do_not():
    engine, _ = run({"mask1": actions.reinit_same_sign})
    first, second = (engine.trained[i][1].weights for i in (1, 2))
    path = "fc1/kernel"
    start = engine.new_ticket(RECIPE, 0).weights[path]
    assert np.array_equal(
        np.sort(abs(second[path]), None), np.sort(abs(start), None)
    )
    assert not np.array_equal(abs(first[path]), abs(second[path]))
    engine, _ = run({"mask1": actions.signed_constant_rescaled})
    for _, ticket, *_ in engine.trained[1:]:
        values = ticket.arrays()[path][ticket.masks[path]]
        factor = 200 / ticket.masks[path].sum()
        assert abs(values[0]) == pytest.approx(start.std() * factor, rel=1e-5)


def test_snip_scores_by_the_gradient_at_the_dense_start():
    engine, _ = run({"criterion": sensitivity.snip, "one_shot": True})
    start = engine.new_ticket(RECIPE, 0).weights["fc1/kernel"]
    mask = engine.trained[-1][1].masks["fc1/kernel"]
    scores = abs(start * start)
    assert scores[mask].min() > scores[~mask].max()


def test_late_rewinding():
    engine, _ = run({}, rewind_step=30, rounds=(1, 2))
    (dense, *_), (short, start, _, aside), *rounds = engine.trained
    assert (dense.steps, short.steps, aside) == (100, 30, None)
    rewound = engine.train(Training(short, start, 0)).state
    for recipe, ticket, _, _ in rounds:
        assert (recipe.first_step, recipe.steps) == (30, 100)
        for path in SHAPES:
            expected = rewound[path] * ticket.masks[path]
            assert np.array_equal(ticket.arrays()[path], expected)
        assert (ticket.arrays()["fc1/bias"] == 1).all()


def test_a_global_chain_can_empty_no_layer():
    rates = ((".", 0.5),)
    engine, _ = run({}, scope="global", rates=rates, rounds=(1, 3))
    for _, ticket, _, round in engine.trained[1:]:
        counts = kept(ticket)
        assert min(counts.values()) >= 1
        expected = 250 - 125 if round == 1 else 125 - int(0.75 * 125)
        assert sum(counts.values()) == expected


def test_a_channel_chain_prunes_whole_outputs():
    rates = (("fc", 0.5), ("output", None))
    engine, _ = run({}, scope="channel", rates=rates, rounds=(1, 3))
    for _, ticket, _, round in engine.trained[1:]:
        mask = ticket.masks["fc1/kernel"]
        assert np.array_equal(mask.all(0), mask.any(0))
        assert mask.any(0).sum() == (5 if round == 1 else 5 - int(0.75 * 5))
        assert ticket.masks["output/kernel"].all()


def test_a_rehearsal_tries_every_arm_and_trains_none():
    rules = {"good": {}, "bad": {"mask0": flat}}
    engine = Engine()
    with pytest.raises(InvalidValue, match="mask0 flat"):
        lottery(rules).rehearse(engine)
    lottery(rules, arms=("good",)).rehearse(engine)
    lottery({"a": {"criterion": sensitivity.snip}}).rehearse(engine)
    assert not engine.trained


@pytest.mark.parametrize("kind", [{"one_shot": True}, {"untrained": True}])
def test_a_control_of_what_is_not_trained_on_trains_nothing_aside(kind):
    engine, _ = run({"control": actions.reinit_fresh, **kind})
    assert None not in [round for *_, round in engine.trained]
    assert len(engine.trained) == (1 if "untrained" in kind else 4)


def flat(w_final):
    return w_final.ravel()


def not_a_number(w_final):
    return w_final * np.nan


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"arm": {"criterion": flat}}, r"flat at fc1.*\(20, 10\).*\(200,\)"),
        ({"arm": {"criterion": not_a_number}}, "not_a_number at fc1.* NaN"),
        ({"arm": {"mask1": flat}}, "mask1 flat at fc1"),
        ({"arm": {"control": flat}}, "mask1 flat at fc1"),
        ({"rates": (("fc", 0.2),)}, "none for output/kernel"),
        ({"rates": ((".", 0.2), ("conv", 0.1))}, "'conv', which matches none"),
        ({"rates": ((".", 0.2), ("fc", 0.1))}, "'fc', which matches fc1"),
        ({"rates": ((".", 0.999999999),)}, "at least one weight of fc1"),
    ],
)
def test_what_is_wrong_is_found_before_anything_is_trained(fields, message):
    rule = fields.pop("arm", {})
    engine = Engine()
    experiment = lottery({"arm": rule}, **fields)
    with pytest.raises(InvalidValue, match=message):
        experiment.rehearse(engine)
    assert not engine.trained


@pytest.mark.parametrize(
    "rules, fields, message",
    [
        ({"a": {}}, {"rates": (("fc", 1.2),)}, r"rate of 'fc'.*\(0, 1\).*1.2"),
        ({"a": {}}, {"scope": "all"}, "SCOPE to be one of layer, global"),
        ({"a": {}}, {"rounds": (3, 1)}, r"ascend, received \(3, 1\)"),
        ({"a": {}}, {"rounds": (0, 1)}, "ROUNDS .* received 0"),
        ({"a": {}}, {"rounds": 5}, "ROUNDS to be a list .* received 5"),
        ({"a": {}}, {"arms": ("b",)}, "ARMS to be one of a, received 'b'"),
        ({"a": {}}, {"arms": "a"}, "ARMS to be a list"),
        ({"a": {}}, {"rewind_step": 100}, "less than STEPS, 100, received 100"),
        ({"a": {}}, {"rewind_step": -1}, "REWIND_STEP .* received -1"),
        (
            {"a": {}},
            {"gradient_examples": 0},
            "gradient_examples .* received 0",
        ),
        ({"a": 3}, {}, "rule of 'a' to be a dict, received 3"),
        ({"a": {"mask": 3}}, {}, "rule 'a' to be one of criterion.*'mask'"),
        ({"a": {"one_shot": 1}}, {}, "one_shot to be True or False"),
        ({"a": {"untrained": 1}}, {}, "untrained to be True or False"),
        ({"a": {"draw": 0}}, {}, "draw .* received 0"),
        ({"a": {"control": "x"}}, {}, "mask1 to be a function .* 'x'"),
        ({"a": {"shown_task": 1}}, {}, "shown_task to be @Task.*received 1"),
        ([], {}, r"RULES to be a dict .* received \[\]"),
    ],
)
def test_a_wrong_field_is_named(rules, fields, message):
    with pytest.raises(InvalidValue, match=message):
        lottery(rules, **fields)


def test_fields_that_are_off_move_no_hash():
    plain = identity.canonical(lottery({"a": {}}))
    assert "rewind_step" not in plain
    assert (
        identity.canonical(Rule())
        .keys()
        .isdisjoint({"control", "draw", "shown_task"})
    )
    assert dataclasses.fields(Rule)[0].name == "criterion"


def test_an_arm_may_train_in_its_own_way():
    rules = {
        "own": {
            "recipe": {
                "steps": 50,
                "optimizer": {"class_name": "SGD", "config": {}},
                "model": {"hidden": (20, 7)},
            },
            "rates": (("fc", 0.5), ("output", None)),
        },
        "plain": {},
    }
    experiment = lottery(rules)
    engine = Engine()
    experiment.rehearse(engine)
    list(experiment.chain("own", 0, engine))
    assert len(engine.trained) == 4
    for recipe, ticket, *_ in engine.trained:
        assert (recipe.steps, recipe.eval_every) == (50, RECIPE.eval_every)
        assert recipe.optimizer["class_name"] == "SGD"
        assert recipe.model.hidden == (20, 7)
        assert kept(ticket)["output/kernel"] == 50
    counts = [kept(ticket)["fc1/kernel"] for _, ticket, *_ in engine.trained]
    assert counts == [200, 100, 50, 13]
    engine = Engine()
    list(experiment.chain("plain", 0, engine))
    assert all(recipe == RECIPE for recipe, *_ in engine.trained)


@pytest.mark.parametrize(
    "rule, said",
    [
        ({"recipe": 3}, "the recipe of 'arm' to be"),
        ({"recipe": {"stesp": 3}}, "the fields of the recipe of 'arm' to be"),
        ({"recipe": {"steps": 0}}, "STEPS to be a whole number"),
        ({"recipe": {"model": {"hiden": 1}}}, "the recipe of 'arm'.model"),
        ({"recipe": {"model": {"hidden": (0,)}}}, "LeNet.hidden"),
        ({"rates": (("fc", 2),)}, "2"),
    ],
)
def test_what_is_wrong_in_an_arms_own_recipe_is_named(rule, said):
    with pytest.raises(InvalidValue, match=said):
        lottery({"arm": rule})


def test_continued_training_goes_back_for_what_is_shown_alone():
    rule = {"mask1": actions.keep, "control": actions.reset}
    engine, _ = run(rule, rounds=(1, 2))
    start = engine.new_ticket(RECIPE, 0).weights
    rounds = [round_ for *_, round_ in engine.trained]
    assert rounds == [0, 1, None, 2]
    dense, shown, own, last = (ticket for _, ticket, *_ in engine.trained)
    trained = Engine().train(Training(RECIPE, dense, 0)).state
    again = Engine().train(Training(RECIPE, own, 0)).state
    for path in SHAPES:
        mask = shown.masks[path]
        assert np.array_equal(mask, own.masks[path])
        np.testing.assert_array_equal(
            shown.weights[path][mask], start[path][mask]
        )
        np.testing.assert_array_equal(
            own.weights[path][mask], trained[path][mask]
        )
        # The second round prunes what was trained on, not what was shown.
        mask = last.masks[path]
        gone = own.masks[path] & ~mask
        final = np.abs(again[path])
        assert final[mask].min() >= final[gone].max()
        np.testing.assert_array_equal(
            last.weights[path][mask], start[path][mask]
        )
