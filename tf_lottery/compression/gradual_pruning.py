"""Gradual pruning: one training in which weights go step by step.

    schedule = PolynomialSchedule(0.1, begin_step=500, end_step=5000)
    model.fit(x, y, epochs=10, callbacks=[GradualPruning(schedule)])

The other way to a network of few weights: nothing is rewound and nothing is
trained twice, and what comes out is no ticket, for it was never trained from
the start with the mask it has at the end.
"""

from typing import Any

import keras
from absl import logging

from tf_lottery.compression.prune_model import prune_model
from tf_lottery.compression.pruning_schedules import Schedule
from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.kernels import fixed_kernels
from tf_lottery.masking.model_state import load_state, read_state
from tf_lottery.rules import criteria, pruning
from tf_lottery.rules.forgetting import Forgetting
from tf_lottery.rules.tickets import Function


class GradualPruning(keras.callbacks.Callback):
    """Prunes a masked model while `fit` trains it.

    Steps are counted from the first one that this callback sees, so a second
    `fit` with the same callback goes on in its schedule. What was pruned stays
    pruned. `fit` returns the fraction of weights that remains as the series
    "remaining".

    Put it behind callbacks that set weights, such as `EarlyStopping` with
    `restore_best_weights`: masks are among those. At the end of `fit` the
    model is pruned to what the schedule says once more.

    Args:
        schedule: `ConstantSchedule`, `PolynomialSchedule`, or any function
            from a step to the fraction that is to remain, with `end_step`.
        criterion: Scores the present weights, high = keep; criteria that need
            data are for `prune_model`.
        scope: "layer", "global" or "channel", as for `prune_model`.
        seed: Breaks ties.

    Raises:
        InvalidValue: An argument is wrong; when `fit` begins, the model has no
            masks.

    References:
        Zhu & Gupta 2017, "To prune, or not to prune", section 3.
    """

    def __init__(
        self,
        schedule: Schedule,
        criterion: Function = criteria.large_final,
        scope: str = "layer",
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not callable(schedule) or not hasattr(schedule, "end_step"):
            raise InvalidValue(
                "expected a schedule such as PolynomialSchedule(0.1, "
                f"begin_step=0, end_step=1000), received {schedule!r}"
            )
        checks.one_of("scope", scope, pruning.SCOPES)
        Forgetting(criterion)
        self.schedule = schedule
        self.criterion = criterion
        self.scope = scope
        self.seed = seed
        self._pruned_to = 1.0
        self._first: int | None = None
        self._before_epoch = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Tries to prune, before hours go into a training."""
        model = self.model
        fixed_kernels(model)
        before = read_state(model)
        try:
            self._prune(self.schedule.end_step)
        finally:
            load_state(model, before)
        self._pruned_to = 1.0

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Asks the optimizer for its step, once.

        In each step that would wait for the device, and on JAX bring the
        model's whole state back from it.
        """
        self._before_epoch = self._now()

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Prunes if the schedule says so."""
        self._prune(self._before_epoch + batch)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Notes the fraction of weights that remains."""
        if logs is not None:
            logs["remaining"] = self._remaining()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Prunes if the schedule ends here, and warns if it ends later."""
        step = self._now()
        self._pruned_to = 1.0  # whatever another callback has put back
        self._prune(step)
        if step < self.schedule.end_step:
            logging.warning(
                "expected a training of at least %d steps, the end of the "
                "pruning schedule, received %d: %.4g of the weights remain",
                self.schedule.end_step,
                step,
                self._remaining(),
            )

    def _now(self) -> int:
        iterations = self.model.optimizer.iterations
        now = int(keras.ops.convert_to_numpy(iterations))
        if self._first is None:
            self._first = now
        return now - self._first

    def _prune(self, step: int) -> None:
        aim = self.schedule(step)
        if aim < self._pruned_to:
            prune_model(
                self.model,
                self.criterion,
                remaining=aim,
                scope=self.scope,
                seed=self.seed,
            )
            self._pruned_to = aim

    def _remaining(self) -> float:
        masks = {
            path: keras.ops.convert_to_numpy(kernel.mask.value)
            for path, kernel in fixed_kernels(self.model).items()
        }
        return pruning.remaining(masks)["all"]
