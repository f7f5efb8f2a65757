import dataclasses
from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from tf_lottery.foundation.files import StorageError
from tf_lottery.foundation.store import Store
from tf_lottery.training import trainer as trainer_module
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.request import Training
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
            r"expected the recipe .*'steps': 3.* received .*'steps': 4",
        ),
        (
            lambda arrays, meta: arrays.update(gamma=np.ones(3)),
            r"expected the variables .*fc1/bias.* received .*gamma",
        ),
        (
            lambda arrays, meta: arrays.update({"fc1/bias": np.ones(3)}),
            r"fc1/bias': \(10,\).* received .*fc1/bias': \(3,\)",
        ),
    ],
)
def test_a_store_of_another_version_is_named(
    trainer, ticket, change, message, tmp_path
):
    trainer.train(Training(RECIPE, ticket, 0))
    key = trainer.key(Training(RECIPE, ticket, 0))
    arrays, meta = trainer.store.find(key)
    change(arrays, meta)
    trainer.store = Store(tmp_path / "other")
    trainer.store.get(key, lambda checkpoint: (arrays, meta))
    with pytest.raises(StorageError, match=message) as error:
        trainer.train(Training(RECIPE, ticket, 0))
    assert "--workdir" in str(error.value)
    assert trainer.store.find(key)  # nothing is lost
