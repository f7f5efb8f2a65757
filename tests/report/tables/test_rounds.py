"""Tables and figures over rounds, of records that are easy to follow."""

import json

import numpy as np
import pytest

from tf_lottery.foundation.records import Record
from tf_lottery.foundation.run_folder import RunFolder
from tf_lottery.report import run_page
from tf_lottery.report.plots import round_plots
from tf_lottery.report.tables import rounds, summary

ARMS = ("ticket", "reinit #1", "reinit #2", "reinit #3")
REMAINING = {0: 1.0, 1: 0.8, 3: 0.512}


def training(seed, arm, round, accuracy, stop, steps=40):
    """Records of a training with its lowest validation loss at `stop`."""
    yield Record(seed, arm, round, 0, "all", "remaining", REMAINING[round])
    for step in range(0, steps + 1, 10):
        loss = abs(step - stop) / 10
        at_stop = accuracy if step == stop else accuracy - 0.01
        yield Record(seed, arm, round, step, "validation", "loss", loss)
        yield Record(seed, arm, round, step, "test", "loss", loss)
        yield Record(seed, arm, round, step, "test", "accuracy", at_stop)
    if steps:
        yield Record(seed, arm, round, steps, "train", "accuracy", 0.999)


def lines_of(records):
    return summary.summarize(list(records))


@pytest.fixture
def lines():
    """Two seeds; a reinit is worse by its number, later, by the round."""
    records = []
    for seed in (0, 1):
        for i, arm in enumerate(ARMS):
            for round in REMAINING:
                worse = i * round / 100
                accuracy = 0.98 - worse - seed / 1000
                stop = 10 if i == 0 else 20
                records += training(seed, arm, round, accuracy, stop)
    return lines_of(records)


def test_repetitions_are_one_line(lines):
    series = rounds.points(lines, ARMS, rounds.accuracy_at_stop)
    assert list(series) == ["ticket", "reinit"]
    dense, first, third = series["reinit"]
    assert len(dense.values) == 2  # one training a seed, whatever the draws
    assert len(first.values) == len(third.values) == 6
    assert [p.remaining for p in series["reinit"]] == pytest.approx(
        [100, 80, 51.2]
    )
    assert third.mean == pytest.approx(98 - 6 - 0.05)
    assert min(third.values) == pytest.approx(98 - 9 - 0.1)
    assert series["ticket"][2].mean == pytest.approx(97.95)


def test_tables_have_accuracies_and_early_stops(lines):
    (title, header, rows), (_, _, steps) = rounds.tables(lines, ARMS)
    assert "early stop" in title
    assert header == ("arm", "runs", "100 %", "80 %", "51.2 %")
    assert rows == [
        ("ticket", "2", "97.95", "97.95", "97.95"),
        ("reinit", "6", "97.95", "95.95", "91.95"),
    ]
    assert steps == [
        ("ticket", "2", "10", "10", "10"),
        ("reinit", "6", "20", "20", "20"),
    ]


def test_of_many_rounds_a_table_has_some_with_both_ends():
    series = {
        "a": [rounds.RoundPoint(100 * 0.8**k, (float(k),)) for k in range(25)],
        "b": [rounds.RoundPoint(100.0, (7.0,))],
        "no rate": [rounds.RoundPoint(60.0, (5.0,))] * 25,
        "c": [],
    }
    _, header, rows = rounds.table("", series, 0)
    assert len(header) == 2 + rounds.COLUMNS
    assert rows[0][2] == "0" and rows[0][-1] == "24"
    assert rows[1] == ("b", "1", "7", *["–"] * (rounds.COLUMNS - 1))
    assert rows[2] == ("no rate", "1", *["–"] * rounds.COLUMNS)
    assert len(rows) == 3


def test_an_experiment_without_training_says_so():
    records = [
        *training(0, "a", 0, 0.98, 10),
        *training(0, "a", 1, 0.41, 0, steps=0),
        *training(0, "a", 3, 0.86, 0, steps=0),
    ]
    lines = lines_of(records)
    [(title, header, rows)] = rounds.untrained_tables(lines, ("a",))
    assert "without training" in title
    assert header == ("arm", "runs", "80 %", "51.2 %", "best")
    assert rows == [("a", "1", "41.00", "86.00", "86.00")]
    [(name, (figure, _))] = round_plots.draw_untrained(lines, ("a",)).items()
    assert name == "accuracy"
    untrained, dense = figure.axes[0].lines
    assert untrained.get_ydata().tolist() == [41, 86]
    assert dense.get_ydata()[0] == pytest.approx(97)


def test_figures_run_from_all_weights_to_few_with_the_dense_network(lines):
    drawn = round_plots.draw(lines, ARMS)
    assert list(drawn) == [
        *("accuracy_at_stop", "stop_step", "accuracy_at_end"),
        "train_accuracy",
    ]
    figure, caption = drawn["accuracy_at_stop"]
    [axes] = figure.axes
    left, right = axes.get_xlim()
    assert left > 100 and right < 51.2
    assert axes.get_xscale() == "log"
    ticket, reinit, dense = axes.lines
    assert [ticket.get_label(), reinit.get_label()] == ["ticket", "reinit"]
    np.testing.assert_allclose(ticket.get_xdata(), [100, 80, 51.2])
    np.testing.assert_allclose(reinit.get_ydata(), [97.95, 95.95, 91.95])
    assert dense.get_linestyle() == "--"
    assert dense.get_ydata()[0] == pytest.approx(97.95)
    _, band = axes.collections
    low, high = band.get_paths()[0].vertices[:, 1].min(), 98.0
    assert low == pytest.approx(98 - 9 - 0.1)
    assert band.get_paths()[0].vertices[:, 1].max() == pytest.approx(high)
    assert "lowest to the highest" in caption


def test_what_is_far_below_leaves_the_figure():
    records = [
        *training(0, "good", 0, 0.98, 10),
        *training(0, "good", 1, 0.97, 10),
        *training(0, "bad", 0, 0.98, 10),
        *training(0, "bad", 1, 0.2, 10),
    ]
    drawn = round_plots.draw(lines_of(records), ("good", "bad"))
    low, high = drawn["accuracy_at_stop"][0].axes[0].get_ylim()
    assert low == pytest.approx(88)
    assert high > 98


def test_variants_are_dashed_and_many_have_a_panel_of_their_own():
    def draw(names):
        records = [
            record
            for name in names
            for round in REMAINING
            for record in training(0, name, round, 0.9, 10)
        ]
        return round_plots.draw(lines_of(records), names)["stop_step"][0]

    [axes] = draw(["constant", "constant, same sign", "rewind"]).axes
    plain, signed, other, _ = axes.lines
    assert plain.get_color() == signed.get_color() != other.get_color()
    assert (plain.get_linestyle(), signed.get_linestyle()) == ("-", "--")

    names = [f"c{i}" for i in range(9)]
    figure = draw([*names, *(f"{name} SC" for name in names)])
    assert len(figure.axes) == 2
    first, second = ([x.get_label() for x in a.lines] for a in figure.axes)
    assert first[:-1] == names
    assert second[:-1] == [f"{name} SC" for name in names]
    assert figure.axes[1].get_title().strip() == "SC"
    # What has the same colour has another marker, and another style of line.
    for look in ("get_marker", "get_linestyle"):
        looks = {
            (x.get_color(), getattr(x, look)()) for x in figure.axes[0].lines
        }
        assert len(looks) == 10


def test_the_page_of_an_experiment_in_rounds(tmp_path):
    run = RunFolder(tmp_path / "tickets-0")
    for arm in ARMS:
        for round in REMAINING:
            run.append(training(0, arm, round, 0.98, 10))
    run.write("config.gin", "SEEDS = 1\n")
    run.write_json("env.json", {"command": "python -m tf_lottery.main"})
    plan = {
        "name": "tickets",
        "kind": "rounds",
        "arms": ARMS,
        "rounds": [1, 3],
        "seeds": 1,
        "data": "mnist",
        "fingerprint": "f",
        "experiment": {},
        "recipe": {
            "model": {},
            "steps": 40,
            "batch_size": 60,
            "eval_every": 10,
        },
        "published": None,
        "deviations": [],
    }
    run.write_json("plan.json", plan)
    report = run_page.build(run.folder)
    assert [len(table.rows) for table in report.tables] == [2, 2]
    text = report.page.read_text()
    assert text.count("<table>") == 2
    assert text.count("<img") == 4
    assert "Early-stop iteration" in text
    for name in ("accuracy_at_stop", "stop_step"):
        for kind in ("svg", "png"):
            assert (run.folder / "figures" / f"{name}.{kind}").exists()
    csv = (run.folder / "summary.csv").read_text().splitlines()
    assert len(csv) == 1 + 4 * 3
    # In the order of the legend, whoever wrote first.
    assert [x.split(",")[1:3] for x in csv[1:4]] == [
        ["ticket", str(round)] for round in (0, 1, 3)
    ]
    assert json.loads((run.folder / "plan.json").read_text()) == {
        **plan,
        "arms": list(ARMS),
    }


def test_the_dense_line_is_that_of_most_arms():
    def dense(*accuracies):
        lines = lines_of(
            record
            for arm, accuracy in enumerate(accuracies)
            for record in training(0, f"arm {arm}", 0, accuracy, 20)
        )
        return rounds.dense(lines, rounds.accuracy_at_stop)

    assert dense(0.9, 0.9, 0.8) == pytest.approx(90)
    assert dense(0.9) == pytest.approx(90)
    assert np.isnan(dense(0.9, 0.8, 0.7))
    assert np.isnan(rounds.dense([], rounds.accuracy_at_stop))


def test_without_a_common_dense_network_none_is_drawn():
    own = {"one": 0.9, "two": 0.8}
    lines = lines_of(
        record
        for arm, accuracy in own.items()
        for number in (0, 1)
        for record in training(0, arm, number, accuracy, 20)
    )
    figure, _ = round_plots.draw(lines, tuple(own))["accuracy_at_stop"]
    [axes] = figure.axes
    assert [x.get_label() for x in axes.lines] == ["one", "two"]


def test_stops_at_the_last_iteration_are_marked():
    lines = lines_of(
        record
        for seed, stop in enumerate((20, 40))
        for number in (0, 3)
        for record in training(
            seed, "ticket", number, 0.9, stop if number else 20
        )
    )
    points = rounds.points(lines, ["ticket"], rounds.stop_step)["ticket"]
    assert [point.censored for point in points] == [0, 1]
    [_, stops] = rounds.tables(lines, ["ticket"])
    assert stops.rows == [("ticket", "2", "20", "≥ 30")]
    figure, _ = round_plots.draw(lines, ["ticket"])["stop_step"]
    [mark] = [x for x in figure.axes[0].lines if x.get_marker() == "^"]
    assert mark.get_ydata() == [30]
