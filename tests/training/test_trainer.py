import dataclasses
import re
from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from tf_lottery.foundation.store import Store
from tf_lottery.training import devices
from tf_lottery.training import steps as steps_module
from tf_lottery.training import trainer as trainer_module
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.request import Training
from tf_lottery.training.train import train
from tf_lottery.training.trainer import Trainer
from tf_lottery.workloads.classification import ImageClassification
from tf_lottery.workloads.images.image_sets import Images
from tf_lottery.workloads.models.lenet import LeNet

RECIPE = Recipe(
    model=LeNet((10,)),
    task=ImageClassification(Images("mnist_5k")),
    steps=3,
    eval_every=3,
    batch_size=20,
)


@pytest.fixture
def trainer(tmp_path, source):
    """One that finds the digits without opening them again."""
    store = Store(tmp_path / "store")
    strategy = tf.distribute.get_strategy()
    return Trainer(store, strategy, _sources={RECIPE.task: source})


@pytest.fixture
def ticket(trainer):
    return trainer.new_ticket(RECIPE, 0)


def test_the_store_keeps_what_changed_and_gives_everything(
    trainer, ticket, monkeypatch
):
    first = trainer.train(Training(RECIPE, ticket, 0))
    key = trainer.key(Training(RECIPE, ticket, 0))
    arrays, _ = trainer.store.find(key)
    assert arrays.keys() == {
        *("fc1/kernel", "fc1/bias", "output/kernel", "output/bias"),
    }

    def refuse(*args, **kwargs):
        raise AssertionError("this must not be trained again")

    monkeypatch.setattr(trainer_module, "train", refuse)
    for again in (
        trainer.train(Training(RECIPE, ticket, 0)),
        trainer.find(Training(RECIPE, ticket, 0)),
    ):
        assert again.history == first.history
        assert again.state.keys() == ticket.arrays().keys()
        for path, array in again.state.items():
            assert np.array_equal(array, first.state[path])


def test_decoded_images_are_kept_in_the_folder_that_is_named(
    trainer, tmp_path, data_dir, source
):
    trainer = Trainer(
        trainer.store, trainer.strategy, data_dir, tmp_path / "store"
    )
    found = trainer.source(RECIPE.task)
    assert found.fingerprint == source.fingerprint
    assert len(list((tmp_path / "store").glob("images-*.npz"))) == 1


def test_tickets_that_train_alike_are_one_training(trainer, ticket):
    path = "fc1/kernel"
    mask = np.arange(7840).reshape(784, 10) % 2 == 0
    masks = {**ticket.masks, path: mask}
    one = ticket.pruned(ticket.weights, masks, ticket.frozen)
    other = one.with_weights(
        lambda w: np.where(mask, w, 9) if w.size > 100 else w
    )
    keys = {trainer.key(Training(RECIPE, t, 0)) for t in (one, other)}
    assert len(keys) == 1
    frozen = {**ticket.frozen, path: np.where(mask, 0, 1).astype(np.float32)}
    third = ticket.pruned(ticket.weights, masks, frozen)
    for t, seed in ((ticket, 0), (third, 0), (one, 1)):
        assert trainer.key(Training(RECIPE, t, seed)) not in keys


def test_one_compilation_serves_all_tickets(trainer, ticket, monkeypatch):
    made = []
    programs = trainer_module.Programs

    def count(*args):
        made.append(args[0].steps)
        return programs(*args)

    monkeypatch.setattr(trainer_module, "Programs", count)
    for sign in (1, -1):
        trainer.train(
            Training(RECIPE, ticket.with_weights(partial(np.multiply, sign)), 0)
        )
    trainer.evaluate(Training(RECIPE, ticket, 0))
    assert made == [3]
    for steps in (1, 2, 3):
        other = dataclasses.replace(RECIPE, steps=steps)
        trainer.evaluate(Training(other, ticket, 0))
    assert made == [3, 1, 2, 3]  # two are kept


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda arrays, meta: meta["recipe"].update(steps=4),
            "expected steps 3, received 4",
        ),
        (
            lambda arrays, meta: meta.update(seed=1),
            "expected seed 0, received 1",
        ),
        (
            lambda arrays, meta: arrays.update(gamma=np.ones(3)),
            r"expected gamma None, received \(\(3,\), '<f8'\)",
        ),
        (
            lambda arrays, meta: arrays.update(
                {"fc1/bias": np.ones(3, np.float32)}
            ),
            r"expected fc1/bias \(\(10,\), '<f4'\), received \(\(3,\), ",
        ),
    ],
)
def test_what_another_version_meant_by_a_key_is_trained_again(
    trainer, ticket, change, message, tmp_path, caplog
):
    first = trainer.train(Training(RECIPE, ticket, 0))
    key = trainer.key(Training(RECIPE, ticket, 0))
    arrays, meta = trainer.store.find(key)
    change(arrays, meta)
    trainer.store = Store(tmp_path / "other")
    trainer.store.get(key, lambda checkpoint: (arrays, meta))
    assert trainer.find(Training(RECIPE, ticket, 0)) is None
    again = trainer.train(Training(RECIPE, ticket, 0))
    assert again.history == first.history
    [line] = said(caplog)
    assert re.search(f"result is set aside as damaged-.*: {message}", line)
    asides = list((tmp_path / "other").glob("*/damaged-*"))
    assert len(asides) == 2, "nothing is lost"


def test_rounds_that_were_exchanged_are_trained_again(
    trainer, ticket, tmp_path, caplog
):
    """Two of one recipe and seed, from other tickets."""
    trainings = [
        Training(RECIPE, ticket.with_weights(partial(np.multiply, sign)), 0)
        for sign in (1, -1)
    ]
    histories = [trainer.train(training).history for training in trainings]
    one, other = (
        tmp_path / "store" / trainer.key(training) for training in trainings
    )
    one.rename(tmp_path / "aside")
    other.rename(one)
    (tmp_path / "aside").rename(other)
    again = [trainer.train(training).history for training in trainings]
    assert again == histories
    assert len(said(caplog)) == 2
    for line, own, wrong in zip(
        said(caplog), (one, other), (other, one), strict=True
    ):
        assert own.name[:20] in line and wrong.name[:20] in line
        assert "expected a record of key" in line


def test_a_checkpoint_of_a_longer_recipe_or_another_network_is_none(
    trainer, ticket, monkeypatch, caplog
):
    training = Training(RECIPE, ticket, 0)
    longer = dataclasses.replace(RECIPE, steps=30, eval_every=30)
    wider = dataclasses.replace(RECIPE, model=LeNet((20,)))
    whole = train(training, trainer.source(RECIPE.task))
    for recipe, message in (
        (longer, r"expected a step up to 3, received \d"),
        (wider, r"expected fc1/kernel of shape \(784, 10\), received .*20"),
    ):
        caplog.clear()
        start = trainer.new_ticket(recipe, 0)
        saved = memory_of(trainer, Training(recipe, start, 0), monkeypatch)

        def interrupted(checkpoint, saved=saved):
            checkpoint.computed = computed_of(trainer, training)
            checkpoint.save(*saved)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            trainer.store.get(trainer.key(training), interrupted)
        assert trainer.train(training).history == whole.history
        [line] = said(caplog)
        assert re.search(f"checkpoint-.* is set aside .*: {message}", line)
        for path in trainer.store._folder.glob("*/result.*"):
            path.unlink()


def said(caplog):
    """What this package said; TensorFlow may have a word on compilation."""
    return [r.getMessage() for r in caplog.records if r.name == "absl"]


def memory_of(trainer, training, monkeypatch):
    """The last checkpoint of a training, as the store is given it."""
    saved = []

    class Memory:
        def load(self, fault):
            return None

        def due(self):
            return True

        def save(self, *entry):
            saved.append(entry)

    with monkeypatch.context() as patch:
        patch.setattr(steps_module, "STEPS_PER_CALL", 2)
        train(training, trainer.source(RECIPE.task), checkpoint=Memory())
    return saved[min(len(saved) - 1, 2)]


def computed_of(trainer, training):
    return devices.decisive(trainer._computed(training))


def test_a_training_that_other_threads_began_begins_again(
    trainer, ticket, monkeypatch, caplog
):
    training = Training(RECIPE, ticket, 0)
    saved = memory_of(trainer, training, monkeypatch)
    now = computed_of(trainer, training)

    def interrupted(checkpoint):
        checkpoint.computed = {**now, "threads": 99}
        checkpoint.save(*saved)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.store.get(trainer.key(training), interrupted)
    steps_seen = []
    trainer.train(training, lambda status: steps_seen.append(status.step))
    assert steps_seen[0] == 0
    [line] = said(caplog)
    assert "made with threads=99 and this process has threads=" in line


def test_as_many_threads_as_cores_are_that_many():
    before = {"threads": 0, "cores": 2, "xla": True}
    same = devices.decisive({**before, "threads": 2, "cores": 8})
    assert devices.decisive(before) == same
    assert devices.decisive({**before, "cores": 4}) != same
