"""Arrows between the wings point one way: read off the imports.

A wing may import the wings below it only, and no two files of a wing import
each other in a circle. A new file goes into the wing whose sentence in
docs/understand says so; no table here lists it.
"""

import graphlib
import sys

import pytest
from conftest import ROOT
from sources import MODULES, PACKAGE, imports, own

# What each wing may import; main and configuration may import all.
BELOW = {
    "foundation": set(),
    "rules": {"foundation"},
    "masking": {"foundation", "rules"},
    "compression": {"foundation", "rules", "masking"},
    "workloads": {"foundation", "rules", "masking"},
    "training": {"foundation", "rules", "masking", "workloads"},
    "experiments": {"foundation", "rules", "masking", "workloads", "training"},
    "report": {"foundation", "rules"},
}
TOP = {"__main__", "main", "configuration"}
NUMPY_ONLY = ("foundation", "rules")


def wing(name):
    return name.partition(".")[0]


def reachable(name):
    found, todo = set(), [name]
    while todo:
        new = own(todo.pop()) - found
        found |= new
        todo += new
    return found | {name}


def of(*wings):
    return [name for name in MODULES if wing(name) in wings]


def test_the_house_has_eight_wings_and_a_door():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == BELOW.keys()
    files = {path.stem for path in PACKAGE.glob("*.py")}
    assert files - {"__init__"} <= TOP
    for path in PACKAGE.rglob("*.py"):
        assert (path.parent / "__init__.py").exists(), path


@pytest.mark.parametrize("name", of(*BELOW))
def test_imports_point_down(name):
    up = {n for n in own(name) if wing(n) not in BELOW[wing(name)]}
    up = {n for n in up if wing(n) != wing(name)}
    assert not up, f"{name} must not import {up}"


def test_no_circles():
    graph = {name: own(name) for name in MODULES}
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("name", of("report", "foundation"))
def test_reports_and_files_do_without_tensorflow(name):
    for module in reachable(name):
        for imported in imports(module):
            assert imported.split(".")[0] not in ("tensorflow", "keras"), module


@pytest.mark.parametrize("name", of(*NUMPY_ONLY))
def test_the_core_needs_numpy_only(name):
    allowed = {"numpy", "absl", "filelock", "tf_lottery"}
    tops = {n.split(".")[0] for m in reachable(name) for n in imports(m)}
    assert tops <= allowed | sys.stdlib_module_names


def test_only_configuration_knows_gin():
    assert [n for n in MODULES if "gin" in imports(n)] == ["configuration"]
    importing = {n for n in MODULES if "configuration" in own(n)}
    assert importing <= {"main"}


def test_the_folder_gin_is_no_package():
    assert not list((ROOT / "gin").rglob("__init__.py"))
