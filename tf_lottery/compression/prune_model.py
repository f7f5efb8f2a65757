"""One shot: a masked model is pruned where it stands, by any criterion.

    prune_model(model, remaining=0.1)                        the largest weights
    prune_model(model, n_of_m.n_of_m(2, 4))                       2 of every 4
    prune_model(model, sensitivity.snip, remaining=0.1, x=x, y=y)
    prune_model(model, sensitivity.synflow, remaining=0.1, scope="global",
                rounds=100)

Nothing is trained: that is for `fit`, before it or after it. (Tickets, which
take a training between two rounds, are `tf_lottery.compression.find_ticket`.)

>>> import keras
>>> from tf_lottery import mask_model
>>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5)])
>>> _ = mask_model(model, verbose=False)
>>> prune_model(model, remaining=0.25)["all"]
0.25
>>> int((model.layers[0].kernel.numpy() != 0).sum())
5
"""

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_lottery.compression import saliency
from tf_lottery.compression.saliency import Loss
from tf_lottery.foundation import checks, seeds
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.kernels import channel_axes, fixed_kernels, places_of
from tf_lottery.masking.layers import MaskedKernel
from tf_lottery.masking.model_state import read_ticket
from tf_lottery.rules import criteria, pruning
from tf_lottery.rules.forgetting import DERIVATIVES, Forgetting, Known, forget
from tf_lottery.rules.tickets import Arrays, Function, Ticket

Axes = Mapping[str, int | None]
Remaining = float | Mapping[str, float] | None

ALL = "all"
NEED_DATA = {name for name, of in DERIVATIVES.items() if of.of_batch}


def prune_model(
    model: Any,
    criterion: Function = criteria.large_final,
    *,
    remaining: Remaining = None,
    scope: str = "layer",
    x: Any = None,
    y: Any = None,
    loss: Loss | None = None,
    rounds: int = 1,
    seed: int = 0,
) -> dict[str, float]:
    """Prunes a model by its present weights, and returns what remains.

    Pruned weights are held at zero, also below their mask, where penalties on
    weights see them; those that were pruned before stay as they are. Counts
    are exact: of n weights, `n - floor((1 - remaining) * n + 1e-6)` are kept,
    unless fewer were left before.

    Args:
        model: A built Keras model with fixed masks; `tf_lottery.mask_model`
            gives them to any.
        criterion: Scores the weights, see `tf_lottery.criteria`. Its `w_init`
            and `w_final` are both the model's present kernels. If it returns
            booleans, as `n_of_m.n_of_m(2, 4)` does, there is no `remaining`.
        remaining: Fraction kept, in (0, 1], of all weights there are: of each
            layer, for the scope "global" of all layers together; or fractions
            by path, as `tf_lottery.budgets` gives them, which leave other
            layers as they are. None removes of the survivors what each mask's
            `rate` says.
        scope: "layer" or "global"; or "channel", which keeps that fraction of
            a layer's output channels, and leaves kernels without channels of
            their own (depthwise ones) as they are, and those that make the
            model's outputs.
        x: Inputs of one batch, for criteria of the loss; see `saliency`.
        y: Its labels.
        loss: As for `saliency.gradient`.
        rounds: In how many steps, each of which scores anew what the one
            before it has left. What remains falls exponentially.
        seed: Breaks ties.

    Returns:
        The fraction kept by path, and of "all" together.

    Raises:
        InvalidValue: The model has no fixed masks, an argument is wrong or
            does not go with the others, or `x`, `y` or a loss is missing. The
            masks are then as they were.

    References:
        Lee et al. 2019 (SNIP) and Wang et al. 2020 (GraSP) prune globally, in
        one round, before training; so do Tanaka et al. 2020 (SynFlow), section
        5, in 100 rounds.
    """
    checks.positive_int("rounds", rounds)
    checks.one_of("scope", scope, pruning.SCOPES)
    kernels = fixed_kernels(model)
    rule = Forgetting(criterion)
    _expect_data(criterion, x, y)
    axes = channel_axes(model) if scope == "channel" else {}
    start = ticket = read_ticket(model)
    before = _groups(start.masks, scope, axes)
    goals = _goals(kernels, before, remaining, scope)
    try:
        for number in range(1, rounds + 1):
            now = _groups(ticket.masks, scope, axes)
            rates: dict[str, float | None] = dict.fromkeys(kernels)
            for name, goal in goals.items():
                aim = _scheduled(before[name].left, goal, number / rounds)
                left = now[name].left
                rate = max(0, left - aim) / max(1, left)
                rates.update(dict.fromkeys(now[name].paths, rate))
            known = _known(model, ticket, x, y, loss, seed, number)
            ticket = forget(
                ticket, ticket.weights, rule, rates, known, scope, axes
            )
            _assign(kernels, ticket)
        if remaining is not None:
            _expect_goals(goals, before, _groups(ticket.masks, scope, axes))
    except BaseException:
        _assign(kernels, start)
        raise
    for kernel in kernels.values():
        kernel.variable.assign(kernel.effective)
    return pruning.remaining(ticket.masks)


class _Group(NamedTuple):
    """What is pruned together: a layer, all weights, a layer's channels.

    Args:
        paths: Of its kernels.
        left: How many weights or channels are not pruned.
        total: Of how many.
    """

    paths: list[str]
    left: int
    total: int


def _groups(masks: Arrays, scope: str, axes: Axes) -> dict[str, _Group]:
    """Returns the groups by path, or by "all" for the global scope."""
    groups = {}
    for path, mask in masks.items():
        if scope == "channel":
            axis = axes[path]
            if axis is None:
                continue
            rows = np.moveaxis(mask, axis, 0).reshape(mask.shape[axis], -1)
            left, total = rows.any(axis=1).sum(), len(rows)
        else:
            left, total = mask.sum(), mask.size
        groups[path] = _Group([path], int(left), total)
    if scope == "global":
        left = sum(group.left for group in groups.values())
        total = sum(group.total for group in groups.values())
        return {ALL: _Group(list(groups), left, total)}
    return groups


def _goals(
    kernels: Mapping[str, MaskedKernel],
    groups: Mapping[str, _Group],
    remaining: Remaining,
    scope: str,
) -> dict[str, int]:
    """Returns how many are to be left, by the name of a group."""
    if remaining is None:
        rates = {name: _rate(kernels, g.paths) for name, g in groups.items()}
        return {
            name: group.left - int(rates[name] * group.left + 1e-6)
            for name, group in groups.items()
        }
    if not isinstance(remaining, Mapping):
        remaining = dict.fromkeys(groups, remaining)
    elif scope == "global":
        raise InvalidValue(
            "expected `remaining` to be one fraction for the scope 'global', "
            f"received fractions by path: {dict(remaining)}"
        )
    for name, fraction in remaining.items():
        checks.one_of("the paths in `remaining`", name, groups)
        checks.fraction(f"`remaining` of {name}", fraction)
    return {
        name: groups[name].total
        - int((1 - fraction) * groups[name].total + 1e-6)
        for name, fraction in remaining.items()
    }


def _rate(kernels: Mapping[str, MaskedKernel], paths: Sequence[str]) -> float:
    rates = {kernels[path].mask.rate for path in paths}
    if len(rates) > 1:
        raise InvalidValue(
            "expected `remaining` for the scope 'global', or masks with one "
            f"rate, received rates of {', '.join(map(str, rates))}"
        )
    return rates.pop()


def _scheduled(start: int, goal: int, done: float) -> int:
    """Returns how many are to be left after a fraction of the rounds.

    References:
        Tanaka et al. 2020, section 5: the exponential schedule.
    """
    if done == 1 or goal >= start:
        return goal
    return max(goal, round(start * (goal / start) ** done))


def _known(
    model: Any,
    ticket: Ticket,
    x: Any,
    y: Any,
    loss: Loss | None,
    seed: int,
    number: int,
) -> Known:
    # The model's masks are those of the ticket, whenever one of these is asked.
    of_batch = (model, x, y, loss)
    places = places_of(ticket.weights)
    return Known(
        dense=ticket.weights,
        fresh=dict,
        generator=lambda what, path: seeds.generator(
            seed, what, number, places[path]
        ),
        derivatives={
            "gradient": functools.cache(lambda: saliency.gradient(*of_batch)),
            "hessian_gradient": functools.cache(
                lambda: saliency.hessian_gradient(*of_batch)
            ),
            "flow": functools.cache(lambda: saliency.flow(model, x)),
        },
    )


def _assign(kernels: Mapping[str, MaskedKernel], ticket: Ticket) -> None:
    masks, frozen = ticket.masks, ticket.frozen
    for path, kernel in kernels.items():
        kernel.mask.assign(masks[path], frozen[path])


def _expect_data(criterion: Function, x: Any, y: Any) -> None:
    named = set(inspect.signature(criterion).parameters)
    missing = [n for n, v in (("x", x), ("y", y)) if v is None]
    if missing and named & NEED_DATA:
        raise InvalidValue(
            "expected x and y, one batch, for a criterion of the "
            f"{' and '.join(sorted(named & NEED_DATA))}, received no "
            f"{' and no '.join(missing)}"
        )


def _expect_goals(
    goals: Mapping[str, int],
    before: Mapping[str, _Group],
    after: Mapping[str, _Group],
) -> None:
    for name, goal in goals.items():
        if after[name].left != min(goal, before[name].left):
            # Scores are pruned by exact counts, so these were booleans.
            raise InvalidValue(
                "expected no `remaining` for a criterion that returns "
                f"booleans, received one by which {name} keeps {goal:,}; the "
                f"criterion itself keeps {after[name].left:,}"
            )
