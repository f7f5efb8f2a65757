"""Forgetting: how a ticket follows from a training.

Between two trainings stands one equation, the same for every paper:

    mask'    = prune(criterion(w_init, w_final), mask, rate, scope)
    weights' = mask' * mask1(w_init, w_final)
               + (1 - mask') * mask0(w_init, w_final)

`Forgetting` is the rule (criterion, actions and two freedoms), `forget`
applies it:

    method                   criterion     mask1   mask0         trains on
    lottery tickets          large_final   rewind  zero          no
    Knowledge Evolution      random        keep    reinit_fresh  yes, keep rest
    later-layer forgetting   any, with     keep    reinit_fresh  yes, keep rest
                             rates 0 or 1
    partial balanced         large_init    keep    reinit_fresh  yes, keep rest
    forgetting
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.rules import actions, criteria, pruning
from tf_lottery.rules.pruning import Rates
from tf_lottery.rules.rule_functions import Seen, call, names_of
from tf_lottery.rules.tickets import Arrays, Function, Ticket


class Derivative(NamedTuple):
    """Something that a criterion may look at and that has to be computed.

    Args:
        meaning: What it is, in words.
        of_batch: Whether it is computed from a batch of examples.
    """

    meaning: str
    of_batch: bool


DERIVATIVES = {
    "gradient": Derivative("gradient of the loss", True),
    "hessian_gradient": Derivative("Hessian times gradient of the loss", True),
    "flow": Derivative("derivative of the synaptic flow", False),
}
"""Every computed input of a criterion, by the name of its argument. Whoever
computes one hands it over as `Known.derivatives`."""

WEIGHTS = ("w_init", "w_final", "mask")
ACTIONS_SEE = (
    *("w_init", "w_final", "w_dense", "w_fresh"),
    *("mask", "pruned", "generator"),
)


@dataclass(frozen=True)
class Forgetting:
    """How a ticket follows from a training.

    Args:
        criterion: Scores weights; see `tf_lottery.criteria`.
        mask1: What becomes of kept weights; see `tf_lottery.actions`.
        mask0: What becomes of forgotten weights.
        trains_on: True trains forgotten weights from where `mask0` puts them,
            and leaves all masks as they are. None freezes them there.
        keep_rest: True keeps what the training made of everything else: biases
            that are not covered, normalisation. None starts it again.
        biases: True applies the rule to the biases of masked layers, too, by
            the rates of their kernels; as biases have no masks, only with
            `trains_on`. None leaves them to `keep_rest`.

    Raises:
        InvalidValue: A function is none, or looks at something unknown; a
            freedom is neither True nor None; `biases` without `trains_on`.
    """

    criterion: Function = criteria.large_final
    mask1: Function = actions.rewind
    mask0: Function = actions.zero
    trains_on: bool | None = None
    keep_rest: bool | None = None
    biases: bool | None = None

    def __post_init__(self) -> None:
        names_of("criterion", self.criterion, (*WEIGHTS, *DERIVATIVES))
        names_of("mask1", self.mask1, ACTIONS_SEE)
        names_of("mask0", self.mask0, ACTIONS_SEE)
        for name in ("trains_on", "keep_rest", "biases"):
            value = getattr(self, name)
            if value is not None and value is not True:
                # Not False or 1: it would be another hash, for the same.
                raise InvalidValue(
                    f"expected {name} to be True or None, received {value!r}"
                )
        if self.biases and not self.trains_on:
            raise InvalidValue(
                "expected trains_on = True with biases = True, received None: "
                "biases have no masks and cannot be frozen"
            )


@dataclass(frozen=True)
class Known:
    """What forgetting may look at beside the ticket and the trained weights.

    Args:
        dense: Weights that round 0 started from, by path.
        fresh: Gives another draw of all weights from the initialiser, by path.
        generator: Gives the randomness of a purpose ("ties", "1" for the
            mask-1 action, "0" for the mask-0 action) and a path.
        derivatives: By names of `DERIVATIVES`, those that can be had: each
            gives the derivative at `dense`, by kernel path.
    """

    dense: Arrays
    fresh: Callable[[], Arrays]
    generator: Callable[..., np.random.Generator]
    derivatives: Mapping[str, Callable[[], Arrays]]


class _Part(NamedTuple):
    """A kernel or a bias, before it is forgotten."""

    path: str
    w_init: np.ndarray
    w_final: np.ndarray
    mask: np.ndarray


def forget(
    ticket: Ticket,
    trained: Arrays,
    forgetting: Forgetting,
    rates: Rates,
    known: Known,
    scope: str = "layer",
    channel_axes: Mapping[str, int | None] | None = None,
) -> Ticket:
    """Returns the next ticket.

    What an earlier round pruned stays frozen where it was. Everything that
    the rule does not cover starts again, unless it keeps the rest.

    Args:
        ticket: That the training started from.
        trained: Variables at its end, by path: kernels, and what the rule
            covers or keeps.
        forgetting: The rule.
        rates: Fraction of the survivors that is forgotten, by kernel path, in
            (0, 1), or None; where forgotten weights train on, 0 and 1 are
            rates, too, and a layer may be forgotten as a whole.
        known: What the rule's functions may ask for.
        scope: "layer", "global" or "channel", as for `pruning.prune`.
        channel_axes: Which axis of a kernel is its output channels, as for
            `pruning.prune`.

    Raises:
        InvalidValue: A function of the rule returned something else than an
            array of the weights' shape without NaN, a layer would be left
            without any weight, or `trained` lacks a variable.
    """
    parts = {p.path: p for p in _parts(ticket, trained, forgetting)}
    rates = _rates_of_parts(parts, rates, forgetting)
    after = _kept(parts, forgetting, rates, known, scope, channel_axes)
    frozen = ticket.frozen
    weights: dict[str, np.ndarray] = {}
    biases: dict[str, np.ndarray] = {}
    for path, part in parts.items():
        gone = part.mask & ~after[path]
        one, zero = (
            _acted(which, action, part, after[path], gone, known)
            for which, action in (
                ("1", forgetting.mask1),
                ("0", forgetting.mask0),
            )
        )
        if forgetting.trains_on:
            acted = np.where(gone, zero, one)
            # What an earlier round froze takes no part in this.
            values = np.where(part.mask, acted, part.w_init)
        else:
            values = one
            held = np.where(gone, zero, frozen[path])
            frozen[path] = _same(held, frozen[path])
        into = weights if path in ticket.weights else biases
        into[path] = _same(values, part.w_init)
    if forgetting.keep_rest:
        others = ticket.state.keys() - ticket.of_masks.keys()
        ticket = ticket.with_state(_expect(trained, sorted(others)))
    ticket = ticket.with_state(biases)
    masks = ticket.masks if forgetting.trains_on else after
    return ticket.pruned(weights, masks, frozen)


def _parts(
    ticket: Ticket, trained: Arrays, forgetting: Forgetting
) -> Iterator[_Part]:
    """Yields what the rule covers: kernels, and biases if it says so."""
    masks = ticket.masks
    ends = _expect(trained, list(ticket.weights))
    for path, w_init in ticket.weights.items():
        mask = masks[path].astype(bool)
        w_final = np.where(mask, ends[path], w_init)
        yield _Part(path, w_init, w_final, mask)
    if forgetting.biases:
        paths = [p for p in map(_bias_of, ticket.weights) if p in ticket.state]
        for path, w_final in _expect(trained, paths).items():
            w_init = ticket.state[path]
            yield _Part(path, w_init, w_final, np.ones(w_init.shape, bool))


def _bias_of(kernel: str) -> str:
    layer, _, _ = kernel.rpartition("/")
    return f"{layer}/bias"


def _rates_of_parts(
    parts: Mapping[str, _Part], rates: Rates, forgetting: Forgetting
) -> Rates:
    """Returns the rates with those of biases, which are their kernels'."""
    of_biases = {_bias_of(path): rate for path, rate in rates.items()}
    found = {**of_biases, **rates}
    return {path: found[path] for path in parts if path in found}


def _kept(
    parts: Mapping[str, _Part],
    forgetting: Forgetting,
    rates: Rates,
    known: Known,
    scope: str,
    channel_axes: Mapping[str, int | None] | None,
) -> dict[str, np.ndarray]:
    """Returns which weights the rule keeps, by path."""
    before = {path: part.mask for path, part in parts.items()}
    whole = []
    if forgetting.trains_on:
        whole = [path for path, rate in rates.items() if rate == 1]
        rates = {p: r for p, r in rates.items() if r not in (0, 1)}
    scores = {
        path: call(
            "criterion",
            forgetting.criterion,
            path,
            part.mask,
            _seen_by_criterion(part, known),
        )
        for path, part in parts.items()
        if path not in whole
    }
    after = pruning.prune(
        scores,
        before,
        rates,
        lambda path: known.generator("ties", path),
        scope,
        channel_axes,
    )
    return {**after, **{path: np.zeros_like(before[path]) for path in whole}}


def _acted(
    which: str,
    action: Function,
    part: _Part,
    kept: np.ndarray,
    gone: np.ndarray,
    known: Known,
) -> np.ndarray:
    """Returns what an action makes of weights, in their dtype."""
    path = part.path
    # Copies: an action may work in place.
    seen: Seen = {
        "w_init": part.w_init.copy,
        "w_final": part.w_final.copy,
        "w_dense": lambda: _expect(known.dense, [path])[path].copy(),
        "w_fresh": lambda: _expect(known.fresh(), [path])[path].copy(),
        "mask": kept.copy,
        "pruned": gone.copy,
        "generator": functools.partial(known.generator, which, path),
    }
    used = kept if which == "1" else gone
    values = call(f"mask{which}", action, path, used, seen)
    return values.astype(part.w_init.dtype)


def _expect(arrays: Arrays, paths: list[str]) -> dict[str, np.ndarray]:
    """Returns some arrays by path.

    Raises:
        InvalidValue: One is not there.
    """
    missing = [path for path in paths if path not in arrays]
    if missing:
        raise InvalidValue(
            f"expected arrays of {', '.join(paths)}, received none of "
            f"{', '.join(missing)}"
        )
    return {path: arrays[path] for path in paths}


def _same(values: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Returns what was there before if it is equal: tickets share arrays."""
    return before if np.array_equal(values, before) else values


def _seen_by_criterion(part: _Part, known: Known) -> Seen:
    path, mask = part.path, part.mask
    # Copies: a criterion may work in place.
    return {
        "w_init": lambda: part.w_init * mask,
        "w_final": lambda: part.w_final * mask,
        "mask": mask.copy,
        **{
            name: functools.partial(_derivative, known, name, path)
            for name in DERIVATIVES
        },
    }


def _derivative(known: Known, name: str, path: str) -> np.ndarray:
    if name not in known.derivatives:
        there = ", ".join((*WEIGHTS, *known.derivatives))
        raise InvalidValue(
            f"expected a criterion of {there}, received one of {name}, which "
            "only tf_lottery.prune_model knows (the "
            f"{DERIVATIVES[name].meaning})"
        )
    return _expect(known.derivatives[name](), [path])[path].copy()
