"""Identity: the hash of what reaches a training.

Values are written out in one canonical form, and the form is hashed: equal
values have equal hashes in every process, on every machine. Functions and
classes stand for themselves by name, dataclasses by name and fields, arrays
by their contents. A field that is None is left out: a new option that is off
by absence moves no hash.

What this package defines has a fixed name, `NAMES`, in which no folder
occurs: a file that moves moves no hash, so nothing is trained again for it.
Code outside this package is named by its module, and the text of the module
goes in, too: it has no version that says when it came to mean something else.

>>> digest({"rate": 0.2, "rounds": 3}) == digest({"rounds": 3, "rate": 0.2})
True
>>> digest(3) == digest(3.0)
False
"""

import dataclasses
import functools
import hashlib
import inspect
import json
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

NAMES = {
    "tf_lottery.experiments.arms": "arms",
    "tf_lottery.experiments.learning_curves": "learning_curves",
    "tf_lottery.experiments.lottery": "lottery",
    "tf_lottery.experiments.plan": "plan",
    "tf_lottery.experiments.published": "published",
    "tf_lottery.experiments.supermask": "supermask",
    "tf_lottery.masking.masks": "masks",
    "tf_lottery.rules.actions": "actions",
    "tf_lottery.rules.criteria": "criteria",
    "tf_lottery.rules.n_of_m": "n_of_m",
    "tf_lottery.rules.sensitivity": "sensitivity",
    "tf_lottery.rules.forgetting": "tickets",
    "tf_lottery.training.peers.tfmot_schedule": "tfmot",
    "tf_lottery.training.recipes": "recipes",
    "tf_lottery.workloads.algorithms": "algorithms",
    "tf_lottery.workloads.classification": "classification",
    "tf_lottery.workloads.images.image_sets": "images",
    "tf_lottery.workloads.language": "language",
    "tf_lottery.workloads.models.conv": "conv",
    "tf_lottery.workloads.models.lenet": "lenet",
    "tf_lottery.workloads.images.augmentation": "augmentation",
    "tf_lottery.workloads.models.resnet": "resnet",
    "tf_lottery.workloads.models.vgg": "vgg",
    "tf_lottery.workloads.models.token_mlp": "token_mlp",
    "tf_lottery.workloads.signals": "signals",
}
"""From a module of this package to the first part of the names of what it
defines: `tf_lottery>criteria.large_final`. Whoever moves a module, or a single
function (an entry of its own: module, dot and name), changes the key and never
the value. A value that changes makes every stored result another's."""


def digest(value: Any) -> str:
    """Returns the SHA-256 of a value's canonical form, in hex.

    Raises:
        TypeError: The value has no canonical form.
    """
    text = json.dumps(canonical(value), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(value: Any) -> Any:
    """Returns a value as JSON can hold it.

    Args:
        value: None, a boolean, number, string or array, a function or class
            of a module, or a sequence, mapping, dataclass or
            `functools.partial` of such.

    Raises:
        TypeError: The value is of another kind.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        header = f"{value.dtype.str}{value.shape}".encode()
        data = np.ascontiguousarray(value)
        return {"sha256": hashlib.sha256(header + data.tobytes()).hexdigest()}
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, functools.partial):
        if value.args:
            raise TypeError(f"expected keywords only, received {value!r}")
        call = {"call": _name(value.func), **_source(value.func)}
        return {**call, **canonical(value.keywords)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            field.name: canonical(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if getattr(value, field.name) is not None
        }
        return {"call": _name(type(value)), **_source(type(value)), **fields}
    if callable(value):
        return {"name": _name(value), **_source(value)}
    raise TypeError(
        "expected plain values, functions, dataclasses and arrays, received "
        f"{value!r}"
    )


def _source(function: Any) -> dict[str, str]:
    """Returns the hash of the module's text, of code outside this package."""
    module = sys.modules.get(function.__module__)
    if module is None or _is_own(function):
        return {}
    try:
        text = inspect.getsource(module)
    except (OSError, TypeError):  # typed in, or compiled
        return {}
    return {"source": hashlib.sha256(text.encode()).hexdigest()}


def _name(function: Any) -> str:
    name = getattr(function, "__qualname__", "<locals>")
    if "<" in name:
        raise TypeError(
            "expected a function or class that a module defines by name, so "
            f"that it means the same in every process, received {function!r}"
        )
    where = f"{function.__module__}.{name}"
    if not _is_own(function):
        return where
    fixed = NAMES.get(where) or NAMES.get(function.__module__)
    if fixed is None:
        raise TypeError(
            f"expected the module of {where} to have a fixed name in "
            "tf_lottery's identity.NAMES, so that results outlive a move of "
            "the file, received none"
        )
    return f"tf_lottery>{fixed}.{name}"


def _is_own(function: Any) -> bool:
    own = __name__.partition(".")[0]
    return bool(function.__module__.partition(".")[0] == own)
