"""results/ is what its runs' small files give, by the command it names."""

import pathlib
import re
import shutil

import pytest
from conftest import ROOT

from tf_lottery.report import collection, index

BUILT = ("results.md", "claims.csv", "index.html")


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    """A copy without what was built, built again."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(
        ROOT / "results",
        folder / "results",
        ignore=shutil.ignore_patterns("figures", *BUILT),
    )
    with pytest.MonkeyPatch.context() as patch:
        # The commands that the page prints begin at the project's root.
        patch.chdir(folder)
        results = pathlib.Path("results")
        built = index.build([results], results)
    return built, folder / "results"


def without_pictures(text):
    # Their bytes are matplotlib's, whose version is not ours to fix.
    return re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("name", BUILT)
def test_results_are_built_from_the_small_files(rebuilt, name):
    _, folder = rebuilt
    there = (ROOT / "results" / name).read_text()
    assert without_pictures((folder / name).read_text()) == without_pictures(
        there
    )


def test_every_figure_is_there(rebuilt):
    _, folder = rebuilt
    names = {path.name for path in (folder / "figures").iterdir()}
    there = {path.name for path in (ROOT / "results/figures").iterdir()}
    assert names == there


def test_nothing_was_left_out(rebuilt):
    built, _ = rebuilt
    assert built.counts["reproduced"] > 0
    assert all("count once" in text for text in built.left_out)


def test_no_results_name_a_machine():
    runs, _ = collection.read_all([ROOT / "results"])
    for run in runs:
        assert "/" not in run.command.replace("gin/", "").replace(
            "store/tfds", ""
        ), run.command


def test_the_readme_has_the_counts_of_the_report(rebuilt):
    built, _ = rebuilt
    readme = (ROOT / "README.md").read_text()
    for verdict, number in built.counts.items():
        assert f"| {verdict} | {number} |" in readme
