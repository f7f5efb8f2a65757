"""Pages: what both of them are made with, templates and files of figures."""

import base64
import pathlib
from collections.abc import Iterable
from typing import Any

import jinja2

from tf_lottery.foundation.files import storing, write_atomically
from tf_lottery.report.plots import hover, render
from tf_lottery.report.plots.render import Drawing
from tf_lottery.report.verdicts import rules, wording


def write_page(
    path: pathlib.Path, template: str, facts: dict[str, Any]
) -> None:
    """Writes a page.

    Args:
        path: The path of the page.
        template: The name of a file of `templates/`.
        facts: What the template shows, by name.

    Raises:
        StorageError: The file could not be written.
    """
    text = _environment().get_template(template).render(facts)
    write_atomically(path, text.encode())


def write_drawings(
    folder: pathlib.Path, drawings: Iterable[Drawing], prefix: str = ""
) -> None:
    """Writes the files of drawings into `figures/`, which is made.

    Args:
        folder: The folder of the page.
        drawings: The drawings.
        prefix: What the names of the files begin with.

    Raises:
        StorageError: A file could not be written.
    """
    figures = folder / "figures"
    with storing(folder):
        figures.mkdir(parents=True, exist_ok=True)
    for drawing in drawings:
        name = f"{prefix}{drawing.name}"
        svg = hover.without_titles(drawing.svg)
        write_atomically(figures / f"{name}.svg", svg)
        write_atomically(figures / f"{name}.png", drawing.png)


def data_url(svg: bytes) -> str:
    """Returns an SVG file as an address that holds it."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tf_lottery.report"),
        autoescape=jinja2.select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    named: dict[str, Any] = {
        "wording": wording,
        "inline": render.inline,
        "data_url": data_url,
        "verdicts": rules.VERDICTS,
    }
    environment.globals.update(named)
    return environment
