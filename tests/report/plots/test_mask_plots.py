"""Figures of what masks have in common, of signs and of densities."""

import numpy as np
import pytest
from reporting import line

from tf_lottery.report.plots import density_plots, mask_plots
from tf_lottery.report.tables.density import Bin
from tf_lottery.report.tables.layers_table import Layer
from tf_lottery.report.tables.overlap import Overlap
from tf_lottery.report.tables.run_tables import Tables

ARMS = ("large", "random", "small")
REMAINING = {0: 1.0, 3: 0.5, 7: 0.2}


def make(arms=ARMS, overlaps=(), bins=(), layers=None):
    lines = [
        line(seed, arm, number, remaining=REMAINING[number])
        for seed in (0, 1)
        for arm in arms
        for number in REMAINING
    ]
    if layers is None:
        layers = [
            Layer(x.seed, x.arm, x.round, name, x.remaining, 0.7 + 0.1 * i)
            for i, name in enumerate(("fc1", "all"))
            for x in lines
            if x.round
        ]
    return Tables(lines, list(layers), list(overlaps), list(bins))


def overlaps():
    for number in (3, 7):
        for arm, other, value in (
            ("large", "random", 0.3),
            ("large", "small", 0.01),
            ("random", "small", 0.2),
        ):
            numbers = (2, value / number, 0.0, 1.0, 0.25)
            yield Overlap("arms", arm, other, number, "all", *numbers)
        for layer in ("fc1", "all"):
            numbers = (1, 0.4, 0.4, 0.4, 0.35)
            yield Overlap("seeds", "large", "large", number, layer, *numbers)


def test_arms_are_drawn_against_the_first_and_chance():
    drawn = mask_plots.draw(make(overlaps=overlaps()), ARMS)
    figure, caption = drawn["overlap_arms"]
    [axes] = figure.axes
    assert [x.get_label() for x in axes.lines] == ["random", "small", "chance"]
    random, _, chance = axes.lines
    np.testing.assert_allclose(random.get_xdata(), [50, 20])
    np.testing.assert_allclose(random.get_ydata(), [0.1, 0.3 / 7])
    np.testing.assert_allclose(chance.get_ydata(), [0.25, 0.25])
    assert "'large'" in caption


def test_all_arms_are_compared_where_a_fifth_remains():
    figure, caption = mask_plots.draw(make(overlaps=overlaps()), ARMS)[
        "overlap_matrix"
    ]
    [axes] = figure.axes
    shown = axes.images[0].get_array()
    assert shown[1, 0] == pytest.approx(0.3 / 7)
    assert shown[2, 1] == pytest.approx(0.2 / 7)
    assert shown.mask[0, 1] or np.isnan(shown[0, 1])
    assert [t.get_text() for t in axes.get_yticklabels()] == list(ARMS)
    assert "20.0 %" in caption and "0.25" in caption


def test_seeds_are_compared_layer_by_layer():
    figure, _ = mask_plots.draw(make(overlaps=overlaps()), ARMS)[
        "overlap_seeds"
    ]
    [axes] = figure.axes
    assert len(axes.lines) == 4  # two layers, each with its chance
    assert axes.lines[1].get_linestyle() == "--"


def test_signs_and_layers_are_means_over_seeds():
    drawn = mask_plots.draw(make(), ARMS)
    [axes] = drawn["signs"][0].axes
    # The arms are alike here, and drawn once.
    assert [x.get_label() for x in axes.lines] == ["large", "chance"]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [80, 80])
    [axes] = drawn["layers"][0].axes
    assert [x.get_label() for x in axes.lines] == ["fc1"]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [50, 20])


def test_densities_are_one_picture_with_final_weights_upwards():
    bins = [
        Bin(arm, 0, 3, fate, x, y, 10)
        for arm, x in (("large", 0), ("small", 29))
        for fate, y in (("kept", 29), ("pruned", 0))
    ]
    figure, _ = mask_plots.draw(make(bins=bins), ARMS)["density"]
    [axes] = figure.axes
    shown = axes.images[0].get_array()
    rows, columns = np.nonzero(~shown.mask)
    gap, step = density_plots.GAP, 30 + density_plots.GAP
    assert list(zip(rows, columns, strict=True)) == [
        (gap, 0),
        (gap, step + 29),
        (step + gap + 29, 0),
        (step + gap + 29, step + 29),
    ]
    texts = {t.get_text() for t in axes.texts}
    assert {"large", "small", "kept", "pruned"} <= texts


def test_a_mask_may_be_there_before_its_network_is_evaluated():
    found = make(overlaps=overlaps())
    lines = [x for x in found.lines if x.round != 7]
    drawn = mask_plots.draw(found._replace(lines=lines), ARMS)
    [axes] = drawn["signs"][0].axes
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [50])
    assert "50.0 %" in drawn["overlap_matrix"][1]


def test_without_tables_there_are_no_figures():
    assert not mask_plots.draw(make(layers=()), ARMS)
