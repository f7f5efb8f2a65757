"""Hover: what a reader sees of a point whose values a figure cannot print.

Matplotlib gives a point of an SVG file a link and no title. So a title travels
in the link, and is taken out of the file that it was written into.

>>> link = titled("runs/a/", "ticket, 21.1 %: 98.26")
>>> with_titles(f'<a xlink:href="{link}" target="_blank">')
'<a xlink:href="runs/a/" target="_blank"><title>ticket, 21.1 %: 98.26</title>'
"""

import re
import urllib.parse

from markupsafe import escape

MARK = "#title="


def titled(link: str, title: str) -> str:
    """Returns a link that carries a title."""
    return f"{link}{MARK}{urllib.parse.quote(title)}"


def with_titles(svg: str) -> str:
    """Returns the text of an SVG file with each title where it belongs."""

    def element(found: re.Match) -> str:
        link, title, rest = found.groups()
        text = escape(urllib.parse.unquote(title))
        return f'<a xlink:href="{link}"{rest}><title>{text}</title>'

    pattern = rf'<a xlink:href="([^"#]*){MARK}([^"]*)"([^>]*)>'
    return re.sub(pattern, element, svg)


def without_titles(svg: bytes) -> bytes:
    """Returns an SVG file without the titles of points.

    Where it is shown as an image nobody can hover, and they are half of it.
    """
    text = re.sub(r"(<a [^>]*>)<title>[^<]*</title>", r"\1", svg.decode())
    return text.encode()
