"""Figures as files."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np

from tf_lottery.report.plots import render, style


def places(svg):
    """All numbers of places, in order."""
    found = re.findall(r' (?:d|x|y)="([^"]*)"', svg.decode())
    return [float(n) for n in re.findall(r"-?[\d.]*\d", " ".join(found))]


def test_files_are_shorter_and_show_the_same(monkeypatch):
    figure, [axes] = style.new()
    values = np.random.default_rng(0).normal(size=99)
    axes.plot(values, label="0.123456789 of  all")
    axes.scatter(range(99), values)
    style.finish(figure, axes)
    short = render.render(figure, "svg")
    monkeypatch.setattr(render, "_shorter", lambda svg: svg)
    whole = render.render(figure, "svg")
    assert len(short) < 0.9 * len(whole)
    assert b"0.123456789 of  all" in short
    np.testing.assert_allclose(places(short), places(whole), atol=0.00501)
    tags = [
        [element.tag for element in ElementTree.fromstring(svg).iter()]
        for svg in (short, whole)
    ]
    assert tags[0] == tags[1]
    assert not re.search(rb' (?:d|x|y)="[^"]*\.\d{3}', short)


def test_wide_figures_are_known():
    narrow, _ = style.new()
    wide, _ = style.new(width=2 * style.WIDTH)
    drawn = {"a": (narrow, "one"), "b": (wide, "two")}
    first, second = render.drawings(drawn)
    assert (first.name, first.caption, first.wide) == ("a", "one", False)
    assert (second.name, second.caption, second.wide) == ("b", "two", True)
    assert first.png.startswith(b"\x89PNG")
