"""Profiling: what TensorFlow does in a short stretch of a training.

A trace lists every operation that ran, with its beginning and its end. That of
a whole training would have many millions of lines and show the same thing over
and over. So a `Profile` traces once, from the third report of a training to the
fourth:

    report, call of a step (compiles), report, call of a step (is timed),
    report, call, evaluation if due, report
           `------- traced -------`

It watches reports only, and what is trained stays the same. A peer trains in
a process of its own, which is not traced.
"""

import pathlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from tf_lottery.training.history import Status


@dataclass
class Profile:
    """A trace of the first training that is long enough for one.

    Args:
        folder: Where it goes, as TensorBoard's profile plugin reads it.
    """

    folder: pathlib.Path
    _trained: bool = False
    _running: bool = False
    _traced: bool = False

    def watching(
        self, report: Callable[[Status], None] | None
    ) -> Callable[[Status], None]:
        """Returns a report of one training that watches it, too.

        Args:
            report: Is told whatever the returned one is told.
        """
        reports = 0

        def watch(now: Status) -> None:
            nonlocal reports
            # The report itself is not part of what is traced.
            if self._running:
                tf.profiler.experimental.stop()
                self._running = False
            if report:
                report(now)
            reports += 1
            self._trained = True
            if reports == 3 and now.step < now.steps and not self._traced:
                tf.profiler.experimental.start(str(self.folder))
                self._running = self._traced = True

        return watch

    def outcome(self) -> str:
        """Returns in one line where the trace is, or why there is none."""
        if self._traced:
            return (
                f"Profile: tensorboard --logdir={shlex.quote(str(self.folder))}"
                " (with pip install tensorboard tensorboard-plugin-profile)"
            )
        if self._trained:
            return (
                "No profile: expected a training of three steps, for the "
                "first two, which compile and are timed, are not traced; "
                "received none"
            )
        return "No profile: nothing was trained in this process"
