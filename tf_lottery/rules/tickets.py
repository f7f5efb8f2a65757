"""Tickets: everything that a training starts from.

A ticket is the answer to "which network?" with all numbers filled in: the
starting weights, the mask over them, what pruned weights are frozen at, and
the rest of the state (biases, normalisation, logits of a learned mask), each
by the path of its variable. `masking.model_state` reads one out of a
model and loads it into a model.

Between two trainings stands one equation, the same for every paper:

    mask'    = prune(criterion(w_init, w_final), mask, rate, scope)
    weights' = mask' * mask1(w_init, w_final)
               + (1 - mask') * mask0(w_init, w_final)

`Forgetting` is the rule (criterion and actions), `forget` applies it.
"""

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.rules import actions, criteria, pruning, ticket_files
from tf_lottery.rules.pruning import Rates

Arrays = Mapping[str, np.ndarray]
Function = Callable[..., np.ndarray]

MASK_STATE = ("value", "frozen")
"""What a fixed mask adds to the state, `fc1/kernel_mask/value`."""


@dataclass(frozen=True, eq=False)
class Ticket:
    """What a training starts from, by variable path.

    Args:
        weights: Starting values of the prunable kernels, `fc1/kernel`. Those
            of pruned weights take no part in a training; actions that look at
            a whole layer see them.
        state: All other variables of the model, masks and the values of
            pruned weights included.
    """

    weights: Arrays
    state: Arrays

    def __repr__(self) -> str:
        total = sum(w.size for w in self.weights.values())
        kept = sum(
            int(np.sum(self.state.get(f"{path}_mask/value", w.size)))
            for path, w in self.weights.items()
        )
        return f"<Ticket: {kept:,} of {total:,} weights>"

    @property
    def masks(self) -> dict[str, np.ndarray]:
        """The masks by kernel path, True = kept.

        Raises:
            InvalidValue: The masks are learned, and so not part of a ticket.
        """
        return self._of_masks("value")

    @property
    def frozen(self) -> dict[str, np.ndarray]:
        """What pruned weights are held at, by kernel path."""
        return self._of_masks("frozen")

    def with_weights(self, action: Function) -> "Ticket":
        """Returns the ticket with `action` applied to each kernel."""
        weights = {path: action(w) for path, w in self.weights.items()}
        return replace(self, weights=weights)

    def pruned(
        self, weights: Arrays, masks: Arrays, frozen: Arrays
    ) -> "Ticket":
        """Returns the ticket with other weights and masks."""
        state = dict(self.state)
        for path in weights:
            state[f"{path}_mask/value"] = masks[path]
            state[f"{path}_mask/frozen"] = frozen[path]
        return Ticket(weights, state)

    @property
    def of_masks(self) -> dict[str, str]:
        """The kernel's path by the path of each part of its fixed mask."""
        return {f"{p}_mask/{n}": p for p in self.weights for n in MASK_STATE}

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns every array of the ticket by variable path.

        Kernels are as a layer uses them, with the frozen values where they
        are pruned: tickets that start the same training are equal here.
        """
        weights = dict(self.weights)
        for path in weights:
            if f"{path}_mask/value" in self.state:
                mask = self.state[f"{path}_mask/value"]
                frozen = self.state[f"{path}_mask/frozen"]
                weights[path] = np.where(mask, weights[path], frozen)
        return {**weights, **self.state}

    def save(self, path: str | os.PathLike) -> None:
        """Writes the ticket into a small file; see `ticket_files`.

        Raises:
            InvalidValue: The masks are learned, and so not part of a ticket.
            StorageError: The file could not be written; what was there before
                stays.
        """
        masks, frozen = self.masks, self.frozen
        of_masks = self.of_masks
        state = {p: v for p, v in self.state.items() if p not in of_masks}
        ticket_files.write(
            path, self.weights, masks, frozen, state, list(self.state)
        )

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Ticket":
        """Returns the ticket in a file, pruned weights starting at zero.

        Raises:
            FileNotFoundError: It is not there.
            InvalidValue: It holds no ticket, or is damaged.
        """
        weights, masks, frozen, state, order = ticket_files.read(path)
        whole = cls(weights, state).pruned(weights, masks, frozen).state
        return cls(weights, {name: whole[name] for name in order})

    def _of_masks(self, name: str) -> dict[str, np.ndarray]:
        try:
            return {p: self.state[f"{p}_mask/{name}"] for p in self.weights}
        except KeyError as error:
            raise InvalidValue(
                "expected a ticket of a model with fixed masks, received one "
                f"without {error}"
            ) from error


@dataclass(frozen=True)
class Forgetting:
    """How a ticket follows from a training.

    Args:
        criterion: Scores weights; see `tf_lottery.criteria`.
        mask1: What becomes of kept weights; see `tf_lottery.actions`.
        mask0: What pruned weights are frozen at.

    Raises:
        InvalidValue: One is no function, or looks at something unknown.
    """

    criterion: Function = criteria.large_final
    mask1: Function = actions.rewind
    mask0: Function = actions.zero

    def __post_init__(self) -> None:
        _names("criterion", self.criterion, CRITERIA_SEE)
        _names("mask1", self.mask1, ACTIONS_SEE)
        _names("mask0", self.mask0, ACTIONS_SEE)


CRITERIA_SEE = (
    *("w_init", "w_final", "mask"),
    *("gradient", "hessian_gradient", "flow"),
)
ACTIONS_SEE = (
    *("w_init", "w_final", "w_dense", "w_fresh"),
    *("mask", "pruned", "generator"),
)


@dataclass(frozen=True)
class Known:
    """What forgetting may look at beside the ticket and the trained weights.

    Args:
        dense: Kernels that round 0 started from.
        fresh: Gives another draw of all kernels from the initialiser.
        gradient: Gives the gradient of the loss at `dense`, by kernel path.
        generator: Gives the randomness of a purpose ("ties", "1" for the
            mask-1 action, "0" for the mask-0 action) and a path.
        hessian_gradient: Gives the Hessian of the loss times its gradient,
            likewise. None where it is not known.
        flow: Gives the derivative of the synaptic flow, likewise.
    """

    dense: Arrays
    fresh: Callable[[], Arrays]
    gradient: Callable[[], Arrays]
    generator: Callable[..., np.random.Generator]
    hessian_gradient: Callable[[], Arrays] | None = None
    flow: Callable[[], Arrays] | None = None


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

    What an earlier round pruned stays frozen where it was, and the rest of
    the state is that of `ticket`: biases start again, too.

    Args:
        ticket: That the training started from.
        trained: Kernels at its end, by path; others are ignored.
        forgetting: The rule.
        rates: As for `pruning.prune`.
        known: What the rule's functions may ask for.
        scope: As for `pruning.prune`.
        channel_axes: Likewise.

    Raises:
        InvalidValue: A function of the rule returned something else than an
            array of the kernel's shape without NaN, or a layer would be left
            without any weight.
    """
    before = ticket.masks
    scores = {
        path: _call(
            "criterion",
            forgetting.criterion,
            path,
            before[path],
            _seen_by_criterion(
                w_init, trained[path], before[path], known, path
            ),
        )
        for path, w_init in ticket.weights.items()
    }
    after = pruning.prune(
        scores,
        before,
        rates,
        lambda path: known.generator("ties", path),
        scope,
        channel_axes,
    )
    weights, frozen = {}, ticket.frozen
    for path, w_init in ticket.weights.items():
        pruned = before[path] & ~after[path]
        w_final = np.where(before[path], trained[path], w_init)
        seen = _seen_by_action(
            w_init, w_final, after[path], pruned, known, path
        )
        for which, action in (("1", forgetting.mask1), ("0", forgetting.mask0)):
            seen["generator"] = functools.partial(known.generator, which, path)
            used = after[path] if which == "1" else pruned
            values = _call(f"mask{which}", action, path, used, seen)
            values = values.astype(w_init.dtype)
            if which == "1":
                weights[path] = _same(values, w_init)
            else:
                held = np.where(pruned, values, frozen[path])
                frozen[path] = _same(held, frozen[path])
    return ticket.pruned(weights, after, frozen)


def _same(values: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Returns what was there before if it is equal: tickets share arrays."""
    return before if np.array_equal(values, before) else values


Seen = dict[str, Callable[[], Any]]


def _seen_by_criterion(
    w_init: np.ndarray,
    w_final: np.ndarray,
    mask: np.ndarray,
    known: Known,
    path: str,
) -> Seen:
    return {
        "w_init": lambda: w_init * mask,
        "w_final": lambda: w_final * mask,
        "mask": mask.copy,
        "gradient": lambda: known.gradient()[path].copy(),
        "hessian_gradient": lambda: _ask(known, "hessian_gradient")[
            path
        ].copy(),
        "flow": lambda: _ask(known, "flow")[path].copy(),
    }


def _ask(known: Known, name: str) -> Arrays:
    ask = getattr(known, name)
    if ask is None:
        raise InvalidValue(
            "expected a criterion of w_init, w_final, mask and gradient, "
            f"received one of {name}, which only tf_lottery.prune_model knows"
        )
    return ask()


def _seen_by_action(
    w_init: np.ndarray,
    w_final: np.ndarray,
    mask: np.ndarray,
    pruned: np.ndarray,
    known: Known,
    path: str,
) -> Seen:
    # Copies: an action may work in place.
    return {
        "w_init": w_init.copy,
        "w_final": w_final.copy,
        "w_dense": lambda: known.dense[path].copy(),
        "w_fresh": lambda: known.fresh()[path].copy(),
        "mask": mask.copy,
        "pruned": pruned.copy,
    }


def _names(role: str, function: Any, known: tuple[str, ...]) -> list[str]:
    """Returns what a function of a rule wants to see."""
    if not callable(function) or isinstance(function, type):
        raise InvalidValue(
            f"expected {role} to be a function such as criteria.large_final "
            f"or actions.rewind (in gin with an @), received {function!r}"
        )
    names = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
    ]
    for name in names:
        if name not in known:
            raise InvalidValue(
                f"expected the arguments of the {role} {_say(function)} to be "
                f"among {', '.join(known)}, received {name!r}"
            )
    return names


def _call(
    role: str,
    function: Function,
    path: str,
    used: np.ndarray,
    seen: Seen,
) -> np.ndarray:
    """Calls a function of a rule with what it names, and checks the result.

    Args:
        role: Of the function.
        function: Of the rule.
        path: Of the kernel.
        used: Where the result is looked at.
        seen: What it may name.
    """
    named = {n: seen[n]() for n in _names(role, function, tuple(seen))}
    result = np.asarray(function(**named))
    what = f"the {role} {_say(function)} at {path}"
    if result.shape != used.shape:
        raise InvalidValue(
            f"expected {what} to return shape {used.shape}, that of the "
            f"kernel, received shape {result.shape}"
        )
    if result.dtype.kind not in "fiub" or np.isnan(result[used]).any():
        raise InvalidValue(
            f"expected {what} to return numbers, received "
            + ("NaN" if result.dtype.kind == "f" else str(result.dtype))
        )
    return result


def _say(function: Function) -> str:
    return getattr(function, "__qualname__", repr(function))
