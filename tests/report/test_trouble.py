"""Reports say what is wrong with a run: changed files, odd numbers, no end."""

import math

import pytest
from reporting import line, write, write_metrics

from tf_lottery.foundation import seal
from tf_lottery.foundation.records import Record
from tf_lottery.foundation.run_folder import RunFolder
from tf_lottery.report import reproduction_page, run_page
from tf_lottery.report.kinds import KINDS
from tf_lottery.report.tables.csv_tables import DamagedFile
from tf_lottery.report.verdicts import read_runs

LINES = [line(seed, "a", n) for seed in (0, 1) for n in (0, 3)]


@pytest.fixture
def folder(tmp_path):
    """A complete run, sealed."""
    folder = write(tmp_path / "runs" / "x", LINES, rounds=(3,))
    write_metrics(folder, LINES)
    run_page.build(folder)
    seal.write(folder)
    return folder


def report(folder):
    built = reproduction_page.build([folder.parent], folder.parent / "report")
    return built, built.page.read_text()


def changed(path):
    path.write_text(path.read_text().replace("0.9", "0.8"))


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def made_a_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", ["metrics.csv", "summary.csv", "layers.csv"])
@pytest.mark.parametrize("damage", [changed, cut, made_a_folder])
def test_a_run_that_was_changed_is_said_and_not_judged(folder, name, damage):
    assert not report(folder)[0].left_out
    before = (folder / name).read_bytes()
    damage(folder / name)
    if (folder / name).is_file() and (folder / name).read_bytes() == before:
        changed_layer(folder / name)
    built, page = report(folder)
    [text] = built.left_out
    assert f"runs/x as the run left them, received another {name}" in text
    assert "not judged" in text and "makes it again" in text
    assert name in page
    assert len(text) < 300 and "\n" not in text


def changed_layer(path):
    path.write_text(path.read_text().replace("1.0", "0.5"))


@pytest.mark.parametrize("text", ["garbage", "[1]", "{}", "[" * 100_000])
def test_a_seal_of_garbage_is_said(folder, text):
    (folder / "DONE").write_text(text)
    with pytest.raises(DamagedFile, match="received another DONE"):
        read_runs.read(folder)


@pytest.mark.parametrize("name", ["plan.json", "env.json"])
def test_json_that_is_nested_too_deep_is_damaged(folder, name):
    (folder / name).write_text("[" * 100_000)
    with pytest.raises(DamagedFile, match=f"JSON in .*{name}"):
        read_runs.read(folder)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_named(tmp_path, kind, value):
    samples = {"mask_samples": 10}
    folder = tmp_path / "runs" / "x"
    write(folder, LINES, False, kind=kind, recipe=samples)
    write_metrics(folder, LINES)
    run = RunFolder(folder)
    steps = (100_000, 110_000)
    run.append([Record(1, "a", 3, s, "test", "loss", value) for s in steps])
    run.append([Record(1, "a", 3, steps[0], "train", "loss", value)])
    expected = (
        f"expected finite numbers, received test loss {value} of arm 'a', "
        "seed 1, round 3, from step 100000 on (and 1 series more)"
    )
    assert expected in run_page.build(folder).notes
    assert (folder / "not_finite.csv").read_text().count("\n") == 3
    for done in (False, True):  # under way, and complete
        if done:
            seal.write(folder)
        built, page = report(folder)
        assert [t for t in built.left_out if "finite" in t] == [
            f"{folder}: {expected}"
        ]
        assert "received test loss" in page


def test_where_all_are_finite_nothing_is_said(folder):
    assert not (folder / "not_finite.csv").exists()
    assert not any("finite" in note for note in run_page.build(folder).notes)


def test_a_training_that_diverged_is_named_until_the_next_start(tmp_path):
    folder = write(tmp_path / "runs" / "x", [], False, arms=["a"])
    run = RunFolder(folder)
    text = "arm 'a': expected a finite loss, received one that is not at step 3"
    with pytest.raises(ArithmeticError), run.chain("a", 0) as chain:
        chain.note(text)
        raise ArithmeticError
    built, page = report(folder)
    assert f"{folder}: {text}" in built.left_out
    assert "received one that is not at step 3" in page
    with run.held(lambda: None):
        assert not report(folder)[0].left_out
