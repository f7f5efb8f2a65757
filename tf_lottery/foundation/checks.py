"""Checks of what a user wrote, with one clear sentence when it is wrong.

gin checks that a parameter exists, not what it holds, so the classes that gin
builds check their own fields with these functions: before anything runs.

>>> positive_int("SEEDS", "three")
Traceback (most recent call last):
    ...
tf_lottery.foundation.checks.InvalidValue: expected SEEDS to be a whole
number of at least 1, received 'three'
"""

import inspect
import math
from collections.abc import Collection
from typing import Any

INT32 = 2**31 - 1
"""The greatest whole number that a compiled program counts to."""


class InvalidValue(ValueError):
    """What a user wrote is not what was expected; the message says both."""


def positive_int(name: str, value: Any, most: int = INT32) -> None:
    """Raises InvalidValue unless `value` is an integer in [1, most]."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidValue(
            f"expected {name} to be a whole number of at least 1, "
            f"received {value!r}"
        )
    if value > most:
        raise InvalidValue(
            f"expected {name} to be at most {most:,}, received {value}"
        )


def sequence(name: str, value: Any) -> None:
    """Raises InvalidValue unless `value` is a list or a tuple."""
    if not isinstance(value, list | tuple):
        raise InvalidValue(f"expected {name} to be a list, received {value!r}")


def number(name: str, value: Any) -> None:
    """Raises InvalidValue unless `value` is a finite number."""
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not math.isfinite(value)
    ):
        raise InvalidValue(
            f"expected {name} to be a finite number, received {value!r}"
        )


def fraction(name: str, value: Any) -> None:
    """Raises InvalidValue unless `value` is a number in (0, 1]."""
    number(name, value)
    if not 0 < value <= 1:
        raise InvalidValue(f"expected {name} to be in (0, 1], received {value}")


def boolean(name: str, value: Any) -> None:
    """Raises InvalidValue unless `value` is True or False."""
    if not isinstance(value, bool):
        raise InvalidValue(
            f"expected {name} to be True or False, received {value!r}"
        )


def text(name: str, value: Any) -> None:
    """Raises InvalidValue unless `value` is a string that says something."""
    if not isinstance(value, str) or not value:
        raise InvalidValue(f"expected {name} to be a name, received {value!r}")


def kind(name: str, value: Any, cls: type) -> None:
    """Raises InvalidValue unless `value` is an instance of `cls`."""
    if not isinstance(value, cls):
        raise InvalidValue(
            f"expected {name} to be @{cls.__name__}(), received {value!r}"
        )


def instance(name: str, value: Any, cls: type) -> None:
    """Raises InvalidValue unless `value` is an instance of `cls`.

    Unlike `kind`, it says so in words of Python and not of gin.
    """
    if not isinstance(value, cls):
        raise InvalidValue(
            f"expected {name} to be of class {cls.__name__}, received {value!r}"
        )


def say(value: Any) -> str:
    """Returns a value as messages show it, a function by its name."""
    return getattr(value, "__qualname__", None) or repr(value)


def takes(name: str, value: Any, *args: Any, **kwargs: Any) -> None:
    """Raises InvalidValue unless `value` can be called with such arguments."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):  # written in C
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        wanted = ", ".join([*map(str, args), *(f"{key}=" for key in kwargs)])
        raise InvalidValue(
            f"expected {name} to take ({wanted}), received "
            f"{say(value)}{signature}: {error}"
        ) from error


def one_of(name: str, value: Any, known: Collection[str]) -> None:
    """Raises InvalidValue unless `value` is among `known`."""
    if not isinstance(value, str) or value not in known:
        raise InvalidValue(
            f"expected {name} to be one of {', '.join(known)}, "
            f"received {value!r}"
        )
