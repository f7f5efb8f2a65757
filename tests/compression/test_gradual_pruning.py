import keras
import numpy as np
import pytest
from absl import logging as absl_logging
from keras import layers

from tf_lottery.compression.gradual_pruning import GradualPruning
from tf_lottery.compression.pruning_schedules import (
    ConstantSchedule,
    PolynomialSchedule,
)
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.conversion import mask_model, strip_masks
from tf_lottery.masking.kernels import masked_kernels
from tf_lottery.masking.masks import BernoulliMask
from tf_lottery.masking.model_state import effective_weights
from tf_lottery.rules import criteria, n_of_m, sensitivity

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 10)).astype("float32")
Y = X[:, :1] * X[:, 1:2]


def make_model(**kwargs):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((10,)), layers.Dense(20, "relu"), layers.Dense(1)]
    )
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mse", **kwargs)
    return mask_model(model, verbose=False)


def masks(model):
    kernels = masked_kernels(model).values()
    return [keras.ops.convert_to_numpy(k.mask.value) for k in kernels]


class Watch(keras.callbacks.Callback):
    """Notes how many weights there are after each step."""

    def on_train_begin(self, logs=None):
        self.counts, self.masks = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.masks.append(masks(self.model))
        self.counts.append(sum(int(m.sum()) for m in self.masks[-1]))


def fit(model, *callbacks, **kwargs):
    # Ten steps an epoch.
    return model.fit(
        X,
        Y,
        batch_size=8,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
        **kwargs,
    )


def test_the_polynomial_is_that_of_zhu_and_gupta():
    schedule = PolynomialSchedule(0.2, 10, 50, every=1)
    for step in range(60):
        progress = min(max(step - 10, 0) / 40, 1)
        expected = 1 - (0.8 - 0.8 * (1 - progress) ** 3)
        assert schedule(step) == pytest.approx(expected)
    line = PolynomialSchedule(0.5, 0, 10, initial=0.9, power=1, every=5)
    assert [line(s) for s in (0, 4, 5, 9, 10)] == [0.9, 0.9, 0.7, 0.7, 0.5]


def test_weights_go_step_by_step_and_do_not_come_back():
    model, watch = make_model(), Watch()
    schedule = PolynomialSchedule(0.25, begin_step=4, end_step=16, every=4)
    history = fit(model, GradualPruning(schedule), watch, epochs=3).history
    # Of 200 and 20 weights, floor((1 - remaining) * n) are gone.
    gone = [0, 1 - schedule(8), 1 - schedule(12), 0.75]
    counts = [220 - int(200 * g + 1e-6) - int(20 * g + 1e-6) for g in gone]
    assert watch.counts == (
        [counts[0]] * 8 + [counts[1]] * 4 + [counts[2]] * 4 + [counts[3]] * 14
    )
    for before, after in zip(watch.masks, watch.masks[1:], strict=False):
        for one, other in zip(before, after, strict=True):
            assert not (other & ~one).any()
    assert history["remaining"] == [n / 220 for n in (counts[1], *[55] * 2)]


def test_the_smallest_weights_go():
    model = make_model()
    before = effective_weights(model)
    fit(model, GradualPruning(ConstantSchedule(0.5)), epochs=1)
    for mask, w in zip(masks(model), before.values(), strict=True):
        kept = np.abs(w)[mask]
        assert kept.min() >= np.abs(w)[~mask].max()


def test_pruned_weights_stay_at_zero_and_others_are_trained():
    model = make_model()
    callback = GradualPruning(ConstantSchedule(0.5, begin_step=5))
    fit(model, callback, epochs=1)
    at = effective_weights(model)
    fit(model, epochs=1)
    for mask, (path, w) in zip(
        masks(model), effective_weights(model).items(), strict=True
    ):
        assert not w[~mask].any()
        assert (w != at[path])[mask].any()
    strip_masks(model)
    kernels = [layer.kernel for layer in model.layers]
    zeros = sum((keras.ops.convert_to_numpy(k) == 0).sum() for k in kernels)
    assert zeros == 110


def test_a_second_fit_goes_on_where_the_schedule_was():
    schedule = PolynomialSchedule(0.25, 0, 20, every=5)
    whole, parts = Watch(), [Watch(), Watch()]
    fit(make_model(), GradualPruning(schedule), whole, epochs=2)
    model, callback = make_model(), GradualPruning(schedule)
    fit(model, epochs=1)  # the steps of another training do not count
    for watch in parts:
        fit(model, callback, watch, epochs=1)
    assert whole.counts == parts[0].counts + parts[1].counts


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras has it elsewhere only"
)
def test_several_steps_in_one_call():
    model = make_model(steps_per_execution=5)
    schedule = PolynomialSchedule(0.25, 0, 18, every=3)
    fit(model, GradualPruning(schedule), epochs=2)
    assert [int(m.sum()) for m in masks(model)] == [50, 5]


def test_steps_of_calls_and_epochs_are_counted_as_the_optimizer_does():
    model = make_model(
        steps_per_execution=1 if keras.backend.backend() == "torch" else 4
    )
    seen = []

    def schedule(step):
        # Through the callback: JAX has the state elsewhere meanwhile.
        optimizer = callback.model.optimizer
        iterations = keras.ops.convert_to_numpy(optimizer.iterations)
        seen.append((step, int(iterations)))
        return 1.0

    schedule.end_step = 0
    callback = GradualPruning(schedule)
    fit(model, callback, epochs=2)
    fit(model, callback, epochs=1)
    counted = [pair for pair in seen if pair[0]]
    assert len({step for step, _ in counted}) >= 8
    assert all(step == iterations for step, iterations in counted), counted


def test_a_schedule_that_ends_with_the_training_is_done():
    model = make_model()
    schedule = PolynomialSchedule(0.25, 0, 10, every=3)
    fit(model, GradualPruning(schedule), epochs=1)
    assert [int(m.sum()) for m in masks(model)] == [50, 5]


def test_a_training_that_is_too_short_is_told(monkeypatch):
    told = []
    monkeypatch.setattr(
        absl_logging, "warning", lambda text, *a: told.append(text % a)
    )
    schedule = PolynomialSchedule(0.25, 0, 100, every=10)
    fit(make_model(), GradualPruning(schedule), epochs=1)
    [text] = told
    assert text.startswith("expected a training of at least 100 steps")
    assert "received 10: 0.8 of" in text


def test_other_criteria_and_scopes():
    model = make_model()
    callback = GradualPruning(
        ConstantSchedule(0.5), criteria.small_final, "global"
    )
    fit(model, callback, epochs=1)
    assert sum(int(m.sum()) for m in masks(model)) == 110


def test_early_stopping_does_not_bring_weights_back():
    model = make_model()
    stop = keras.callbacks.EarlyStopping(
        monitor="loss", mode="max", patience=2, restore_best_weights=True
    )
    schedule = PolynomialSchedule(0.25, 0, 30, every=5)
    # The loss falls: the best epoch by its maximum is the first.
    fit(model, stop, GradualPruning(schedule), epochs=3)
    assert [int(m.sum()) for m in masks(model)] == [50, 5]


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        (sensitivity.snip, "expected x and y"),
        (n_of_m.n_of_m(2, 4), "expected no `remaining`"),
        (lambda w_final: w_final[:1], "to return shape"),
    ],
)
def test_a_criterion_that_will_not_do_is_refused_before_training(
    criterion, message
):
    model, watch = make_model(), Watch()
    callback = GradualPruning(ConstantSchedule(0.5, begin_step=8), criterion)
    with pytest.raises(InvalidValue, match=message):
        fit(model, watch, callback)
    assert watch.counts == []
    assert all(m.all() for m in masks(model))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConstantSchedule(0.0), r"remaining to be in \(0, 1\]"),
        (lambda: ConstantSchedule("half"), "remaining to be a finite number"),
        (lambda: ConstantSchedule(0.5, -1), "begin_step to be a whole number"),
        (lambda: PolynomialSchedule(0.5, 10, 10), "end_step after begin_step"),
        (lambda: PolynomialSchedule(0.5, 0, 9, 0.4), "do not come back"),
        (lambda: PolynomialSchedule(0.5, 0, 9, power=0), "power to be above"),
        (lambda: PolynomialSchedule(0.5, 0, 9, every=0), "every to be a whole"),
        (lambda: GradualPruning(0.5), "expected a schedule such as"),
        (
            lambda: GradualPruning(ConstantSchedule(0.5), scope="all"),
            "scope to be one of",
        ),
        (
            lambda: GradualPruning(ConstantSchedule(0.5), criterion="large"),
            "criterion to be a function",
        ),
    ],
)
def test_wrong_arguments_are_refused(make, message):
    with pytest.raises(InvalidValue, match=message):
        make()


def test_a_model_without_fixed_masks_is_refused():
    callback = GradualPruning(ConstantSchedule(0.5))
    with pytest.raises(InvalidValue, match="with masked layers"):
        fit(strip_masks(make_model()), callback)
    model = strip_masks(make_model())
    mask_model(model, kernel_mask=BernoulliMask, verbose=False)
    model.compile("sgd", "mse")
    with pytest.raises(InvalidValue, match="fixed masks"):
        fit(model, callback)
