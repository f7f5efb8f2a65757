"""Plain trainings: tables and figures over steps, of hand-made records."""

import csv
import math

import numpy as np
import pytest
from reporting import plan

from tf_lottery.foundation.records import Record
from tf_lottery.foundation.run_folder import RunFolder
from tf_lottery.report import reproduction_page, run_page
from tf_lottery.report.plots import training_plots
from tf_lottery.report.tables import run_tables, series, summary
from tf_lottery.report.tables.training_table import training_table
from tf_lottery.report.verdicts import read_runs, run_collection

ARMS = ("plain", "weight decay", "not run")
STEPS = 20_000
# At which step train and validation accuracy reach 99 %.
REACHED = {
    ("plain", "train"): 1000,
    ("plain", "validation"): math.inf,
    ("weight decay", "train"): 1200,
    ("weight decay", "validation"): 15_000,
}


def accuracy(arm, split, step, seed):
    """Half at first, and 0.99 from its step (later by the seed) on."""
    reached = REACHED[arm, "validation" if split == "test" else split]
    reached += 100 * seed
    return 0.99 if step >= reached else 0.5 * step / (step + 5000)


def training(arm, seed, steps=STEPS):
    """Records in the order of a run: all splits of a step, then the next."""
    for step in range(0, steps + 1, 100):
        for split in series.SPLITS:
            value = accuracy(arm, split, step, seed)
            loss = 5 * (1 - value)
            key = (seed, arm, 0, step, split)
            yield Record(*key, "loss", loss)
            yield Record(*key, "perplexity", math.exp(loss))
            yield Record(*key, "accuracy", value)
    if steps == STEPS:
        yield Record(seed, arm, 0, steps, "train", "seconds", 30.0)


@pytest.fixture
def folder(tmp_path):
    run = RunFolder(tmp_path / "runs" / "grokking-0")
    for arm in ARMS[:2]:
        for seed in (0, 1):
            run.append(training(arm, seed))
    run.write("config.gin", "SEEDS = 2\n")
    run.write_json("env.json", {"command": "python -m tf_lottery.main"})
    fields = plan(kind="curves", arms=ARMS, name="grokking")
    fields["recipe"]["steps"] = STEPS
    run.write_json("plan.json", {**fields, "data": "modular addition"})
    return run.folder


def test_the_table_has_last_values_and_first_steps():
    records = [r for arm in ARMS[:2] for s in (0, 1) for r in training(arm, s)]
    table = training_table(records, ARMS)
    assert table.header == (
        *("arm", "seeds", "train loss", "validation loss", "test loss"),
        *("train perplexity", "validation perplexity", "test perplexity"),
        *("train accuracy (%)", "validation accuracy (%)"),
        *("test accuracy (%)", "train 99 %", "validation 99 %"),
    )
    plain, decayed = table.rows
    assert plain[:2] == ("plain", "2")
    assert plain[2:4] == ("0.05", "3")
    assert plain[5] == f"{math.exp(0.05):.4g}"
    assert plain[8:] == ("99.00", "40.00", "40.00", "1,050", "never")
    assert decayed[8:] == ("99.00", "99.00", "99.00", "1,250", "15,050")
    # A seed that does not get there is said; what was thinned loses nothing.
    short = [r for r in records if r.seed == 0 or r.step < 15_000]
    row = training_table(short, ARMS).rows[1]
    assert row[-1] == "15,000 (1 of 2 seeds)"
    assert training_table(series.thin(records), ARMS) == table
    assert training_table(series.thin(short), ARMS).rows[1] == row


def test_without_accuracies_there_are_no_first_steps():
    records = [r for r in training("plain", 0) if r.metric == "perplexity"]
    table = training_table(records, ARMS)
    assert table.header[2:] == (
        *("train perplexity", "validation perplexity", "test perplexity"),
    )
    assert not training_table([], ARMS).rows


def test_thinning_keeps_ends_and_a_point_every_two_per_cent():
    records = list(training("plain", 0))
    kept = series.thin(records)
    assert len(kept) < len(records)
    steps = [r.step for r in kept if (r.where, r.metric) == ("test", "loss")]
    assert (steps[:3], steps[-1]) == ([0, 100, 200], STEPS)
    # Or the next one that there is.
    assert (np.diff(steps) <= 0.02 * np.array(steps[:-1]) + 100).all()
    assert len(steps) < 110
    assert "seconds" not in {r.metric for r in kept}
    assert set(kept) <= set(records)


def test_a_figure_for_each_metric_with_a_curve_for_each_split(folder):
    records = read_runs.read(folder).details().curves
    drawn = training_plots.draw(records, ARMS)
    assert list(drawn) == ["loss", "perplexity", "accuracy"]
    [axes] = drawn["accuracy"][0].axes
    shown = [x for x in axes.lines if len(x.get_xdata())]
    assert [x.get_linestyle() for x in shown] == ["-", "--"] * 2
    validation, train, *_, last = shown
    assert validation.get_color() == train.get_color() != last.get_color()
    assert axes.get_xscale() == "log" and axes.get_yscale() == "linear"
    assert drawn["perplexity"][0].axes[0].get_yscale() == "log"
    assert drawn["loss"][0].axes[0].get_yscale() == "linear"
    by_step = dict(zip(train.get_xdata(), train.get_ydata(), strict=True))
    assert min(by_step) == 100
    assert by_step[STEPS] == pytest.approx(99)
    between = 100 * (0.99 + 0.5 * 1000 / 6000) / 2  # one seed is there
    assert by_step[1000] == pytest.approx(between)
    [legend] = drawn["accuracy"][0].legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["plain", "weight decay", "train", "validation"]
    assert "Dashed" in drawn["accuracy"][1]


def test_a_metric_without_validation_shows_the_test_examples():
    records = [
        Record(0, "plain", 0, step, "test", "exact match", 0.1)
        for step in (10, 20)
    ]
    [(name, (figure, caption))] = training_plots.draw(records, ARMS).items()
    assert name == "exact_match"
    assert "solid: on the test examples" in caption
    assert list(figure.axes[0].lines[0].get_xdata()) == [10, 20]


def test_the_page_of_a_run(folder):
    built = run_page.build(folder)
    [table] = built.tables
    assert [row[0] for row in table.rows] == ["plain", "weight decay"]
    text = built.page.read_text()
    assert text.count("<img") == 3 and text.count("<table>") == 1
    assert "60 examples" in built.notes[0]
    assert "remaining" not in text.partition("To reproduce")[0]
    with open(folder / "summary.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert {row["remaining"] for row in rows} == {"nan"}
    assert rows[0]["test_accuracy"] == "0.4"
    assert not (folder / "layers.csv").exists()


def test_small_files_are_enough_for_the_report_of_many_runs(folder):
    whole = read_runs.read(folder)
    assert not whole.complete and len(whole.lines) == 4
    curves = whole.details().curves
    run_page.build(folder)
    (folder / "metrics.csv").unlink()
    again = read_runs.read(folder)
    assert again.complete
    assert repr(again.lines) == repr(whole.lines)
    assert again.details().curves == curves
    out = folder.parents[1] / "report"
    built = reproduction_page.build([folder], out)
    assert not built.left_out
    text = (out / "results.md").read_text()
    assert "| weight decay | 2 | " in text and "15,050" in text
    assert "seeds instead" not in text
    names = {path.name for path in (out / "figures").iterdir()}
    assert names == {
        f"grokking_{metric}.{kind}"
        for metric in ("loss", "perplexity", "accuracy")
        for kind in ("svg", "png")
    }
    svg = (out / "figures/grokking_loss.svg").read_text()
    assert 'xlink:href="../runs/grokking-0/"' in svg


def test_seeds_of_two_folders_are_one_figure(folder):
    other = RunFolder(folder.parent / "grokking-1")
    other.append(training("plain", 1))
    other.append(training("plain", 2))
    text = (folder / "plan.json").read_text()
    other.write("plan.json", text)
    for path in (folder, other.folder):
        tables = read_runs.measure(path, read_runs.read(path).plan)
        run_tables.write(path, tables)
    runs, _ = read_runs.read_all([folder.parent])
    [figure], [note] = run_collection.merge(runs)
    assert "1 of 2 trainings are there twice" in note
    plain = series.series_of(figure.curves)["plain", "train", "loss"]
    assert sorted(plain) == [0, 1, 2]
    whole = list(figure.curves)
    assert len(whole) == len(set(whole))


def test_a_run_under_way_is_shown_as_far_as_it_is(folder):
    path = folder / "metrics.csv"
    whole = path.read_text().splitlines(keepends=True)
    for end in (0, 1, 2, 3, 5, 9, 10, 11, 300):
        path.write_text("".join(whole[:end]))
        built = run_page.build(folder)
        assert len(built.tables) == 1
    [found] = read_runs.read(folder).lines
    assert (found.arm, found.seed) == ("plain", 0)
    assert math.isnan(found.remaining)


def test_a_task_without_accuracies_has_lines():
    records = [r for r in training("plain", 0) if r.metric != "accuracy"]
    [found] = summary.summarize(records)
    assert (found.steps, found.stop_step, found.seconds) == (STEPS, STEPS, 30)
    assert math.isnan(found.test_accuracy)
