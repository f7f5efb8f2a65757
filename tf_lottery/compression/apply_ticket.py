"""Applying a ticket: a model is put where the ticket starts.

The model may be another one than the ticket was found in, as long as it has
the same shapes: one built anew in another process, or on another day.

>>> from tf_lottery.masking.model_state import read_ticket
>>> one, other = (
...     keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
...     for _ in range(2)
... )
>>> ticket = read_ticket(mask_model(one, verbose=False))
>>> other = apply_ticket(other, ticket)
>>> bool((one.layers[0].kernel == other.layers[0].kernel).numpy().all())
True
"""

from collections.abc import Mapping, Sequence

import keras

from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.conversion import keep_dense, mask_model, survey
from tf_lottery.masking.kernels import (
    expect_model,
    fixed_kernels,
    masked_kernels,
)
from tf_lottery.masking.masks import DEFAULT_RATE
from tf_lottery.masking.model_state import load_state, variables_by_path
from tf_lottery.rules.tickets import Ticket


def apply_ticket(model: keras.Model, ticket: Ticket) -> keras.Model:
    """Puts a model where a ticket starts, and returns it.

    Variables go by their paths or, if those are not the same, by their order.
    A model without masks gets those of the ticket. The optimizer stays as it
    is.

    Args:
        model: Built, with the kernels and other variables of the ticket.
        ticket: With fixed masks.

    Raises:
        InvalidValue: The number or the shapes of variables differ, or the
            model has masks on other kernels or learned ones. It is then as it
            was.
    """
    expect_model(model)
    checks.instance("ticket", ticket, Ticket)
    arrays, of_masks = ticket.arrays(), ticket.of_masks
    found = masked_kernels(model)
    if found:
        fixed_kernels(model)
    masks = {id(v) for kernel in found.values() for v in kernel.mask.variables}
    theirs = [path for path in arrays if path not in of_masks]
    ours = [
        path
        for path, variable in variables_by_path(model).items()
        if id(variable) not in masks
    ]
    places = _places(model, ticket, theirs, ours)
    _expect_shapes(model, ticket, places)
    masked = [places[path] for path in ticket.weights]
    if not found:
        dense = {w.path for w in survey(model) if not w.why} - {*masked}
        rates = [*keep_dense(sorted(dense)), (".", DEFAULT_RATE)]
        mask_model(model, rates, verbose=False)
    elif list(found) != masked:
        raise InvalidValue(
            f"expected a model with masks on {', '.join(masked)}, as the "
            f"ticket has them, or without, received one with masks on "
            f"{', '.join(found)}"
        )
    for path, kernel in of_masks.items():
        places[path] = places[kernel] + path.removeprefix(kernel)
    load_state(model, {places[path]: array for path, array in arrays.items()})
    return model


def _places(
    model: keras.Model,
    ticket: Ticket,
    theirs: Sequence[str],
    ours: Sequence[str],
) -> dict[str, str]:
    """Returns the model's path for each path of the ticket but masks'."""
    if {*theirs} == {*ours}:
        return {path: path for path in theirs}
    kernels = [w.path for w in survey(model) if w.name]
    others = [path for path in ours if path not in {*kernels}]
    of_ticket = _kernels(ticket)
    rest = [path for path in theirs if path not in {*of_ticket}]
    return {
        **_in_order("kernels", of_ticket, kernels),
        **_in_order("other variables", rest, others),
    }


def _kernels(ticket: Ticket) -> list[str]:
    """Returns all kernels of a ticket in the order of its model.

    The place of a masked one is that of its mask among the other variables.
    """
    of_masks = ticket.of_masks
    found = [
        of_masks.get(path, path)
        for path, array in ticket.state.items()
        if path in of_masks or (path.endswith("kernel") and array.ndim > 1)
    ]
    return list(dict.fromkeys(found))  # a mask has two parts


def _in_order(
    what: str, theirs: Sequence[str], ours: Sequence[str]
) -> dict[str, str]:
    if len(theirs) != len(ours):
        raise InvalidValue(
            f"expected a model with {len(theirs)} {what}, as the ticket has, "
            f"received {len(ours)}: {', '.join(ours) or 'none'}. The ticket "
            f"has {', '.join(theirs) or 'none'}"
        )
    return dict(zip(theirs, ours, strict=True))


def _expect_shapes(
    model: keras.Model, ticket: Ticket, places: Mapping[str, str]
) -> None:
    arrays, variables = ticket.arrays(), variables_by_path(model)
    for path, place in places.items():
        shape = tuple(variables[place].shape)
        if shape != arrays[path].shape:
            raise InvalidValue(
                f"expected a model with {path} of shape {arrays[path].shape}, "
                f"as the ticket has it, received {place} of shape {shape}"
            )
