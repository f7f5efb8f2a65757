"""Run folders: which belong together, which count once, which are damaged."""

import json

import pytest
from reporting import line, write, write_metrics

from tf_lottery.report.tables.csv_tables import DamagedFile
from tf_lottery.report.verdicts import read_runs, run_collection


def lines(seeds=(0,), arms=("a",), rounds=(0, 3, 7), accuracy=0.9):
    return [
        line(seed, arm, number, accuracy + seed / 100)
        for seed in seeds
        for arm in arms
        for number in rounds
    ]


def merge(*folders):
    runs, left_out = read_runs.read_all(folders)
    assert not left_out
    return run_collection.merge(runs)


def test_seeds_of_several_folders_are_one_figure(tmp_path):
    write(tmp_path / "one", lines(seeds=(0, 1)))
    write(tmp_path / "two", lines(seeds=(2,), arms=("a", "b")))
    [figure], notes = merge(tmp_path)
    assert not notes
    assert figure.seeds == [0, 1, 2]
    assert figure.arms == ["a", "b"]
    assert len(figure.lines) == 2 * 3 + 2 * 3
    assert figure.folders["b", 2, 7] == tmp_path / "two"
    assert figure.folders["a", 1, 7] == tmp_path / "one"


def test_a_training_in_two_folders_counts_once(tmp_path):
    write(tmp_path / "one", lines(seeds=(0, 1)))
    longer = [x._replace(seconds=999.0) for x in lines(seeds=(1, 2))]
    write(tmp_path / "two", longer)
    [figure], [note] = merge(tmp_path)
    assert len(figure.lines) == 9
    assert "two: 3 of 6 trainings are there twice" in note
    assert "count once" in note


def test_another_result_of_the_same_training_is_left_out(tmp_path):
    write(tmp_path / "one", lines())
    write(tmp_path / "two", lines(accuracy=0.8))
    [figure], [note] = merge(tmp_path)
    assert {x.test_accuracy for x in figure.lines} == {0.9}
    assert "two: 3 of 3 trainings have another result" in note


@pytest.mark.parametrize(
    "other",
    [
        {"recipe": {"steps": 15_000}},
        {"recipe": {"dtype_policy": "mixed_bfloat16"}},
        {"fingerprint": "g"},
        {"name": "reinits"},
        {"experiment": {"rules": {"a": {"one_shot": True}}}},
        {"experiment": {"rules": {"a": {}}, "scope": "global"}},
        {"rounds": (7,)},
        {"rounds": (9,)},
        {"network": "Conv-2"},
    ],
    ids=str,
)
def test_runs_of_two_protocols_are_never_averaged(tmp_path, other):
    rounds = (0, *other.get("rounds", (3, 7)))
    write(tmp_path / "one", lines())
    write(tmp_path / "two", lines(seeds=(1,), rounds=rounds), **other)
    figures, notes = merge(tmp_path)
    assert len(figures) == 2
    assert not notes
    assert [len(f.seeds) for f in figures] == [1, 1]


def test_runs_that_tested_at_early_stops_only_are_of_the_same_protocol(
    tmp_path,
):
    write(tmp_path / "one", lines())
    write(tmp_path / "two", lines(seeds=(1,)), recipe={"test_at_stop": True})
    [figure], _ = merge(tmp_path)
    assert figure.seeds == [0, 1]


def test_ladders_that_agree_as_far_as_both_go_are_one(tmp_path):
    write(tmp_path / "one", lines(rounds=(0, 3, 7, 10)), rounds=(3, 7, 10))
    write(tmp_path / "two", lines(rounds=(0, 3, 7, 9)), rounds=(3, 7, 9))
    [figure], [note] = merge(tmp_path)
    assert {x.round for x in figure.lines} == {0, 3, 7, 9, 10}
    assert "3 of 4 trainings are there twice" in note


def test_a_run_under_way_is_read_from_its_metrics(tmp_path):
    there = lines()
    folder = write(tmp_path / "one", there, done=False)
    (folder / "summary.csv").write_text("of an earlier day")
    write_metrics(folder, there[:2])
    with open(folder / "metrics.csv", "a") as file:
        file.write("0,a,7,0,validation,lo")  # being written
    run = read_runs.read(folder)
    assert not run.complete
    assert [x.round for x in run.lines] == [0, 3]
    assert run.lines[0].test_accuracy_at_stop == 0.9
    [figure], _ = run_collection.merge([run])
    assert f"{folder} is under way" in figure.deviations


def test_a_training_whose_mask_is_not_written_down_yet_is_not_shown(tmp_path):
    folder = write(tmp_path / "one", lines(), done=False)
    write_metrics(folder, lines())
    text = (folder / "metrics.csv").read_text()
    later = [x for x in text.splitlines(True) if "0,a,0,0,all" not in x]
    (folder / "metrics.csv").write_text("".join(later))
    assert [x.round for x in read_runs.read(folder).lines] == [3, 7]


def test_deviations_are_those_of_the_paper_of_the_network(tmp_path):
    write(
        tmp_path / "one",
        lines(seeds=(0, 1)),
        network="Conv-2",
        recipe={"steps": 800, "dtype_policy": "mixed_bfloat16"},
        rounds=(3, 7),
        fingerprint=(
            "578594f1fbcd5fdeb48e31a9f33f782e1530a43317d91a00b62756ded5682902"
        ),
    )
    [figure], _ = merge(tmp_path)
    assert figure.network == "Conv-2"
    assert figure.deviations == [
        "dtype policy mixed_bfloat16 instead of float32",
        "steps 800 instead of 20,000",
        "2 rounds instead of 24",
        "2 seeds instead of 5",
        "these CIFAR-10 images were once JPEG-compressed",
    ]


def test_minutes_count_the_dense_network_once(tmp_path):
    write(tmp_path / "one", lines(arms=("a", "b")))
    [figure], _ = merge(tmp_path)
    assert figure.minutes == 5


DAMAGE = {
    "no run": (None, None, "a run's folder with a plan.json"),
    "plan cut off": ("plan.json", lambda t: t[:40], "JSON in"),
    "plan without a field": (
        "plan.json",
        lambda t: json.dumps({**json.loads(t), "recipe": None}),
        "recipe to be dict",
    ),
    "summary gone": ("summary.csv", None, "a table in"),
    "cut off within a line": ("summary.csv", lambda t: t[:-30], "whole line"),
    "another header": ("summary.csv", lambda t: "x" + t, "to begin with"),
    "too many cells": (
        "summary.csv",
        lambda t: t.replace("\n1,a,3", "\n1,1,a,3"),
        "11 cells in .*line 3",
    ),
    "no number": (
        "summary.csv",
        lambda t: t.replace("0.9", "O.9", 1),
        "line 2.*O.9",
    ),
    "not text": ("summary.csv", lambda t: b"\xff\xfe" + t.encode(), "a table"),
    "more than all": (
        "summary.csv",
        lambda t: t.replace("0.9", "9.0"),
        "test_accuracy to be a fraction",
    ),
    "nothing remains": (
        "summary.csv",
        lambda t: t.replace("1.0,50,", "nan,50,"),
        "weights to remain",
    ),
    "an unknown arm": (
        "summary.csv",
        lambda t: t.replace(",a,", ",b,"),
        r"one of the arms \['a'\]",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_said_and_leaves_the_other_runs(tmp_path, what):
    name, change, message = DAMAGE[what]
    write(tmp_path / "good", lines())
    folder = write(tmp_path / "bad", lines(seeds=(1,)))
    if name is None:
        (folder / "plan.json").unlink()
    elif change is None:
        (folder / name).unlink()
    else:
        changed = change((folder / name).read_text())
        if isinstance(changed, str):
            changed = changed.encode()
        (folder / name).write_bytes(changed)
    with pytest.raises(DamagedFile, match=message):
        read_runs.read(folder)
    runs, [left_out] = read_runs.read_all([tmp_path])
    assert [run.folder.name for run in runs] == ["good"]
    assert "bad" in left_out


def test_damaged_metrics_of_a_run_under_way_are_said(tmp_path):
    folder = write(tmp_path / "bad", lines(), done=False)
    write_metrics(folder, lines())
    text = (folder / "metrics.csv").read_text()
    (folder / "metrics.csv").write_text(text.replace("0,a,3,0,", "0,a,3,?,"))
    with pytest.raises(DamagedFile, match=r"records in .*metrics.csv"):
        read_runs.read(folder)


def test_a_training_that_contradicts_itself_is_left_out(tmp_path):
    twice = [*lines(), line(0, "a", 3, 0.5)]
    write(tmp_path / "one", twice)
    [figure], [note] = merge(tmp_path)
    assert [x.test_accuracy for x in figure.lines] == [0.9] * 3
    assert "one: 1 of 4 trainings have another result" in note


def test_a_folder_named_twice_counts_once(tmp_path):
    folder = write(tmp_path / "one", lines())
    [figure], notes = merge(tmp_path, folder, folder / ".." / "one")
    assert len(figure.runs) == 1 and not notes


def test_a_run_that_has_just_begun_has_no_lines(tmp_path):
    folder = write(tmp_path / "one", [], arms=("a",), done=False)
    (folder / "summary.csv").unlink()
    run = read_runs.read(folder)
    assert not run.complete and not run.lines
    (folder / "metrics.csv").write_text("seed,arm")  # its first line
    assert not read_runs.read(folder).lines


FIELDS = {
    "rounds": ("x", None, [1, "x"]),
    "arms": ([], ["a", 1], {}),
    "recipe": ({}, {"model": {}}, {"model": {}, "steps": "many"}),
    "experiment": ({"rules": None}, {"rules": []}, {"rules": {"a": 1}}),
    "deviations": (None, "none"),
    "seeds": ("three",),
}


@pytest.mark.parametrize(
    "name, value",
    [(name, value) for name, values in FIELDS.items() for value in values],
    ids=str,
)
def test_a_plan_is_checked_field_by_field(tmp_path, name, value):
    folder = write(tmp_path / "one", lines())
    there = json.loads((folder / "plan.json").read_text())
    if (name, value) == ("rounds", None):
        del there[name]
    else:
        there[name] = value
    (folder / "plan.json").write_text(json.dumps(there))
    with pytest.raises(DamagedFile, match=r"expected .* in .*plan\.json"):
        read_runs.read(folder)


def test_what_does_not_exist_is_said(tmp_path):
    runs, [left_out] = read_runs.read_all([tmp_path / "nowhere"])
    assert not runs
    assert "nowhere" in left_out
