"""Plans say of which kind their run is; those of old versions get one."""

import json

import pytest
from reporting import line, plan, write

from tf_lottery.report import kinds, plan_files, showing
from tf_lottery.report.tables.csv_tables import DamagedFile
from tf_lottery.report.verdicts import read_runs, run_collection

IMAGES = {"call": "tf_lottery>images.Images", "name": "mnist", "stream": False}


def read(tmp_path, fields):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(fields))
    return plan_files.read_plan(path)


def test_reports_show_something_of_every_kind():
    assert showing.SHOWN.keys() == kinds.KINDS.keys()


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_the_kind_is_the_one_that_is_declared(tmp_path, kind):
    assert read(tmp_path, plan(kind=kind))["kind"] == kind
    # Whatever else the plan has.
    there = {**plan(kind="rounds"), "kind": kind}
    assert read(tmp_path, there)["kind"] == kind


@pytest.mark.parametrize("kind", ["rounds", "untrained", "supermask"])
def test_an_old_plan_gets_the_kind_it_had(tmp_path, kind):
    there = plan(kind=kind)
    del there["kind"]
    assert read(tmp_path, there)["kind"] == kind


@pytest.mark.parametrize("kind", ["", "round", 7, None])
def test_an_unknown_kind_is_said(tmp_path, kind):
    with pytest.raises(DamagedFile, match=r"kind to be one of .*plan\.json"):
        read(tmp_path, {**plan(), "kind": kind})


def test_images_of_an_old_recipe_are_its_task(tmp_path):
    found = read(tmp_path, plan(recipe={"images": IMAGES}))
    assert "images" not in found["recipe"]
    task = {"call": plan_files.TASK, "images": IMAGES}
    assert found["recipe"]["task"] == task
    new = read(tmp_path, plan(recipe={"task": task}))
    assert new == found


def test_runs_of_two_versions_are_one_figure(tmp_path):
    write(tmp_path / "old", [line(0)], recipe={"images": IMAGES})
    old = json.loads((tmp_path / "old" / "plan.json").read_text())
    del old["kind"]
    (tmp_path / "old" / "plan.json").write_text(json.dumps(old))
    task = {"call": plan_files.TASK, "images": IMAGES}
    write(tmp_path / "new", [line(1)], recipe={"task": task})
    runs, left_out = read_runs.read_all([tmp_path])
    [figure], notes = run_collection.merge(runs)
    assert not left_out and not notes
    assert figure.seeds == [0, 1]


def test_runs_of_two_kinds_are_two_figures(tmp_path):
    for kind in ("supermask", "curves"):
        write(tmp_path / kind, [line(0)], kind=kind)
    figures, _ = run_collection.merge(read_runs.read_all([tmp_path])[0])
    assert {figure.kind for figure in figures} == {"supermask", "curves"}
