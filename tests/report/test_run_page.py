import json
import subprocess
import sys

import numpy as np
import pytest

from tf_lottery.foundation import snapshot_files
from tf_lottery.foundation.records import Record, Snapshot
from tf_lottery.foundation.run_folder import RunFolder
from tf_lottery.report import run_page
from tf_lottery.report.tables import beside_paper, summary

ARMS = ["init", "DWR init", "not run"]


def records(seed, arm, accuracies):
    """A training with a validation loss that is lowest in the middle."""
    for step, accuracy in enumerate(accuracies):
        losses = {"validation": abs(step - 1) + 0.5, "test": 9.0}
        for split, loss in losses.items():
            yield Record(seed, arm, 0, step, split, "loss", loss)
            yield Record(seed, arm, 0, step, split, "accuracy", accuracy)
    last = len(accuracies) - 1
    yield Record(seed, arm, 0, last, "train", "accuracy", 0.99)
    yield Record(seed, arm, 0, last, "train", "seconds", 120.0)
    yield Record(seed, arm, 0, last, "fc1/kernel", "remaining", 0.4)
    yield Record(seed, arm, 0, last, "all", "remaining", 0.5)


ROWS = [
    *records(0, "init", [0.1, 0.95, 0.9]),
    *records(1, "init", [0.1, 0.93, 0.94]),
    *records(0, "DWR init", [0.1, 0.96, 0.98]),
]


@pytest.fixture
def folder(tmp_path):
    run = RunFolder(tmp_path / "supermask-0")
    run.append(ROWS)
    snapshot = {
        "histogram fc1/kernel": np.arange(40),
        "first layer": np.random.default_rng(0).random(784),
    }
    for arm in ARMS[:2]:
        snapshot_files.save(run.folder, Snapshot(0, arm, 0, snapshot))
    run.write("config.gin", "SEEDS = 2 # <b>not markup</b>\n")
    run.write_json("env.json", {"command": "python -m tf_lottery.main"})
    plan = {
        "name": "supermask",
        "kind": "supermask",
        "arms": ARMS,
        "rounds": None,
        "seeds": 2,
        "data": "mnist_5k",
        "fingerprint": "f",
        "experiment": {},
        "recipe": {
            "model": {},
            "steps": 2,
            "batch_size": 250,
            "mask_samples": 10,
        },
        "published": {
            "source": "A paper, table 1",
            "accuracy": {"init": 95.3},
        },
        "deviations": ["2 steps instead of 440,000"],
    }
    run.write_json("plan.json", plan)
    return run.folder


def test_a_line_is_what_the_training_came_to():
    lines = summary.summarize(ROWS)
    assert [(line.seed, line.arm) for line in lines] == [
        (0, "init"),
        (1, "init"),
        (0, "DWR init"),
    ]
    first = lines[0]
    assert (first.steps, first.stop_step) == (2, 1)
    assert first.test_accuracy_at_stop == 0.95
    assert first.test_accuracy == 0.9
    assert first.validation_accuracy == 0.9
    assert (first.train_accuracy, first.seconds) == (0.99, 120.0)
    assert first.remaining == 0.5


def test_of_equal_losses_the_first_stops():
    rows = [
        Record(0, "init", 0, step, split, metric, 0.5)
        for step in (20, 0, 10)
        for split in ("validation", "test")
        for metric in ("loss", "accuracy")
    ]
    assert summary.summarize(rows)[0].stop_step == 0


def test_test_images_that_waited_for_an_early_stop_give_the_same_line():
    def rows(step, loss, accuracy):
        numbers = {
            ("validation", "loss"): loss,
            ("validation", "accuracy"): accuracy,
            ("test", "loss"): loss,
            ("test", "accuracy"): accuracy,
        }
        return [
            Record(0, "init", 0, step, *what, value)
            for what, value in numbers.items()
        ]

    whole = [*rows(0, 2.0, 0.1), *rows(5, 0.5, 0.9), *rows(10, 0.6, 0.8)]
    whole += rows(15, 0.7, 0.7)
    fewer = [r for r in whole if r.where != "test" or r.step != 10]
    [line] = summary.summarize(fewer)
    assert (line.steps, line.stop_step) == (15, 5)
    assert (line.test_accuracy_at_stop, line.test_accuracy) == (0.9, 0.7)
    [under_way] = summary.summarize(fewer[:-4])
    assert (under_way.steps, under_way.test_accuracy) == (10, 0.9)


def test_a_run_that_just_started_has_gaps_and_no_error():
    [line] = summary.summarize(list(records(0, "init", [0.1]))[:4])
    assert line.stop_step == 0
    assert np.isnan(line.train_accuracy)
    assert np.isnan(line.remaining)
    assert summary.summarize([]) == []


def test_the_comparison_by_hand():
    lines = summary.summarize(ROWS)
    rows = beside_paper.compare(lines, ARMS, {"init": 95.3})
    assert [row.arm for row in rows] == ["init", "DWR init"]
    init, dwr = rows
    assert (init.seeds, init.lowest, init.highest) == (2, 90.0, 94.0)
    assert init.mean == pytest.approx(92.0)
    assert init.difference == pytest.approx(92.0 - 95.3)
    assert (init.remaining, init.minutes) == (50.0, 2.0)
    assert (dwr.paper, dwr.difference) == (None, None)
    assert beside_paper.cells(init) == (
        *("init", "2", "92.00", "90.00", "94.00", "95.3", "-3.30"),
        *("50.0", "–", "2.0"),
    )
    assert len(beside_paper.HEADER) == len(init)
    masked = [
        line._replace(round=1, test_accuracy=value, seconds=float("nan"))
        for line, value in zip(lines[:2], (0.8, 0.9), strict=True)
        if line.arm == "init"
    ]
    [both, _] = beside_paper.compare([*lines, *masked], ARMS, {})
    assert both.mean == init.mean
    assert both.thresholded == pytest.approx(
        100 * np.mean([line.test_accuracy for line in masked])
    )


def test_the_page_holds_everything_and_needs_nothing_else(folder):
    report = run_page.build(folder)
    text = report.page.read_text()
    for expected in (
        *("DWR init", "92.00", "95.3", "-3.30", "A paper, table 1"),
        *("2 steps instead of 440,000", "&lt;b&gt;not markup"),
        f"--gin_file={folder}/config.gin",
    ):
        assert expected in text
    assert text.count("data:image/svg+xml;base64,") == 4
    for reference in ('src="http', 'href="', "<script", "@import"):
        assert reference not in text
    for name in ("accuracy", "probabilities", "remaining", "first_layer"):
        svg = (folder / "figures" / f"{name}.svg").read_text()
        assert svg.lstrip().startswith("<?xml")
        png = (folder / "figures" / f"{name}.png").read_bytes()
        assert png.startswith(b"\x89PNG")
        assert len(png) > 5000
    header, *lines = (folder / "summary.csv").read_text().splitlines()
    assert header == ",".join(summary.Line._fields)
    assert len(lines) == 3


def test_the_same_run_gives_the_same_bytes(folder):
    def everything():
        run_page.build(folder)
        files = [folder / "report.html", *(folder / "figures").glob("*.svg")]
        return {file.name: file.read_bytes() for file in files}

    assert everything() == everything()


def test_a_page_without_pictures_has_the_curves(folder):
    for path in (folder / "snapshots").iterdir():
        path.unlink()
    text = run_page.build(folder).page.read_text()
    assert text.count("data:image/svg+xml;base64,") == 1


def test_a_page_without_published_numbers(folder):
    plan = json.loads((folder / "plan.json").read_text())
    plan["published"], plan["deviations"] = None, []
    (folder / "plan.json").write_text(json.dumps(plan))
    report = run_page.build(folder)
    [table] = report.tables
    paper = table.header.index("paper")
    assert table.rows[0][paper] == "–"
    assert "Paper:" not in report.page.read_text()


def test_tensorflow_is_not_imported():
    code = (
        "import sys; import tf_lottery.report.run_page; "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
