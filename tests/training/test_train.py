import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_lottery.foundation import identity
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.foundation.store import Store
from tf_lottery.masking.layers import MaskedConv2D
from tf_lottery.masking.masks import BernoulliMask, TopKMask
from tf_lottery.masking.model_state import effective_weights, load_state
from tf_lottery.rules.tickets import Ticket
from tf_lottery.training import steps
from tf_lottery.training import train as train_module
from tf_lottery.training.history import Diverged
from tf_lottery.training.programs import Programs
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.request import Training
from tf_lottery.training.train import estimate, train
from tf_lottery.training.trainer import Trainer
from tf_lottery.workloads.classification import ImageClassification
from tf_lottery.workloads.images.image_sets import Images
from tf_lottery.workloads.images.opened_images import (
    StreamedImages,
    resident,
)
from tf_lottery.workloads.models.conv import Conv
from tf_lottery.workloads.models.lenet import LeNet
from tf_lottery.workloads.task import Shapes

SGD = {"class_name": "SGD", "config": {"learning_rate": 0.1, "momentum": 0.9}}
ADAM = {"class_name": "Adam", "config": {"learning_rate": 1.2e-3}}
SUPERMASK = functools.partial(BernoulliMask, rescale=True)


def recipe(**kwargs):
    fields = {
        "model": LeNet((20, 10)),
        "task": ImageClassification(Images("mnist_5k")),
        "optimizer": SGD,
        "steps": 12,
        "batch_size": 40,
        "eval_every": 5,
        "mask_samples": 2,
    }
    return Recipe(**{**fields, **kwargs})


def train_from(r, ticket, seed, source, **kwargs):
    return train(Training(r, ticket, seed), source, **kwargs)


def taken(source, rows):
    """Images in [0, 1], and labels."""
    batch = source.take(rows)
    return ImageClassification().prepare(batch["inputs"]), batch["targets"]


def ticket_of(r, source, seed=0):
    return r.initial_ticket(source.shapes, seed)


def run(r, source, seed=0, **kwargs):
    return train_from(r, ticket_of(r, source, seed), seed, source, **kwargs)


def largest_difference(one, other):
    assert one.keys() == other.keys()
    return max(
        np.abs(one[p].astype(float) - other[p].astype(float)).max() for p in one
    )


class Memory:
    """A checkpoint in memory that keeps everything."""

    def __init__(self, saved=None):
        self.saved = [saved] if saved else []

    def load(self, fault):
        assert all(fault(entry) is None for entry in self.saved)
        return self.saved[-1] if self.saved else None

    def due(self):
        return True

    def save(self, arrays, meta):
        self.saved.append((arrays, meta))


def test_training_learns_digits(source):
    r = recipe(optimizer=ADAM, steps=400, eval_every=200)
    result = run(r, source)
    accuracy = {
        (row.step, row.where): row.value
        for row in result.history
        if row.metric == "accuracy"
    }
    assert accuracy[0, "test"] < 0.3
    assert accuracy[400, "test"] > 0.85
    assert accuracy[400, "train"] > accuracy[200, "train"]


def test_the_history_has_every_period(source):
    history = run(recipe(), source).history
    steps_of = {
        split: [row.step for row in history if row[1:3] == (split, "loss")]
        for split in ("train", "validation", "test")
    }
    assert steps_of == {
        "train": [5, 10, 12],
        "validation": [0, 5, 10, 12],
        "test": [0, 5, 10, 12],
    }


def test_test_images_wait_for_an_early_stop(source):
    """What early stopping and the last step are tested with is the same."""
    r = recipe(steps=60, eval_every=2, optimizer=SGD)
    everywhere = run(r, source)
    fewer = run(dataclasses.replace(r, test_at_stop=True), source)
    assert set(fewer.history) < set(everywhere.history)
    assert not largest_difference(fewer.state, everywhere.state)
    losses = [
        (row.step, row.value)
        for row in everywhere.history
        if (row.where, row.metric) == ("validation", "loss")
    ]
    lowest = {
        step
        for i, (step, loss) in enumerate(losses)
        if all(loss < other for _, other in losses[:i])
    }
    tested = {row.step for row in fewer.history if row.where == "test"}
    assert tested == lowest | {60}
    assert 1 < len(tested) < len(losses)


@pytest.mark.parametrize("kernel_mask", [None, SUPERMASK])
def test_a_step_is_the_one_of_keras(source, kernel_mask):
    """Plain Keras, given the same batches, ends with the same weights."""
    extra = {"kernel_mask": kernel_mask} if kernel_mask else {}
    r = recipe(steps=3, optimizer=SGD, **extra)
    result = run(r, source)
    model = r.new_model(source.shapes, seed=0)
    model.compile(
        r.new_optimizer(),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    losses = []
    for row in source.rows(0, r.batch_size, 0, 3):
        losses.append(float(model.train_on_batch(*taken(source, row))))
    for variable in model.weights:
        np.testing.assert_allclose(
            result.state[variable.path], variable.numpy(), atol=1e-6
        )


def test_same_seed_same_bits_other_seed_other_weights(source):
    r = recipe(kernel_mask=SUPERMASK)
    one, same = run(r, source), run(r, source)
    assert one.history == same.history
    assert largest_difference(one.state, same.state) == 0
    other = train_from(r, ticket_of(r, source), 1, source)
    assert largest_difference(one.state, other.state) > 0


@pytest.mark.parametrize("kernel_mask", [None, SUPERMASK])
def test_taken_up_at_any_checkpoint_it_ends_with_the_same_bits(
    source, monkeypatch, kernel_mask
):
    monkeypatch.setattr(steps, "STEPS_PER_CALL", 2)
    extra = {"kernel_mask": kernel_mask} if kernel_mask else {}
    r = recipe(optimizer=ADAM, **extra)
    memory = Memory()
    whole = run(r, source, checkpoint=memory)
    # The first call, which compiles, is of one step, the second is timed.
    steps_saved = [meta["step"] for _, meta in memory.saved]
    assert steps_saved == [1, 2, 4, 5, 7, 9, 10, 12]
    for saved in memory.saved[::3]:
        again = run(r, source, checkpoint=Memory(saved))
        assert again.history == whole.history
        assert largest_difference(again.state, whole.state) == 0


def test_the_length_of_a_call_does_not_matter(source, monkeypatch):
    whole = run(recipe(kernel_mask=SUPERMASK), source)
    monkeypatch.setattr(steps, "STEPS_PER_CALL", 3)
    parts = run(recipe(kernel_mask=SUPERMASK), source)
    assert largest_difference(whole.state, parts.state) == 0


def test_cut_into_calls_of_any_length_the_history_has_the_same_bits(
    source, monkeypatch
):
    whole = run(recipe(kernel_mask=SUPERMASK), source)
    monkeypatch.setattr(train_module, "SECONDS_PER_CALL", 0.0)
    steps_seen = []
    single = run(
        recipe(kernel_mask=SUPERMASK),
        source,
        report=lambda now: steps_seen.append(now.step),
    )
    assert steps_seen == list(range(13))
    assert single.history == whole.history
    assert largest_difference(whole.state, single.state) == 0


@pytest.mark.parametrize("optimizer", [SGD, ADAM])
@pytest.mark.parametrize("kernel_mask", [None, SUPERMASK])
def test_two_devices_equal_one(
    digits, source, optimizer, kernel_mask, two_devices
):
    extra = {"kernel_mask": kernel_mask} if kernel_mask else {}
    r = recipe(optimizer=optimizer, **extra)
    one = run(r, source)
    both = resident(digits, two_devices)
    two = train_from(r, ticket_of(r, source), 0, both, strategy=two_devices)
    assert largest_difference(one.state, two.state) < 1e-6
    for a, b in zip(one.history, two.history, strict=True):
        assert a[:3] == b[:3]
        assert a.value == pytest.approx(b.value, abs=1e-5)


def test_one_mirrored_device_equals_one(digits, source):
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    r = recipe(optimizer=ADAM)
    both = resident(digits, strategy)
    mirrored = train_from(r, ticket_of(r, source), 0, both, strategy=strategy)
    assert largest_difference(run(r, source).state, mirrored.state) < 1e-6


def test_a_training_of_two_devices_goes_on_with_one(
    digits, source, two_devices
):
    """Weight decay moved pruned kernels below their masks there."""
    config = {"learning_rate": 0.01, "weight_decay": 5.0}
    r = recipe(optimizer={"class_name": "AdamW", "config": config})
    ticket, masks = half_pruned(ticket_of(r, source), frozen_at=0.5)
    memory = Memory()
    both = resident(digits, two_devices)
    train_from(r, ticket, 0, both, strategy=two_devices, checkpoint=memory)
    again = train_from(r, ticket, 0, source, checkpoint=Memory(memory.saved[0]))
    whole = train_from(r, ticket, 0, source)
    for path, mask in masks.items():
        assert (again.state[path][~mask] == 0.5).all()
    assert largest_difference(whole.state, again.state) < 1e-5


def test_streamed_images_train_as_well(data_dir):
    streamed = StreamedImages(Images("mnist_5k", stream=True), data_dir)
    r = recipe(optimizer=ADAM, steps=150, eval_every=150)
    one, same = run(r, streamed), run(r, streamed)
    assert largest_difference(one.state, same.state) == 0
    assert one.history == same.history
    assert one.history[-1].value > 0.7


def test_streamed_images_on_two_devices_equal_one(data_dir, two_devices):
    streamed = StreamedImages(Images("mnist_5k", stream=True), data_dir)
    one = run(recipe(), streamed)
    two = run(recipe(), streamed, strategy=two_devices)
    assert largest_difference(one.state, two.state) < 1e-6


def test_a_streamed_training_resumes_with_the_same_bits(data_dir):
    streamed = StreamedImages(Images("mnist_5k", stream=True), data_dir)
    memory = Memory()
    whole = run(recipe(), streamed, checkpoint=memory)
    again = run(recipe(), streamed, checkpoint=Memory(memory.saved[0]))
    assert largest_difference(whole.state, again.state) == 0
    assert whole.history == again.history


def test_mixed_precision_computes_in_bfloat16_and_keeps_float32(source):
    r = recipe(dtype_policy="mixed_bfloat16", optimizer=ADAM, steps=150)
    model = r.new_model(source.shapes, seed=0)
    assert model.get_layer("fc1").compute_dtype == "bfloat16"
    result = run(r, source)
    assert result.state["fc1/kernel"].dtype == np.float32
    assert result.history[-1].value > 0.7
    assert keras.config.dtype_policy().name == "float32", "must be restored"


def test_nan_stops_and_names_the_step(source):
    r = recipe(steps=500, eval_every=50)
    r = dataclasses.replace(
        r, optimizer={"class_name": "SGD", "config": {"learning_rate": 1e20}}
    )
    memory = Memory()
    reports = []
    with pytest.raises(Diverged, match=r"not at step \d+ of 500, seed 0") as e:
        run(r, source, checkpoint=memory, report=reports.append)
    first = int(str(e.value).split("at step ")[1].split()[0])
    assert 2 <= first <= 10
    # Of the first call, whose loss was fine; nothing later.
    assert [meta["step"] for _, meta in memory.saved] == [1]
    # Its loss was the first one of weights that the step before had spoilt.
    spoilt = dataclasses.replace(r, steps=first - 1)
    with pytest.raises(Diverged, match=f"at step {first - 1} of"):
        run(spoilt, source)


@pytest.mark.parametrize("steps_", [1, 5])
def test_a_last_step_that_diverges_is_noticed(source, steps_):
    # Its own loss was fine: the weights that it leaves are not.
    optimizer = {"class_name": "SGD", "config": {"learning_rate": 1e38}}
    r = recipe(optimizer=optimizer, steps=steps_, eval_every=1)
    with pytest.raises(Diverged, match=f"at step 1 of {steps_}"):
        run(r, source)


def test_a_report_says_where_the_training_is(source, monkeypatch):
    monkeypatch.setattr(train_module, "SECONDS_PER_CALL", 1e9)
    reports = []
    run(recipe(), source, report=lambda r: reports.append((r.step, r.steps)))
    # The first call, which compiles, is of one step, and so is the second,
    # which is timed.
    assert reports == [(n, 12) for n in (0, 1, 2, 5, 10, 12)]


@pytest.mark.parametrize(
    ("batch_size", "message"),
    [(3601, "at most 3600"), (41, "multiple of 2, the number of replicas")],
)
def test_a_batch_size_that_does_not_fit(
    digits, batch_size, message, two_devices
):
    source = resident(digits, two_devices)
    r = recipe(batch_size=batch_size)
    with pytest.raises(ValueError, match=f"BATCH_SIZE.*{message}"):
        train_from(r, ticket_of(r, source), 0, source, strategy=two_devices)


def test_a_ticket_of_another_network_is_refused(source):
    other = recipe(model=LeNet((30, 10)))
    with pytest.raises(ValueError, match=r"fc1/kernel of shape \(784, 20\)"):
        train_from(recipe(), ticket_of(other, source), 0, source)


def test_penalties_of_layers_count(source):
    plain = run(recipe(steps=5), source)
    heavy = run(recipe(steps=5, model=PenalisedLeNet((20, 10))), source)
    shrunk = np.abs(heavy.state["fc1/kernel"]).sum()
    assert shrunk < 0.9 * np.abs(plain.state["fc1/kernel"]).sum()


class PenalisedLeNet(LeNet):
    def __call__(self, *args, **kwargs):
        model = super().__call__(*args, **kwargs)
        kernel = model.get_layer("fc1").raw_kernel
        kernel.regularizer = keras.regularizers.L2(0.5)
        return model


def test_xla_compiles_what_gets_faster(source, two_devices):
    dense = recipe().new_model(Shapes((28, 28, 1), 10), seed=0)
    images = keras.Input((8, 8, 1))
    conv = keras.Model(images, MaskedConv2D(2, 3)(images))
    nested = keras.Sequential([keras.Input((8, 8, 1)), conv])
    one = tf.distribute.get_strategy()
    assert steps.compiles_well(dense, one)
    assert not steps.compiles_well(dense, two_devices)
    assert not steps.compiles_well(conv, one)
    assert not steps.compiles_well(nested, one)


def test_an_estimate_is_a_number_of_seconds(source):
    strategy = tf.distribute.get_strategy()
    short = estimate(recipe(), source, strategy)
    long = estimate(recipe(steps=120_000), source, strategy)
    assert 0 < short < long


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "lenet"},
        {"task": "mnist"},
        {"steps": "many"},
        {"batch_size": 0},
        {"eval_every": 2.5},
        {"mask_samples": True},
        {"dtype_policy": "float8"},
        {"test_at_stop": False},
        {"test_at_stop": 1},
        {"optimizer": {"class_name": "SDG", "config": {}}},
        {"optimizer": {"class_name": "SGD", "config": {"rate": 1}}},
        {"optimizer": "SGD"},
    ],
)
def test_recipes_check_their_fields(wrong):
    with pytest.raises(ValueError, match=r"expected (?s:.)*received"):
        recipe(**wrong)


def reversed_ticket(ticket):
    return ticket.with_weights(lambda w: w[::-1].copy())


@pytest.mark.parametrize("optimizer", [SGD, ADAM])
def test_programs_that_trained_before_give_the_same_bits(source, optimizer):
    r = recipe(optimizer=optimizer)
    ticket = ticket_of(r, source)
    programs = Programs(r, source, None, 0)
    other = train_from(r, reversed_ticket(ticket), 0, source, programs=programs)
    again = train_from(r, ticket, 0, source, programs=programs)
    alone = train_from(r, ticket, 0, source)
    assert again.history == alone.history != other.history
    assert largest_difference(again.state, alone.state) == 0


class WithDropout(LeNet):
    """A network with random numbers of its own."""

    def __call__(self, shapes, kernel_mask, seed):
        lenet = super().__call__(shapes, kernel_mask, seed)
        x = lenet.get_layer("fc2").output
        x = keras.layers.Dropout(0.5, seed=seed)(x)
        return keras.Model(lenet.input, lenet.get_layer("output")(x))


def test_dropout_draws_the_same_whatever_was_trained_before(source):
    r = recipe(model=WithDropout((20, 10)))
    ticket = ticket_of(r, source)
    programs = Programs(r, source, None, 0)
    first = train_from(r, ticket, 0, source, programs=programs)
    again = train_from(r, ticket, 0, source, programs=programs)
    assert again.history == first.history
    memory = Memory()
    train_from(r, ticket, 0, source, programs=programs, checkpoint=memory)
    resumed = train_from(
        r,
        ticket,
        0,
        source,
        programs=programs,
        checkpoint=Memory(memory.saved[1]),
    )
    assert resumed.history == first.history


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"kernel_mask": SUPERMASK},
        {"kernel_mask": functools.partial(TopKMask, remaining=0.3)},
        {"model": WithDropout((20, 10))},
    ],
)
def test_one_compilation_serves_every_seed(source, extra):
    r = recipe(**extra)
    programs = Programs(r, source, None, 0)
    for seed in (3, 0, 5):
        ticket = ticket_of(r, source, seed)
        shared = train_from(r, ticket, seed, source, programs=programs)
        alone = train_from(r, ticket, seed, source)
        assert shared.history == alone.history
        assert largest_difference(shared.state, alone.state) == 0
        assert programs.evaluate(ticket, seed) == alone.history[:4]
    assert not programs.seed_is_fixed


class OwnNoise(keras.layers.Layer):
    """A layer whose seed is compiled into the program."""

    def __init__(self, seed, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed

    def call(self, x):
        return x + 0.01 * self.seed


class WithOwnNoise(LeNet):
    def __call__(self, shapes, kernel_mask, seed):
        lenet = super().__call__(shapes, kernel_mask, seed)
        x = OwnNoise(seed)(lenet.get_layer("fc2").output)
        return keras.Model(lenet.input, lenet.get_layer("output")(x))


def test_a_layer_that_compiles_its_seed_in_is_compiled_for_each(
    source, tmp_path
):
    r = recipe(model=WithOwnNoise((20, 10)))
    trainer = Trainer(Store(tmp_path), tf.distribute.get_strategy())
    trainer._sources[identity.digest(r.task)] = source
    for seed in (0, 1):
        ticket = ticket_of(r, source, seed)
        shared = trainer.train(Training(r, ticket, seed))
        alone = train_from(r, ticket, seed, source)
        assert shared.history == alone.history


@pytest.mark.parametrize(
    "images, message", [(9999, "at least 9999 .* 3600"), (None, "streamed")]
)
def test_a_gradient_that_cannot_be_had(source, images, message, data_dir):
    r = recipe()
    there = source if images else StreamedImages(Images("mnist_5k"), data_dir)
    programs = Programs(r, there, None, 0)
    with pytest.raises(InvalidValue, match=message):
        programs.gradient(ticket_of(r, source), 0, images or 10)


def test_a_ticket_taken_at_a_step_goes_on_with_the_batches_from_there(source):
    # Without momentum there is no more to the state than the weights.
    plain = {"class_name": "SGD", "config": {"learning_rate": 0.1}}
    r = recipe(optimizer=plain)
    whole = run(r, source)
    short = run(dataclasses.replace(r, steps=7), source)
    start = ticket_of(r, source)
    there = Ticket(
        {path: short.state[path] for path in start.weights},
        {path: short.state[path] for path in start.state},
    )
    late = train_from(dataclasses.replace(r, first_step=7), there, 0, source)
    assert largest_difference(late.state, whole.state) == 0
    tests = [row.step for row in late.history if row[1:3] == ("test", "loss")]
    assert tests == [7, 10, 12]
    assert late.history[-4:] == whole.history[-4:]


def test_a_first_step_beyond_the_training_is_refused():
    with pytest.raises(ValueError, match="less than STEPS, 12, received 12"):
        recipe(first_step=12)


def test_the_gradient_is_that_of_the_mean_loss(source):
    r = recipe()
    ticket = ticket_of(r, source)
    found = Programs(r, source, None, 0).gradient(ticket, 0, 50)
    assert found.keys() == ticket.weights.keys()
    [rows] = source.rows(0, 50, 0, 1)
    images, labels = taken(source, rows)
    model = r.new_model(source.shapes, seed=0)

    def loss(path, index, step):
        weights = {p: w.copy() for p, w in ticket.weights.items()}
        weights[path][index] += step
        load_state(model, {**ticket.arrays(), **weights})
        losses = keras.losses.sparse_categorical_crossentropy(
            labels, model(images), from_logits=True
        )
        return float(np.mean(losses))

    for path, gradient in found.items():
        index = np.unravel_index(abs(gradient).argmax(), gradient.shape)
        slope = (loss(path, index, 1e-2) - loss(path, index, -1e-2)) / 2e-2
        assert gradient[index] == pytest.approx(slope, rel=0.02)


def test_an_evaluation_is_that_before_the_first_step(source):
    r = recipe()
    ticket = ticket_of(r, source)
    rows = Programs(r, source, None, 0).evaluate(ticket, 0)
    assert rows == run(r, source).history[: len(rows)]
    assert len(rows) == 4


ADAMW = {"class_name": "AdamW", "config": {"weight_decay": 0.1}}
CLIPPED = {
    "class_name": "SGD",
    "config": {"learning_rate": 0.5, "global_clipnorm": 0.1, "momentum": 0.9},
}


def half_pruned(ticket, frozen_at):
    """Returns the ticket with half of the weights, and its masks."""
    rng = np.random.default_rng(0)
    masks = {p: rng.random(w.shape) < 0.5 for p, w in ticket.weights.items()}
    frozen = {
        p: np.where(mask, 0, frozen_at).astype(np.float32)
        for p, mask in masks.items()
    }
    return ticket.pruned(ticket.weights, masks, frozen), masks


@pytest.mark.parametrize("optimizer", [ADAM, SGD, ADAMW])
@pytest.mark.parametrize("model", [LeNet((20, 10)), Conv(blocks=1)])
def test_pruned_weights_stay_frozen_through_a_training(
    source, optimizer, model
):
    r = recipe(optimizer=optimizer, model=model, steps=6)
    ticket = ticket_of(r, source)
    pruned, masks = half_pruned(ticket, frozen_at=7)
    state = train_from(r, pruned, 0, source).state
    for path, mask in masks.items():
        assert (state[path][~mask] == 7).all()
        assert (state[path][mask] != ticket.weights[path][mask]).mean() > 0.5
        assert np.array_equal(state[f"{path}_mask/value"], mask)


@pytest.mark.parametrize("optimizer", [ADAM, ADAMW, CLIPPED])
def test_a_step_with_pruned_weights_is_the_one_of_keras(source, optimizer):
    """`fit` reads masked kernels in each layer; here masks are folded in."""
    r = recipe(steps=4, optimizer=optimizer)
    pruned, _ = half_pruned(ticket_of(r, source), frozen_at=0.01)
    state = train_from(r, pruned, 0, source).state
    model = r.new_model(source.shapes, seed=0)
    load_state(model, pruned.arrays())
    model.compile(
        r.new_optimizer(),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    for row in source.rows(0, r.batch_size, 0, 4):
        model.train_on_batch(*taken(source, row))
    for path, kernel in effective_weights(model).items():
        np.testing.assert_allclose(state[path], kernel, atol=1e-6)
        start = pruned.arrays()[path]
        assert not np.allclose(state[path], start, atol=1e-3)


def test_a_convolutional_network_trains_in_half_precision(source):
    r = recipe(
        model=Conv(blocks=1),
        optimizer=ADAM,
        steps=2,
        eval_every=2,
        dtype_policy="mixed_bfloat16",
    )
    result = run(r, source)
    assert result.state["conv1/kernel"].dtype == np.float32
    losses = [row.value for row in result.history if row.metric == "loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
