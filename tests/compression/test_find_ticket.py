"""Tickets found around a user's training, and applied to other models."""

import functools
import itertools

import keras
import numpy as np
import pytest
from absl import logging
from keras import layers

from tf_lottery.compression.apply_ticket import apply_ticket
from tf_lottery.compression.find_ticket import (
    SearchStopped,
    TrainingFailed,
    find_ticket,
)
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.conversion import mask_model, strip_masks
from tf_lottery.masking.kernels import masked_kernels
from tf_lottery.masking.masks import BernoulliMask
from tf_lottery.masking.model_state import read_state, read_ticket
from tf_lottery.rules import actions, criteria, n_of_m, sensitivity, tickets
from tf_lottery.rules.forgetting import Forgetting
from tf_lottery.rules.tickets import Ticket

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 6)).astype("float32")
Y = (X.sum(1, keepdims=True) > 0).astype("float32")


def make_model(seed=0, width=8, optimizer=None):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(width, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.2, seed=5),
            layers.Dense(1),
        ]
    )
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    optimizer = optimizer or keras.optimizers.Adam(0.01)
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def fit(model, epochs=2):
    return model.fit(
        X, Y, batch_size=16, epochs=epochs, shuffle=False, verbose=0
    )


find = functools.partial(find_ticket, verbose=False)


def test_rounds_prune_what_the_rates_say():
    model = mask_model(
        make_model(), [(r"dense_?\d*/kernel", 0.25)], verbose=False
    )
    ticket, history, summary = find(model, fit, rounds=3)
    assert [row.round for row in summary] == [0, 1, 2, 3]
    # 48 and 8 weights, of which floor(0.25 of the rest) go each time.
    assert [row.weights for row in summary] == [56, 36 + 6, 27 + 5, 21 + 4]
    assert summary[2].remaining == 32 / 56
    assert len(history) == 4
    assert history[1]["accuracy"][-1] == summary[1].metrics["accuracy"]
    assert summary[3].ticket is ticket
    masks = [row.ticket.masks for row in summary]
    for before, after in itertools.pairwise(masks):
        for path, mask in after.items():
            assert not (mask & ~before[path]).any()


def test_each_round_starts_where_round_0_did():
    model = make_model()
    starts = []

    def recording(model):
        optimizer = [keras.ops.convert_to_numpy(v) for v in optimizer_of(model)]
        starts.append((read_state(model), optimizer))
        fit(model)
        # A schedule of the user's that changes the optimizer's variables.
        model.optimizer.learning_rate = 0.5

    find(model, recording, rounds=2)
    first = starts[0]
    for state, optimizer in starts[1:]:
        for one, other in zip(first[1], optimizer, strict=True):
            assert np.array_equal(one, other)
        for path, value in state.items():
            if "_mask/" in path:
                continue
            mask = state.get(f"{path}_mask/value", np.ones(value.shape, bool))
            assert np.array_equal(value[mask], first[0][path][mask]), path
            assert not value[~mask].any()


def optimizer_of(model):
    return [*model.optimizer.variables, *model.layers[2].variables]


def test_without_pruning_a_round_is_the_round_before_bit_for_bit():
    # A rate so low that nothing goes: weights, statistics, the optimizer and
    # dropout's random numbers must all be back.
    model = mask_model(make_model(), 0.001, verbose=False)
    _, history, summary = find(model, fit, rounds=2)
    assert {row.weights for row in summary} == {56}
    assert history[0] == history[1] == history[2]


def test_a_search_is_reproducible():
    one, other = (find(make_model(), fit, rounds=2) for _ in range(2))
    assert one.history == other.history
    for array, again in zip(
        one.ticket.arrays().values(),
        other.ticket.arrays().values(),
        strict=True,
    ):
        assert np.array_equal(array, again)


def test_an_optimizer_that_comes_with_round_0_is_new_in_each_round():
    model = make_model()
    model.compiled, model.optimizer = False, None
    steps = []

    def compile_once(model):
        if model.optimizer is None:
            model.compile("adam", "mse")
        steps.append(
            int(keras.ops.convert_to_numpy(model.optimizer.iterations))
        )
        fit(model)

    find(model, compile_once, rounds=2)
    assert steps == [0, 0, 0]


def test_a_fit_that_compiles_once_by_itself_does_not_go_on_unnoticed():
    model = make_model()
    model.compiled, model.optimizer = False, None
    calls = []

    def compile_at_first(model):
        if not calls:
            model.compile("adam", "mse")
        calls.append(model)
        fit(model)

    with pytest.raises(ValueError, match=r"call `?compile"):
        find(model, compile_at_first, rounds=2)
    assert len(calls) == 2


def test_the_model_ends_as_the_last_round_trained_it():
    model = make_model()
    ticket, *_ = find(model, fit, rounds=2)
    for path, kernel in masked_kernels(model).items():
        effective = keras.ops.convert_to_numpy(kernel.effective)
        mask = ticket.masks[path]
        assert not effective[~mask].any()
        assert not np.array_equal(effective[mask], ticket.weights[path][mask])


def test_any_rule(capsys):
    rule = Forgetting(criteria.random, actions.reinit_fresh, actions.zero)
    model = make_model()
    start = mask_model(model, verbose=False).layers[0].raw_kernel.numpy()
    ticket, *_ = find_ticket(model, fit, rule, rounds=1)
    fresh = next(iter(ticket.weights.values()))
    mask = next(iter(ticket.masks.values()))
    assert not np.isclose(fresh, start)[mask].any()
    # As Keras' Glorot uniform draws them.
    assert np.abs(fresh).max() <= np.sqrt(6 / 14)
    out = capsys.readouterr().out
    assert "Round 0: 100.00 % of the weights, accuracy" in out
    assert "Round 1: 82.14 %" in out  # 9 of 48 and 1 of 8 are gone


@pytest.mark.parametrize("scope", ["global", "channel"])
def test_other_scopes(scope):
    model = make_model()
    if scope == "channel":
        mask_model(model, 0.25, verbose=False)
        *_, summary = find(model, fit, rounds=1, scope=scope)
        mask = next(iter(summary[1].ticket.masks.values()))
        assert mask.all(0).sum() == 6
        assert (~mask).all(0).sum() == 2
    else:
        *_, summary = find(model, fit, rounds=1, scope=scope)
        assert summary[1].weights == 56 - 11


@pytest.mark.parametrize(
    "returned", [None, {"loss": 0.5}, {"loss": [0.7, 0.5]}, "text"]
)
def test_what_fit_may_return(returned):
    _, history, summary = find(make_model(), lambda model: returned, rounds=1)
    if isinstance(returned, dict):
        assert history[0]["loss"][-1] == 0.5
        assert summary[0].metrics == {"loss": 0.5}
    else:
        assert history == [{}, {}]


def test_weights_that_are_not_finite_stop_the_search_and_lose_nothing():
    def burst(model):
        burst.calls += 1
        if burst.calls == 3:
            model.layers[0].bias.assign(np.full(8, np.nan))

    burst.calls = 0
    with pytest.raises(
        TrainingFailed, match=r"bias after the .* round 2, .* nan"
    ):
        find(make_model(), burst, rounds=4)
    burst.calls = 0
    with pytest.raises(TrainingFailed) as caught:
        find(make_model(), burst, rounds=4)
    assert [row.round for row in caught.value.summary] == [0, 1]
    assert isinstance(caught.value.summary[1].ticket, Ticket)


def test_ctrl_c_stops_the_search_and_loses_nothing():
    def interrupted(model):
        interrupted.calls += 1
        if interrupted.calls == 3:
            raise KeyboardInterrupt

    interrupted.calls = 0
    with pytest.raises(SearchStopped, match="stopped in round 2") as caught:
        find(make_model(), interrupted, rounds=4)
    assert [row.round for row in caught.value.summary] == [0, 1]
    assert isinstance(caught.value.summary[1].ticket, Ticket)


def snip_rule():
    return Forgetting(sensitivity.snip)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(fit="adam"), "fit to be a function"),
        (dict(rounds=0), "rounds to be a whole number"),
        (dict(scope="layers"), "scope to be one of layer, global"),
        (dict(rule=criteria.random), "expected rule to be of class Forgetting"),
        (dict(rule=snip_rule()), "which only tf_lottery.prune_model knows"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_trained(
    change, message
):
    def never(model):
        raise AssertionError("it was trained")

    arguments = {"model": make_model(), "fit": never, **change}
    with pytest.raises(InvalidValue, match=message):
        find(**arguments)


def test_learned_masks_are_refused():
    model = mask_model(make_model(), kernel_mask=BernoulliMask, verbose=False)
    with pytest.raises(InvalidValue, match="expected fixed masks to prune"):
        find(model, fit)
    with pytest.raises(InvalidValue, match="expected a Keras model"):
        find(lambda: None, fit)


def test_a_ticket_moves_to_another_model(tmp_path):
    model = make_model()
    ticket, history, _ = find(model, fit, rounds=2)
    ticket.save(tmp_path / "a.ticket")
    other = make_model(seed=9)  # its layers have other names
    loaded = Ticket.load(tmp_path / "a.ticket")
    assert apply_ticket(other, loaded) is other
    assert list(read_state(other)) != list(ticket.arrays())
    assert fit(other).history == history[2]


def test_a_ticket_goes_by_paths_where_they_are_the_same():
    def model():
        inputs = keras.Input((6,))
        x = layers.Dense(6, name="one")(inputs)
        return keras.Model(inputs, layers.Dense(6, name="two")(x))

    rates = [("one", None), ("two", 0.2)]
    ticket, *_ = find(mask_model(model(), rates, verbose=False), fit_none)
    other = apply_ticket(model(), ticket)
    assert list(masked_kernels(other)) == ["two/kernel"]
    for path, array in read_ticket(other).arrays().items():
        assert np.array_equal(array, ticket.arrays()[path])
    # And with one of a model that is masked already.
    apply_ticket(other, ticket)


def fit_none(model):
    return None


def test_a_ticket_of_other_shapes_is_refused():
    ticket, *_ = find(make_model(), fit_none, rounds=1)
    with pytest.raises(InvalidValue, match=r"kernel of shape \(6, 8\).*\(6, 9"):
        apply_ticket(make_model(width=9), ticket)
    deeper = keras.Sequential(
        [keras.Input((6,)), *(layers.Dense(6) for _ in range(3))]
    )
    with pytest.raises(InvalidValue, match=r"with 2 kernels, .* received 3"):
        apply_ticket(deeper, ticket)
    plain = keras.Sequential(
        [keras.Input((6,)), layers.Dense(8), layers.Dense(1)]
    )
    with pytest.raises(InvalidValue, match="other variables"):
        apply_ticket(plain, ticket)
    with pytest.raises(InvalidValue, match="ticket to be of class Ticket"):
        apply_ticket(plain, "a.ticket")
    # And nothing was masked.
    for model in (deeper, plain):
        assert not masked_kernels(model)


def three_layers(names=(None, None, None)):
    inputs = x = keras.Input((6,))
    for name in names:
        x = layers.Dense(6, name=name)(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize("dense", [0, 1, 2])
def test_a_ticket_with_dense_layers_moves_by_order(dense, tmp_path):
    model = three_layers()
    rates = [(f"^{model.layers[1 + dense].name}/", None), (".", 0.3)]
    mask_model(model, rates, verbose=False)
    ticket, *_ = find(model, fit_none, rounds=1)
    apply_ticket(model, ticket)
    expected = keras.ops.convert_to_numpy(model(X))
    # Layers that are called like others of the ticket's.
    shifted = [layer.name for layer in model.layers[2:]] + ["another"]
    ticket.save(tmp_path / "a.ticket")
    for one in (ticket, Ticket.load(tmp_path / "a.ticket")):
        other = apply_ticket(three_layers(shifted), one)
        kinds = [type(layer).__name__ for layer in other.layers[1:]]
        assert kinds.index("Dense") == dense
        assert np.array_equal(keras.ops.convert_to_numpy(other(X)), expected)
    wrong = mask_model(three_layers(), verbose=False)
    with pytest.raises(InvalidValue, match="with masks on"):
        apply_ticket(wrong, ticket)


def test_a_layer_that_is_called_like_a_mask_is_none():
    names = ("a_mask", "b", "kernel_mask")
    ticket, *_ = find(three_layers(names), fit_none, rounds=1)
    other = apply_ticket(three_layers(), ticket)
    kept = [mask.sum() for mask in ticket.masks.values()]
    moved = [mask.sum() for mask in read_ticket(other).masks.values()]
    assert kept == moved == [29] * 3
    learned = mask_model(
        three_layers(), kernel_mask=BernoulliMask, verbose=False
    )
    with pytest.raises(InvalidValue, match="expected fixed masks"):
        apply_ticket(learned, ticket)


def test_the_same_model_built_twice_has_the_same_randomness():
    rule = Forgetting(criteria.random, actions.reinit_fresh)
    found = [find(make_model(), fit_none, rule, rounds=2) for _ in range(2)]
    one, other = ([*f.ticket.arrays().values()] for f in found)
    for array, again in zip(one, other, strict=True):
        assert np.array_equal(array, again)


def test_rounds_are_handed_over_as_they_come():
    came = []

    def broken(model):
        if len(came) == 2:
            raise MemoryError

    with pytest.raises(MemoryError):
        find(make_model(), broken, rounds=3, on_round=came.append)
    assert [row.round for row in came] == [0, 1]


def test_series_that_are_no_numbers_are_left_out():
    returned = {
        "loss": [1, 0.5],
        "f1": [np.ones(3), np.ones(3)],
        "note": "good",
        "none": None,
    }
    _, history, _ = find(make_model(), lambda model: returned, rounds=1)
    assert history == [{"loss": [1.0, 0.5]}] * 2


def test_what_is_refused_is_as_it_was():
    for change in (
        dict(rule=Forgetting(sensitivity.snip)),
        dict(rule=Forgetting(n_of_m.n_of_m(2, 4), actions.constant), rounds=0),
    ):
        model = make_model()
        with pytest.raises(InvalidValue):
            find(model, fit_none, **change)
        assert not masked_kernels(model)


def test_channels_of_a_network_with_kernels_that_have_none():
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(8, 3),
            layers.DepthwiseConv2D(3),
            layers.Conv2D(4, 2),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    mask_model(model, 0.5, verbose=False)
    ticket, *_ = find(model, fit_none, rounds=1, scope="channel")
    first, depthwise, last, _ = ticket.masks.values()
    assert depthwise.all()
    assert first.any((0, 1, 2)).sum() == 4
    assert last.any((0, 1, 2)).sum() == 2


def test_the_channels_that_are_outputs_stay():
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(8, 3, name="first")(inputs)
    one = layers.Conv2D(4, 2, name="one")(x)
    one = layers.Activation("softmax")(layers.GlobalMaxPooling2D()(one))
    head = keras.Sequential([layers.Flatten(), layers.Dense(4, name="two")])
    model = keras.Model(inputs, [one, head(x)])
    *_, summary = find(model, fit_none, rounds=2, scope="channel")
    left = {
        path.rpartition("/kernel")[0].rpartition("/")[2]: mask.mean()
        for path, mask in summary[-1].ticket.masks.items()
    }
    assert left == {"first": 6 / 8, "one": 1, "two": 1}


def test_a_fit_that_trains_past_the_masks_is_noticed():
    def past(model):
        # As a tf.function that was traced before the model was masked.
        for layer in (model.layers[0], model.layers[3]):
            layer.raw_kernel.assign_add(np.ones(layer.raw_kernel.shape))

    told = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            logging, "warning", lambda text, *a: told.append(text % a)
        )
        find(make_model(), past, rounds=1)
        [text] = told
        assert "to get no gradient in round 1" in text
        find(make_model(), fit_none, rounds=1)
        for round, text in enumerate(told[1:]):
            assert f"changed no kernel in round {round}" in text
        assert len(told) == 3
        find(make_model(), fit, rounds=1)
        assert len(told) == 3


def test_a_ticket_and_a_round_say_what_they_are_in_a_line():
    ticket, _, summary = find(make_model(), fit_none, rounds=1)
    assert repr(ticket) == "<Ticket: 46 of 56 weights>"
    assert len(repr(summary[0])) < 200


def test_a_model_of_bfloat16():
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, dtype="bfloat16")]
    )
    *_, summary = find(model, fit_none, rounds=1)
    assert summary[1].weights == 48 - 9


def test_names_of_ticket_state_are_those_of_masks():
    model = mask_model(make_model(), verbose=False)
    [kernel, _] = masked_kernels(model).values()
    names = [v.path.rpartition("/")[2] for v in kernel.mask.variables]
    assert tuple(names) == tickets.MASK_STATE


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="it is of tf.distribute"
)
def test_two_devices_find_what_one_does(two_devices):
    def search():
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input((6,)), layers.Dense(8), layers.Dense(1)]
        )
        model.compile(keras.optimizers.Adam(0.01), "mse")
        return model, find(model, functools.partial(fit, epochs=1), rounds=1)

    _, one = search()
    with two_devices.scope():
        model, two = search()
    for ours, theirs in zip(one.history, two.history, strict=True):
        np.testing.assert_allclose(ours["loss"], theirs["loss"], rtol=1e-5)
    masks = one.ticket.masks.values(), two.ticket.masks.values()
    for ours, theirs in zip(*masks, strict=True):
        assert np.array_equal(ours, theirs)
    # Outside of the strategy's scope, too.
    apply_ticket(strip_masks(model), two.ticket)
