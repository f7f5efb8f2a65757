"""Search: winning tickets of any model, around the user's own training.

    ticket, history, summary = find_ticket(model, fit=train, rounds=5)

`train` is whatever trains the model, such as `lambda model: model.fit(...)`.
Round 0 is the model as it is, dense if it is new. Each round after it
prunes what the one before has trained, puts everything else back where round
0 started (weights, biases, normalisation, optimizer, random state) and trains
again: the loop of Frankle & Carbin 2019, section 1, in your model.

To rewind to an early step of training instead of the initial weights (Frankle
et al. 2020), train the model for that many steps before you call this.
"""

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
from absl import logging
from rich.console import Console

from tf_lottery.foundation import checks, seeds
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.conversion import mask_model, strip_masks
from tf_lottery.masking.kernels import (
    channel_axes,
    expect_model,
    fixed_kernels,
    masked_kernels,
    places_of,
)
from tf_lottery.masking.model_state import (
    effective_weights,
    extras,
    load_state,
    read_state,
    read_ticket,
    variable_scope,
)
from tf_lottery.rules import pruning
from tf_lottery.rules.forgetting import Forgetting, Known, forget
from tf_lottery.rules.tickets import Arrays, Ticket

History = dict[str, list[float]]


class Round(NamedTuple):
    """What is known of one round.

    Args:
        round: 0 is the model before anything is pruned here.
        remaining: Fraction of the prunable weights kept, in (0, 1].
        weights: How many those are.
        metrics: The last value of each series of the round's history.
        seconds: That its training took.
        ticket: That its training started from.
    """

    round: int
    remaining: float
    weights: int
    metrics: Mapping[str, float]
    seconds: float
    ticket: Ticket


class Found(NamedTuple):
    """What a search gives.

    Args:
        ticket: That of the last round.
        history: What `fit` returned, round by round.
        summary: A line a round, with its ticket.
    """

    ticket: Ticket
    history: list[History]
    summary: list[Round]


class TrainingFailed(ArithmeticError):
    """A training ended with weights that are not finite.

    Args:
        message: What was expected and what came.
        summary: The rounds before it.
    """

    def __init__(self, message: str, summary: list[Round]) -> None:
        super().__init__(message)
        self.summary = summary


class SearchStopped(KeyboardInterrupt):
    """Ctrl-C stopped a search; `summary` has the rounds before."""

    def __init__(self, summary: list[Round]) -> None:
        super().__init__(f"stopped in round {len(summary)}, see `summary`")
        self.summary = summary


def find_ticket(
    model: keras.Model,
    fit: Callable[[keras.Model], Any],
    rule: Forgetting | None = None,
    rounds: int = 5,
    *,
    scope: str = "layer",
    seed: int = 0,
    on_round: Callable[[Round], None] | None = None,
    verbose: bool = True,
) -> Found:
    """Returns a winning ticket of a model, the history, and a summary.

    Afterwards the model is masked, and is what the last round trained.

    Args:
        model: A built Keras model, masked by `mask_model` with the rates that
            are wanted, or else masked here with 0.2 for every kernel.
        fit: Trains the model it is given; called once a round. It may return
            what `model.fit` does, or a dict of numbers or lists of them. What
            it has that the model does not know of must be made anew by it: an
            optimizer of its own, callbacks, a `tf.function`, the order of the
            data. So must the model's optimizer, unless the model was compiled
            before the search.
        rule: Which weights are kept, and what becomes of them; None keeps the
            largest and rewinds them.
        rounds: How many after round 0.
        scope: "layer", "global" or "channel", as for `pruning.prune`; the last
            leaves kernels without channels of their own as they are, and
            those that make the outputs.
        seed: Of ties and of what the rule draws.
        on_round: Called after each round, to keep its ticket in a file, say.
        verbose: Print a line a round.

    Returns:
        The ticket of the last round, a dict of series for each round, and a
        `Round` for each, with its fraction of weights, metrics, seconds, and
        ticket.

    Raises:
        InvalidValue: The model, the rule, `rounds` or `scope` is wrong, or
            the masks are learned.
        TrainingFailed: A training gave weights that are not finite; it has
            the rounds before it.
        SearchStopped: Ctrl-C came while `fit` ran; it has them, too.
    """
    checks.positive_int("rounds", rounds)
    checks.one_of("scope", scope, pruning.SCOPES)
    if not callable(fit):
        raise InvalidValue(
            "expected fit to be a function that trains the model it is given, "
            f"received {fit!r}"
        )
    rule = rule or Forgetting()
    checks.instance("rule", rule, Forgetting)
    expect_model(model)
    plain = not masked_kernels(model)
    if plain:
        mask_model(model, verbose=verbose)
    try:
        start, others = read_ticket(model), _Extras(model)
        axes = channel_axes(model)
        rates: dict[str, float | None] = {
            path: kernel.mask.rate
            if scope != "channel" or axes[path] is not None
            else None
            for path, kernel in fixed_kernels(model).items()
        }
        _try(rule, start, rates, _known(start, model, 0, 0), scope, axes)
    except Exception:
        if plain:
            strip_masks(model)
        raise
    ticket = start
    history: list[History] = []
    summary: list[Round] = []
    for number in range(rounds + 1):
        if number:
            ticket = forget(
                ticket,
                effective_weights(model),
                rule,
                rates,
                _known(start, model, seed, number),
                scope,
                axes,
            )
            load_state(model, ticket.arrays())
            others.restore()
        before = _raw_kernels(model)
        began = time.monotonic()
        try:
            history.append(_history(fit(model)))
        except KeyboardInterrupt as stop:
            raise SearchStopped(summary) from stop
        seconds = time.monotonic() - began
        _watch_masked_training(model, ticket, before, number)
        _expect_finite(model, number, summary)
        summary.append(_round(number, ticket, history[-1], seconds))
        if verbose:
            _print(summary[-1])
        if on_round:
            on_round(summary[-1])
    return Found(ticket, history, summary)


class _Extras:
    """What a training changes beside a model's weights, as it was."""

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._optimizer = getattr(model, "optimizer", None)
        if self._optimizer and not self._optimizer.built:
            with variable_scope(model):
                self._optimizer.build(model.trainable_variables)
        self._first = [
            (variable, keras.ops.convert_to_numpy(variable))
            for variable in extras(model, self._optimizer)
        ]

    def restore(self) -> None:
        """Puts it back."""
        for variable, value in self._first:
            variable.assign(value)
        if getattr(self._model, "optimizer", None) is not self._optimizer:
            # One that came with round 0, and it is not known how it began: a
            # `fit` that does not compile anew is to fail, not to go on with it.
            self._model.optimizer = self._optimizer
            self._model.compiled = False
            self._model.train_function = None


def _known(start: Ticket, model: keras.Model, seed: int, number: int) -> Known:
    places = places_of(start.weights)

    def generator(what: str, path: str) -> np.random.Generator:
        return seeds.generator(seed, what, number, places[path])

    fresh = functools.cache(lambda: _fresh(model, seed, number))
    return Known(start.weights, fresh, generator, derivatives={})


def _fresh(model: keras.Model, seed: int, number: int) -> Arrays:
    """Returns another draw of each kernel from its layer's initialiser."""
    drawn = {}
    kernels = masked_kernels(model)
    for place, (path, (layer, variable, _)) in enumerate(kernels.items()):
        name = variable.name
        initializer = getattr(layer, f"{name}_initializer", None) or getattr(
            layer, f"{name.removesuffix('_kernel')}_initializer", None
        )
        if initializer is None:
            raise InvalidValue(
                f"expected {path} to have an initialiser for new weights, "
                f"received {type(layer).__name__}, which has no "
                f"{name}_initializer"
            )
        config = initializer.get_config()
        if "seed" in config:
            config["seed"] = seeds.integer(seed, "fresh", number, place)
        again = type(initializer).from_config(config)
        drawn[path] = keras.ops.convert_to_numpy(
            again(tuple(variable.shape), dtype=variable.dtype)
        )
    return drawn


def _try(
    rule: Forgetting,
    start: Ticket,
    rates: pruning.Rates,
    known: Known,
    scope: str,
    axes: Mapping[str, int | None],
) -> None:
    """Forgets once, before hours go into a training that it cannot follow."""
    invented = {
        path: seeds.generator(0, "rehearsal", path)
        .normal(0, float(w.std()) or 1, w.shape)
        .astype(w.dtype)
        for path, w in start.weights.items()
    }
    forget(start, invented, rule, rates, known, scope, axes)


def _history(returned: Any) -> History:
    """Returns the series of numbers in what `fit` returned, and no others."""
    found = getattr(returned, "history", returned)
    if not isinstance(found, Mapping):
        return {}
    series = {}
    for name, values in found.items():
        array = np.atleast_1d(np.asarray(values, dtype=object))
        try:
            series[str(name)] = [float(value) for value in array.tolist()]
        except (TypeError, ValueError):  # texts, numbers by class
            continue
    return series


def _expect_finite(
    model: keras.Model, number: int, summary: list[Round]
) -> None:
    for path, array in read_state(model).items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise TrainingFailed(
                f"expected finite numbers in {path} after the training of "
                f"round {number}, received {_first_bad(array)}. A lower "
                "learning rate may help; the rounds before are in `summary` of "
                "this exception",
                summary,
            )


def _raw_kernels(model: keras.Model) -> dict[str, np.ndarray]:
    return {
        path: keras.ops.convert_to_numpy(kernel.variable)
        for path, kernel in masked_kernels(model).items()
    }


def _watch_masked_training(
    model: keras.Model, ticket: Ticket, before: Arrays, number: int
) -> None:
    """Warns if a training seems not to go through the model and its masks."""
    after = _raw_kernels(model)
    if all(np.array_equal(after[path], before[path]) for path in after):
        logging.warning(
            "expected fit to train the model that it is given, and it changed "
            "no kernel in round %d",
            number,
        )
    for path, mask in ticket.masks.items():
        gone = ~mask.astype(bool)
        # A zero below a mask has no gradient, no decay and no momentum.
        if after[path][gone & (before[path] == 0)].any():
            logging.warning(
                "expected pruned weights of %s to get no gradient in round %d, "
                "and fit moved them. A tf.function that was traced before the "
                "model was masked does not see its masks, and an optimizer "
                "that the model does not know of keeps its momentum: make both "
                "within fit. An optimizer that looks at a whole kernel (Muon) "
                "does so, too, and there it does no harm",
                path,
                number,
            )
            break


def _first_bad(array: np.ndarray) -> float:
    return float(array[~np.isfinite(array)][0])


def _round(
    number: int, ticket: Ticket, history: History, seconds: float
) -> Round:
    masks = ticket.masks
    return Round(
        round=number,
        remaining=pruning.remaining(masks)["all"],
        weights=sum(int(mask.sum()) for mask in masks.values()),
        metrics={name: s[-1] for name, s in history.items() if s},
        seconds=seconds,
        ticket=ticket,
    )


def _print(row: Round) -> None:
    metrics = "".join(f", {n} {v:.4g}" for n, v in row.metrics.items())
    Console(highlight=False).print(
        f"Round {row.round}: {100 * row.remaining:.2f} % of the weights"
        f"{metrics}; {row.seconds:.1f} s",
        soft_wrap=True,
    )
