"""Applying a ticket: a model is put where the ticket starts.

The model may be another one than the ticket was found in, as long as it has
the same shapes: one built anew in another process, or on another day.

>>> from tf_lottery.variables import read_ticket
>>> one, other = (
...     keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
...     for _ in range(2)
... )
>>> ticket = read_ticket(mask_model(one, verbose=False))
>>> other = apply_ticket(other, ticket)
>>> bool((one.layers[0].kernel == other.layers[0].kernel).numpy().all())
True
"""

import re
from collections.abc import Iterable

import keras

from tf_lottery.checks import InvalidValue
from tf_lottery.conversion import mask_model, survey
from tf_lottery.tickets import MASK_STATE, Ticket
from tf_lottery.variables import (
    load_state,
    masked_kernels,
    variables_by_path,
)


def apply_ticket(model: keras.Model, ticket: Ticket) -> keras.Model:
    """Puts a model where a ticket starts, and returns it.

    Variables go by their paths or, if those are others, by their order. A
    model without masks gets them. The optimizer stays as it is.

    Args:
        model: Built, with the kernels and other variables of the ticket.
        ticket: With fixed masks.

    Raises:
        InvalidValue: The number or the shapes of variables differ, or the
            model cannot be masked.
    """
    masks = ticket.masks
    if not masked_kernels(model):
        _mask(model, list(masks))
    places = _places(model, ticket)
    arrays = ticket.arrays()
    variables = variables_by_path(model)
    for path, place in places.items():
        shape = tuple(variables[place].shape)
        if shape != arrays[path].shape:
            raise InvalidValue(
                f"expected a model with {path} of shape {arrays[path].shape}, "
                f"as the ticket has it, received {place} of shape {shape}"
            )
    load_state(model, {places[path]: array for path, array in arrays.items()})
    return model


def _mask(model: keras.Model, wanted: list[str]) -> None:
    free = [weights.path for weights in survey(model) if not weights.why]
    rates: list[tuple[str, float | None]] | None = None
    if set(wanted) < set(free):  # the ticket has left some of them dense
        rates = [(rf"^{re.escape(p)}$", None) for p in free if p not in wanted]
        rates.append((".", 0.2))
    mask_model(model, rates, verbose=False)


def _places(model: keras.Model, ticket: Ticket) -> dict[str, str]:
    """Returns the model's path for each path of the ticket."""
    arrays, variables = ticket.arrays(), variables_by_path(model)
    if arrays.keys() == variables.keys():
        return {path: path for path in arrays}
    places = _in_order(
        "kernels with a mask", ticket.weights, masked_kernels(model)
    )
    for path, place in list(places.items()):
        for name in MASK_STATE:
            places[f"{path}_mask/{name}"] = f"{place}_mask/{name}"
    taken = set(places.values())
    others = [path for path in ticket.state if path not in places]
    free = [path for path in variables if path not in taken]
    return {**places, **_in_order("other variables", others, free)}


def _in_order(
    what: str, ours: Iterable[str], theirs: Iterable[str]
) -> dict[str, str]:
    ours, theirs = list(ours), list(theirs)
    if len(ours) != len(theirs):
        raise InvalidValue(
            f"expected a model with {len(ours)} {what}, as the ticket has, "
            f"received {len(theirs)}: {', '.join(theirs)}. The ticket has "
            f"{', '.join(ours)}"
        )
    return dict(zip(ours, theirs, strict=True))
