"""Drawing: matplotlib figures as files, and as part of a page.

In a page a figure is inline SVG whose lines and letters take their colours
from the page, so that it is as legible in the dark as in the light.
"""

import hashlib
import io
import re
from typing import Any, NamedTuple

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from tf_lottery.report.plots import hover
from tf_lottery.report.plots.style import STYLE, WIDTH, Drawn

INK = "#000000"
GRID = STYLE["grid.color"]
PAPER = "#ffffff"

WIDE = 1.3 * WIDTH
"""Inches from which on a drawing takes the whole width of a page."""


class Drawing(NamedTuple):
    """A drawn figure.

    Args:
        name: The beginning of the names of its files.
        svg: The content of one of its files.
        png: The content of the other one.
        caption: A sentence that describes the figure.
        wide: Whether it takes the whole width of a page.
    """

    name: str
    svg: bytes
    png: bytes
    caption: str
    wide: bool


def drawings(drawn: Drawn) -> list[Drawing]:
    """Returns figures as files."""
    return [
        Drawing(
            name,
            render(figure, "svg"),
            render(figure, "png"),
            caption,
            figure.get_size_inches()[0] > WIDE,
        )
        for name, (figure, caption) in drawn.items()
    ]


def render(figure: Figure, kind: str) -> bytes:
    """Returns a figure as "svg" or "png"; equal figures give equal bytes."""
    buffer = io.BytesIO()
    options: dict[str, Any] = {"metadata": {"Date": None}}
    if kind == "png":  # quick rather than small: a report has a hundred
        options = {"dpi": 120, "pil_kwargs": {"compress_level": 1}}
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format=kind, **options)
    return _shorter(buffer.getvalue()) if kind == "svg" else buffer.getvalue()


def _shorter(svg: bytes) -> bytes:
    """Returns an SVG file with places to a hundredth of a point, unindented.

    Matplotlib writes millionths. Titles of points are put where they belong.
    """

    def rounded(number: re.Match) -> str:
        return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")

    def shorter(attribute: re.Match) -> str:
        return re.sub(r"-?\d+\.\d{3,}", rounded, attribute[0])

    text = re.sub(r"^ +", "", svg.decode(), flags=re.MULTILINE)
    places = r' (?:d|x|y|transform)="(?!scale)[^"]*"'
    return hover.with_titles(re.sub(places, shorter, text)).encode()


def inline(svg: bytes, caption: str) -> Markup:
    """Returns an SVG file as an element of a page.

    Args:
        svg: The file, as `render` gives it.
        caption: What it shows, for those who do not see it.
    """
    text = svg.decode()
    text = text[text.index("<svg") :]
    width, height = (
        text.split(f' {side}="', 1)[1].split('"', 1)[0]
        for side in ("width", "height")
    )
    # The size is the page's business; the viewBox keeps the proportions.
    for side, value in (("width", width), ("height", height)):
        text = text.replace(f' {side}="{value}"', "", 1)
    # Names that nothing refers to, and that every figure of a page has.
    text = re.sub(r' id="[\w.]+_\d+"', "", text)
    # Those that something refers to are the figure's own.
    own = hashlib.sha256(svg).hexdigest()[:8]
    text = re.sub(r'(\bid="|"#|url\(#)([\w.-]+)', rf"\1\2-{own}", text)
    for colour, name in ((INK, "ink"), (GRID, "grid"), (PAPER, "paper")):
        text = text.replace(colour, f"var(--{name})")
    label = Markup('<svg role="group" aria-label="{}" style="max-width: {}" ')
    points = float(width.removesuffix("pt"))
    start = label.format(caption, f"{points / 72:.2f}in")
    return Markup(start + Markup(text.removeprefix("<svg ")))
