"""The functions of a rule: criteria and actions, called with what they name.

A function of a rule names what it looks at by its arguments, and gets that.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.rules.tickets import Function

Seen = Mapping[str, Callable[[], Any]]
"""What a function may name, and what gives it."""


def names_of(role: str, function: Any, known: tuple[str, ...]) -> list[str]:
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


def call(
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
    named = {n: seen[n]() for n in names_of(role, function, tuple(seen))}
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
