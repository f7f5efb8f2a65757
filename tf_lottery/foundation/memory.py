"""Memory: what does not fit into this machine's is refused, not tried."""

import itertools
import os

from tf_lottery.foundation.checks import InvalidValue

FLOAT = 4
"""Bytes of a float32 number."""


def expect_room(what: str, size: int) -> None:
    """Raises InvalidValue if something is larger than all memory there is.

    Args:
        what: It is, and which values of the user's make it that large.
        size: In bytes.
    """
    if not hasattr(os, "sysconf"):  # not a system that tells
        return
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > there:
        raise InvalidValue(
            f"expected {what} to fit in this machine's {there / 1e9:,.0f} GB "
            f"of memory, received {size / 1e9:,.0f} GB"
        )


def expect_room_for_layers(name: str, widths: list[int]) -> None:
    """Raises InvalidValue if a dense network is too large to be built.

    Args:
        name: Of the parameter that says how large it is.
        widths: How many numbers go in, come from each layer, and go out.
    """
    weights = sum(a * b for a, b in itertools.pairwise(widths))
    expect_room(
        f"the {weights:,} weights of {name} = {tuple(widths[1:-1])}",
        weights * FLOAT,
    )
