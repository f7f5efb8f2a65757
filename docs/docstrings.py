"""Docstrings as Markdown has to have them."""

import re

import griffe


class Doctests(griffe.Extension):
    """Sets paragraphs of a docstring that begin with `>>>` as code."""

    def on_object(self, *, obj: griffe.Object, **kwargs: object) -> None:
        """Changes the docstring of what was read."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """Returns a docstring with fences around its doctests."""
    return re.sub(
        r"^>>> .*?(?=\n\n|\Z)",
        lambda match: f"```pycon\n{match[0].rstrip()}\n```",
        text,
        flags=re.DOTALL | re.MULTILINE,
    )
