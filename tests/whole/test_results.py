"""results/ is what its runs' small files give, by the command it names."""

import csv
import html
import pathlib
import re
import shlex
import shutil

import pytest
from absl import flags
from conftest import ROOT

import gin
from tf_lottery import configuration
from tf_lottery.report import reproduction_page
from tf_lottery.report.verdicts import read_runs

COMMITTED = ("results.md", "claims.csv")
BUILT = (*COMMITTED, "index.html")


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
        built = reproduction_page.build([results], results)
    return built, folder / "results"


@pytest.mark.parametrize("name", COMMITTED)
def test_results_are_built_from_the_small_files(rebuilt, name):
    _, folder = rebuilt
    there = (ROOT / "results" / name).read_text()
    assert (folder / name).read_text() == there


def test_every_figure_is_there(rebuilt):
    # Their bytes are matplotlib's, whose version is not ours to fix.
    _, folder = rebuilt
    names = {path.name for path in (folder / "figures").glob("*.svg")}
    there = {path.name for path in (ROOT / "results/figures").glob("*.svg")}
    assert names == there
    text = (folder / "results.md").read_text()
    assert set(re.findall(r"\]\(figures/(.*?)\)", text)) == names
    built = {path.stem for path in (folder / "figures").glob("*.png")}
    assert built == {pathlib.Path(name).stem for name in names}


def test_the_page_has_all_that_the_text_has(rebuilt):
    built, folder = rebuilt
    assert built.page.name == "index.html"
    page = (folder / "index.html").read_text()
    text = (folder / "results.md").read_text()
    titles = re.findall(r"^## (.*)", text, flags=re.MULTILINE)
    assert len(titles) > 8
    for title in titles:
        assert f">{html.escape(title)}</h2>" in page
    assert page.count("<figure") == text.count("](figures/")


def test_what_is_committed_is_small_and_text():
    there = [p for p in (ROOT / "results").rglob("*") if p.is_file()]
    built = re.compile(r"index\.html|.*\.png")  # which git ignores
    there = [path for path in there if not built.fullmatch(path.name)]
    assert {path.suffix for path in there} == {
        *(".csv", ".svg", ".md"),
        *(".gin", ".json"),
    }
    assert sum(path.stat().st_size for path in there) < 7e6


def test_nothing_was_left_out(rebuilt):
    built, _ = rebuilt
    assert built.counts["reproduced"] > 0
    assert all("count once" in text for text in built.left_out)


def test_the_commands_that_the_report_prints_are_understood(
    rebuilt, monkeypatch
):
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["main"])
    folder = rebuilt[1]
    with open(folder / "claims.csv", newline="") as file:
        commands = {row["command"] for row in csv.DictReader(file)} - {""}
    assert len(commands) > 20
    monkeypatch.chdir(folder.parent)  # where results/ is, beside gin/
    (folder.parent / "gin").symlink_to(ROOT / "gin")
    for command in commands:
        words = shlex.split(command)
        assert words[:3] == ["python", "-m", "tf_lottery.main"]
        options = [
            word.removeprefix("--gin_").split("=", 1) for word in words[3:]
        ]
        files = [value for name, value in options if name == "file"]
        bindings = [value for name, value in options if name == "bindings"]
        gin.clear_config(clear_constants=True)
        plan, _ = configuration.read_plan(files, bindings)
        assert plan.seeds >= commands_seeds(bindings)
        gin.clear_config(clear_constants=True)


def commands_seeds(bindings):
    seeds = [b.split(" = ")[1] for b in bindings if b.startswith("SEEDS")]
    return int(seeds[0]) if seeds else 3


def test_no_results_name_a_machine():
    runs, _ = read_runs.read_all([ROOT / "results"])
    for run in runs:
        for word in shlex.split(run.command):
            option, _, value = word.partition("=")
            assert not value.startswith(("/", "~", "..")), run.command
            assert option != "--workdir", run.command


def test_the_readme_has_the_counts_of_the_report(rebuilt):
    built, _ = rebuilt
    readme = (ROOT / "README.md").read_text()
    for verdict, number in built.counts.items():
        assert f"| {verdict} | {number} |" in readme
