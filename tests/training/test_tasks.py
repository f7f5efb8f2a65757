"""Tasks: whatever is learned trains, resumes, mirrors and streams alike."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.training import steps
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.request import Training
from tf_lottery.training.train import train
from tf_lottery.workloads.algorithms import ModularAddition
from tf_lottery.workloads.classification import ImageClassification
from tf_lottery.workloads.examples import Resident
from tf_lottery.workloads.images.image_sets import Images
from tf_lottery.workloads.language import NextCharacter
from tf_lottery.workloads.models.lenet import LeNet
from tf_lottery.workloads.models.token_mlp import TokenMlp
from tf_lottery.workloads.task import DataError, Shapes, Task

ONE = tf.distribute.get_strategy()
ADAM = {"class_name": "Adam", "config": {"learning_rate": 0.01}}


@dataclasses.dataclass(frozen=True)
class NoisySum(Task):
    """Says whether the sum of noisy numbers is positive; the noise is new in
    every step."""

    count: int = 240

    @property
    def name(self):
        return "noisy sum"

    def open(self, strategy, data_dir=None, cache=None):
        numbers = np.random.default_rng(0).standard_normal((self.count, 4))
        arrays = {"numbers": numbers.astype(np.float32)}
        third = self.count // 3
        sizes = dict.fromkeys(("train", "validation", "test"), third)
        return Resident(arrays, sizes, Shapes((4,), 1), "noisy", strategy)

    def losses(self, model, batch, training, draw):
        numbers = batch["numbers"]
        right = tf.reduce_sum(numbers, axis=1, keepdims=True) > 0
        if draw is not None:
            numbers += draw.uniform(4) - 0.5
        logits = tf.cast(model(numbers, training=training), tf.float32)
        labels = tf.cast(right, tf.float32)
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
        hits = tf.cast((logits > 0) == right, tf.float32)
        return losses[:, 0], hits[:, 0]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the quick brown fox jumps over the lazy dog. " * 40)
    return str(path)


def recipes(text):
    common = {"optimizer": ADAM, "steps": 12, "batch_size": 20, "eval_every": 5}
    tokens = TokenMlp(width=4, hidden=(8,))
    return {
        "images": Recipe(
            model=LeNet((10,)),
            task=ImageClassification(Images("mnist_5k")),
            **common,
        ),
        "addition": Recipe(
            model=tokens, task=ModularAddition(modulus=13), **common
        ),
        "text": Recipe(model=tokens, task=NextCharacter(text, 5), **common),
        "noise": Recipe(model=LeNet((8,)), task=NoisySum(), **common),
    }


KINDS = ("images", "addition", "text", "noise")


class Memory:
    """A checkpoint that keeps all that was saved."""

    def __init__(self, start=None):
        self.saved = []
        self.start = start

    def load(self, fault):
        assert not self.start or fault(self.start) is None
        return self.start

    def due(self):
        return True

    def save(self, arrays, meta):
        self.saved.append((arrays, meta))


def run(recipe, data_dir, strategy=ONE, **options):
    source = recipe.task.open(strategy, data_dir)
    ticket = recipe.initial_ticket(source.shapes, 0)
    return train(
        Training(recipe, ticket, 0), source, strategy=strategy, **options
    )


def difference(one, other):
    assert one.state.keys() == other.state.keys()
    return max(
        np.abs(one.state[p].astype(float) - other.state[p].astype(float)).max()
        for p in one.state
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_resumes_with_the_same_bits(kind, text, data_dir, monkeypatch):
    monkeypatch.setattr(steps, "STEPS_PER_CALL", 2)
    recipe = recipes(text)[kind]
    memory = Memory()
    whole = run(recipe, data_dir, checkpoint=memory)
    metrics = {row.metric for row in whole.history}
    assert metrics == recipe.task.metrics(1.0, 1.0).keys()
    for saved in (memory.saved[1], memory.saved[4]):
        resumed = run(recipe, data_dir, checkpoint=Memory(saved))
        assert resumed.history == whole.history
        assert difference(resumed, whole) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_on_two_devices_equals_one(kind, text, data_dir, two_devices):
    recipe = recipes(text)[kind]
    one, two = run(recipe, data_dir), run(recipe, data_dir, two_devices)
    assert difference(one, two) < 1e-5
    assert [row[:3] for row in one.history] == [row[:3] for row in two.history]


def test_streamed_text_gives_the_same_bits(text, data_dir):
    recipe = recipes(text)["text"]
    streamed = dataclasses.replace(
        recipe, task=dataclasses.replace(recipe.task, stream=True)
    )
    one, two = run(recipe, data_dir), run(streamed, data_dir)
    assert difference(one, two) < 1e-6
    source = streamed.task.open(ONE)
    resident = recipe.task.open(ONE)
    assert source.fingerprint == resident.fingerprint
    batches = source.batches(0, 20, 3)
    for row in resident.rows(0, 20, 3, 4):
        held = resident.take(tf.constant(row))
        read = next(batches)
        for name in held:
            assert np.array_equal(held[name], read[name])
    for split, size in source.sizes.items():
        parts = [b["targets"].numpy() for b in source.split(split, 7)]
        first = resident.start(split)
        held = resident.take(tf.range(first, first + size))
        assert np.array_equal(np.concatenate(parts), held["targets"])


def test_windows_are_of_the_text_and_reach_over_no_cut(tmp_path):
    path = tmp_path / "bytes"
    path.write_bytes(bytes(range(200)))
    source = NextCharacter(str(path), context=3).open(ONE)
    assert source.sizes == {"train": 177, "validation": 7, "test": 7}
    whole = source.take(tf.range(sum(source.sizes.values())))
    starts = [*range(177), *range(180, 187), *range(190, 197)]
    assert whole["targets"].numpy().tolist() == [s + 3 for s in starts]
    expected = [[s, s + 1, s + 2] for s in starts]
    assert whole["inputs"].numpy().tolist() == expected


def test_perplexity_is_the_exponential_of_the_loss():
    metrics = NextCharacter().metrics(2.0, 0.25)
    assert metrics == {
        "loss": 2.0,
        "accuracy": 0.25,
        "perplexity": pytest.approx(7.389056),
    }
    assert NextCharacter().metrics(1e9, 0.0)["perplexity"] == np.inf


def test_the_text_of_python_is_english():
    source = NextCharacter(context=8).open(ONE)
    assert source.sizes["train"] > 100_000
    start = source.take(tf.range(2000))["targets"].numpy().astype(np.uint8)
    assert b"statement" in start.tobytes()


def test_pairs_are_added_and_each_is_in_one_split():
    source = ModularAddition(modulus=7, fraction=0.5).open(ONE)
    assert source.sizes == {"train": 24, "validation": 12, "test": 13}
    held = source.arrays()
    pairs = held["inputs"]
    assert (pairs.sum(axis=1) % 7 == held["targets"]).all()
    assert len({tuple(pair) for pair in pairs.tolist()}) == 49


@pytest.mark.parametrize(
    "fields",
    [{"modulus": 0}, {"modulus": 1}, {"fraction": 1.0}, {"fraction": 0}],
)
def test_additions_that_there_are_not(fields):
    with pytest.raises(InvalidValue, match=r"expected .*received"):
        ModularAddition(**fields)


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "path of a text file.*No such file"),
        (b"", "at least 140 characters for windows of 5, received 0"),
        (b"too short", "at least 140 characters .* received 9"),
    ],
)
def test_texts_that_cannot_be_had(tmp_path, content, message):
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        NextCharacter(str(path), 5).open(ONE)
    with pytest.raises(InvalidValue, match=r"text file for .*stream"):
        NextCharacter(stream=True)


class OneLoss(NoisySum):
    def losses(self, *args):
        losses, scores = super().losses(*args)
        return tf.reduce_mean(losses), scores


class Column(NoisySum):
    def losses(self, *args):
        losses, scores = super().losses(*args)
        return losses[:, None], scores


class NoScore(NoisySum):
    def losses(self, *args):
        return super().losses(*args)[0]


class Whole(NoisySum):
    def losses(self, *args):
        losses, scores = super().losses(*args)
        return losses, tf.cast(scores, tf.int32)


@pytest.mark.parametrize(
    "kind, received",
    [
        (OneLoss, r"float32 \[\], float32 \[2\]"),
        (Column, r"float32 \[2, 1\], float32 \[2\]"),
        (NoScore, r"float32 \[2\]$"),
        (Whole, r"float32 \[2\], int32 \[2\]"),
    ],
)
def test_losses_of_the_wrong_shape_are_named(kind, received, text):
    recipe = dataclasses.replace(recipes(text)["noise"], task=kind())
    message = rf"losses of .*{kind.__name__}.* a loss and a score .*{received}"
    with pytest.raises(InvalidValue, match=message):
        run(recipe, None)


class Forgetful(Resident):
    def rows(self, seed, batch_size, step, count):
        size = (count, batch_size)
        return np.random.default_rng().integers(80, size=size, dtype=np.int32)


class Walking(Resident):
    """Its batches depend on how many were asked for at once."""

    def rows(self, seed, batch_size, step, count):
        rows = super().rows(seed, batch_size, 0, count)
        return rows + step


@pytest.mark.parametrize("kind", [Forgetful, Walking])
def test_a_batch_that_is_no_function_of_the_step_is_named(
    kind, text, monkeypatch
):
    recipe = recipes(text)["noise"]
    open_source = NoisySum.open

    def opened(*args):
        source = open_source(*args)
        source.__class__ = kind
        return source

    monkeypatch.setattr(NoisySum, "open", opened)
    message = r"batch of NoisySum.* function of \(seed, step\) alone"
    with pytest.raises(InvalidValue, match=message):
        run(recipe, None)


def test_what_is_no_task_is_refused():
    with pytest.raises(
        InvalidValue, match=r"Recipe\.task to be a task such as"
    ):
        Recipe(task=keras.losses.MeanSquaredError())


def test_a_network_of_tokens_wants_tokens():
    recipe = Recipe(model=TokenMlp(), task=NoisySum())
    with pytest.raises(InvalidValue, match=r"tokens.*inputs of float32 \(4,\)"):
        run(recipe, None)
