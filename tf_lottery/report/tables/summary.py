"""The summary: what a run's many numbers come to, a line a training.

>>> from tf_lottery.foundation.records import Record
>>> rows = [
...     Record(0, "init", 0, step, split, metric, value)
...     for step, loss, accuracy in [(0, 2.3, 0.1), (9, 0.2, 0.9), (20, 1, 0.8)]
...     for split in ("validation", "test")
...     for metric, value in [("loss", loss), ("accuracy", accuracy)]
... ]
>>> [line] = summarize(rows)
>>> line.stop_step, line.test_accuracy_at_stop, line.test_accuracy
(9, 0.9, 0.8)
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from tf_lottery.foundation.records import Record


class Line(NamedTuple):
    """What one training came to.

    Args:
        seed: The replicate.
        arm: The line of the figure or table.
        round: 0 is the first training.
        steps: How many training steps are done.
        remaining: Fraction of the prunable weights kept; with a random mask,
            the fraction that is expected to be. NaN if not known.
        stop_step: The step of the lowest validation loss, found after the
            fact; the first one of equals. Of a network that is pruned while it
            trains, only what it is in the end counts: steps at which it had
            more weights are left out.
        test_accuracy_at_stop: Test accuracy at `stop_step`, a fraction. NaN of
            a task that has none, as the other accuracies.
        test_accuracy: Test accuracy at the last evaluation with test examples:
            of a training under way, perhaps not the last one.
        validation_accuracy: Validation accuracy at the last evaluation.
        train_accuracy: Accuracy on the batches trained on, mean over the steps
            of the last period. NaN before.
        seconds: How long the training took. NaN while it is under way.
    """

    seed: int
    arm: str
    round: int
    steps: int
    remaining: float
    stop_step: int
    test_accuracy_at_stop: float
    test_accuracy: float
    validation_accuracy: float
    train_accuracy: float
    seconds: float


def summarize(records: Iterable[Record]) -> list[Line]:
    """Returns a line for each training that was evaluated at least once.

    References:
        Frankle & Carbin 2019, appendix G.1: early stopping is the iteration
        of minimum validation loss, found after training to the end.
    """
    trainings: dict[tuple[int, str, int], dict] = defaultdict(
        lambda: defaultdict(dict)
    )
    for record in records:
        series = trainings[record.seed, record.arm, record.round]
        series[record.where, record.metric][record.step] = record.value
    return [
        _line(key, series)
        for key, series in trainings.items()
        if _evaluated(series)
    ]


def _evaluated(series: dict) -> bool:
    """Returns whether there are test examples; accuracies come last if any."""
    if ("test", "accuracy") in series:
        return True
    return ("test", "loss") in series and not any(
        metric == "accuracy" for _, metric in series
    )


def _line(key: tuple[int, str, int], series: dict) -> Line:
    seed, arm, round_ = key
    test = series["test", "accuracy"]
    # Without a validation set, there is no other loss to stop by.
    losses = series["validation", "loss"] or series["test", "loss"]
    first = _last_pruned(series["all", "remaining"])
    counted = [step for step in sorted(losses) if step >= first]
    stop = min(counted or losses, key=losses.__getitem__)
    return Line(
        seed=seed,
        arm=arm,
        round=round_,
        steps=max(losses),
        remaining=_last(series["all", "remaining"]),
        stop_step=stop,
        test_accuracy_at_stop=test.get(stop, math.nan),
        test_accuracy=_last(test),
        validation_accuracy=_last(series["validation", "accuracy"]),
        train_accuracy=_last(series["train", "accuracy"]),
        seconds=_last(series["train", "seconds"]),
    )


def _last_pruned(remaining: dict[int, float]) -> int:
    """Returns the step from which on no more weights remain than in the end.

    It is 0 if there was none before with more.
    """
    end = _last(remaining)
    more = [step for step, value in remaining.items() if value > end]
    if not more:
        return 0
    return min(step for step in remaining if step > max(more))


def _last(series: dict[int, float]) -> float:
    return series[max(series)] if series else math.nan
