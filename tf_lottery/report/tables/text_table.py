"""Text tables: what pages and the console show."""

from typing import NamedTuple


class TextTable(NamedTuple):
    """A table of text; its first column is the arm.

    Args:
        title: What it shows; may be empty.
        header: The name of each column.
        rows: The cells of each arm.
    """

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
