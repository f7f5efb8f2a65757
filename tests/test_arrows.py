"""Arrows between the rooms point one way: read off the imports.

Each room may import rooms of lower rank only. A new module goes into the
table where the design has it.
"""

import ast
import sys

import pytest
from conftest import ROOT

# From below to above; modules on one line do not know each other.
RANKS = [
    ("checks", "seeds", "identity", "records", "draws", "protocol", "store"),
    ("patterns", "budgets", "shrinking.channels"),
    ("criteria", "actions", "pruning", "planes", "baselines.tfmot_gradual"),
    ("ticket_files",),
    ("masks", "tickets"),
    ("runs", "layers", "data.mnist_5k", "data.folders", "data.decoded"),
    ("variables", "data.images", "models.seeded"),
    ("composites",),
    ("conversion", "derivatives", "shrinking.parts"),
    ("search", "applying", "saliency", "tfmot", "shrinking.passes"),
    ("one_shot", "schedules", "shrinking.flow"),
    ("shrinking.shrink",),
    ("gradual",),
    ("exporting.samples", "exporting.measuring"),
    ("exporting.formats", "exporting.gains"),
    ("exporting.compared", "exporting.tflite"),
    ("exporting.export",),
    ("models.lenet", "models.conv"),
    ("data.batches", "recipes"),
    ("evaluation", "devices"),
    ("steps",),
    ("training",),
    ("baselines.job", "profiling"),
    ("baselines.peer",),
    ("trainer", "progress", "experiments.published"),
    ("experiments.plan", "workers"),
    ("experiments.supermask", "experiments.lottery", "execution"),
    ("report.summary", "report.layers", "report.overlap", "report.density"),
    ("report.rows", "report.marks", "report.protocols", "report.intervals"),
    ("report.tables", "report.comparison", "report.rounds", "report.claims"),
    ("report.figures", "report.collection"),
    ("report.frankle2019", "report.zhou2019"),
    ("report.curves", "report.commands", "report.drawing"),
    ("report.zhou2019_table1", "report.values"),
    ("report.beyond", "report.verdicts"),
    ("report.wording",),
    ("report.page", "report.index", "report.events"),
    ("report.__main__",),
    ("main", "baselines.tfmot_pruning"),
]
RANK = {name: rank for rank, names in enumerate(RANKS) for name in names}
NUMPY_ONLY = (
    *("seeds", "identity", "records", "criteria", "actions", "pruning"),
    *("planes", "patterns", "budgets", "shrinking.channels"),
    *("tickets", "ticket_files", "store"),
)
PACKAGE = ROOT / "tf_lottery"
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
}


def imports(name):
    """Every module that a module of ours imports, also within functions."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own(name):
    prefix = "tf_lottery."
    names = {n.removeprefix(prefix) for n in imports(name) if prefix in n}
    return names & MODULES.keys()


def test_every_module_has_a_rank():
    assert MODULES.keys() == RANK.keys()


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name):
    up = {other for other in own(name) if RANK[other] >= RANK[name]}
    assert not up, f"{name} must not import {up}"


def reachable(name):
    found, todo = set(), [name]
    while todo:
        new = own(todo.pop()) - found
        found |= new
        todo += new
    return found | {name}


@pytest.mark.parametrize(
    "name", [n for n in MODULES if n.startswith("report.")] + ["runs", "store"]
)
def test_reports_and_runs_do_without_tensorflow(name):
    for module in reachable(name):
        for imported in imports(module):
            assert imported.split(".")[0] not in ("tensorflow", "keras"), module


@pytest.mark.parametrize("name", NUMPY_ONLY)
def test_the_core_needs_numpy_only(name):
    allowed = {"numpy", "absl", "filelock", "tf_lottery"}
    tops = {n.split(".")[0] for m in reachable(name) for n in imports(m)}
    assert tops <= allowed | sys.stdlib_module_names


def test_only_main_knows_gin():
    knowing = [n for n in MODULES if "gin" in imports(n)]
    assert knowing == ["main"]


def test_the_folder_gin_is_no_package():
    assert not list((ROOT / "gin").rglob("__init__.py"))
