"""README and docs/: what they show runs, what they name is there."""

import importlib.util
import os
import pathlib
import re
import shlex
import subprocess
import sys

import keras
import pytest
from absl import flags
from conftest import ROOT

import tf_lottery
from tf_lottery.report.verdicts.rules import VERDICTS

README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in [
        README,
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        *sorted(DOCS.rglob("*.md")),
    ]
}


def blocks(language, text):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(text):
    joined = "\n".join(blocks("sh", text)).replace("\\\n", " ")
    words = [shlex.split(x, comments=True) for x in joined.splitlines()]
    return [found for found in words if found]


def written(text):
    """The files that a page tells its reader to write, by name."""
    found = {}
    for block in [*blocks("python", text), *blocks("gin", text)]:
        name = re.match(r"# (\w+\.(?:py|gin))\n", block)
        if name:
            found[name[1]] = block
    return found


def pages_with(language):
    return [name for name, text in PAGES.items() if blocks(language, text)]


EXTENSIONS = [
    name
    for name in PAGES
    if name.startswith("docs/extend/") and written(PAGES[name])
]


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 120


@pytest.mark.parametrize("page", pages_with("python"))
def test_the_python_of_a_page_runs_from_top_to_bottom(
    page, data_dir, tmp_path, monkeypatch
):
    monkeypatch.setenv("TFDS_DATA_DIR", data_dir)
    monkeypatch.chdir(tmp_path)
    # A command that was tried in this process may have asked for determinism,
    # which wants a seed of everybody.
    keras.utils.set_random_seed(0)
    names = {"__name__": "__main__"}
    for number, block in enumerate(blocks("python", PAGES[page]), 1):
        exec(compile(block, f"{page}, block {number}", "exec"), names)


@pytest.mark.slow  # each command starts TensorFlow
@pytest.mark.parametrize("page", EXTENSIONS)
def test_extensions_run_as_they_are_written(page, data_dir, tmp_path):
    text = PAGES[page]
    for name, content in written(text).items():
        (tmp_path / name).write_text(content)
    env = {**os.environ, "TFDS_DATA_DIR": data_dir, "PYTHONPATH": str(ROOT)}
    for words in commands(text):
        if "tf_lottery.main" in words:
            words = [*words, "--gin_file=gin/smoke.gin"]
        assert words[0] == "python"
        words[0] = sys.executable
        done = subprocess.run(
            words, cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
    assert "Report: runs/" in done.stdout
    [summary] = tmp_path.glob("runs/*/summary.csv")
    arms = {line.split(",")[1] for line in summary.read_text().splitlines()}
    for arm in re.findall(r'^ARMS = \("(.*)", "(.*)"\)', text, re.M):
        assert arms == {"arm", *arm}


@pytest.mark.parametrize(
    "page", [name for name in pages_with("gin") if name not in EXTENSIONS]
)
def test_gin_files_of_a_page_make_a_plan(page, tmp_path, monkeypatch):
    import gin
    from tf_lottery import main

    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["main"])
    files = written(PAGES[page])
    assert len(files) >= len(blocks("gin", PAGES[page]))
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    for name in files:
        if name.endswith(".gin"):
            gin.clear_config(clear_constants=True)
            main.read_plan([name], [])
    gin.clear_config(clear_constants=True)


@pytest.mark.parametrize("page", pages_with("sh"))
def test_what_the_commands_of_a_page_name_is_there(page):
    text = PAGES[page]
    for words in commands(text):
        assert is_known(words, written(text)), words
        for word in words:
            if word.startswith("--gin_file="):
                name = word.split("=", 1)[1]
                assert name in written(text) or (ROOT / name).exists(), word


def is_known(words, files):
    """Whether a command's program is there, with the flags it is given."""
    program, *arguments = words
    if program == "./run.sh":
        script = (ROOT / "run.sh").read_text()
        cases = re.findall(r"^  ([a-z]+)\)$", script, re.M)
        return not arguments or arguments[0] in cases
    if program == ".ci/run":
        return (ROOT / program).exists()
    if program in ("source", "pip"):
        return True
    assert program == "python", words
    if arguments[0] != "-m":
        return arguments[0] in files
    name = arguments[1]
    spec = importlib.util.find_spec(name)
    if spec and spec.submodule_search_locations:
        spec = importlib.util.find_spec(f"{name}.__main__")
    given = {word.split("=")[0] for word in arguments if word[:2] == "--"}
    return spec is not None and given <= flags_of(spec)


def flags_of(program):
    """What a module takes, by absl or by argparse."""
    source = pathlib.Path(program.origin).read_text()
    found = set(re.findall(r'add_argument\(\s*"(--\w+)"', source))
    if not program.name.startswith("tf_lottery."):
        return found
    importlib.import_module(program.name)
    of_report = program.name.startswith("tf_lottery.report")
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        is_ours = module.startswith("tf_lottery.")
        if is_ours and module.startswith("tf_lottery.report") == of_report:
            found |= {f"--{flag.name}" for flag in defined}
    return found


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_are_there(page):
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(PAGES[page])):
        if target.startswith("http"):
            continue
        name, _, heading = target.partition("#")
        path = folder / name if name else ROOT / page
        assert path.exists(), target
        if heading:
            assert heading in headings(path), target


def prose(text):
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def headings(path):
    """The names by which links reach a page's headings."""
    found = re.findall(r"^#+ (.*)$", prose(path.read_text()), re.M)
    plain = [re.sub(r"[^\w\- ]", "", title.lower()) for title in found]
    return [title.replace(" ", "-") for title in plain]


def test_files_that_pages_name_are_there():
    for page, text in PAGES.items():
        names = re.findall(
            r"`((?:tf_lottery|gin|tests|benchmarks|notebooks|docs|results)"
            r"/[\w./-]*)`",
            prose(text),
        )
        for name in names:
            assert (ROOT / name).exists(), f"{page}: {name}"


def test_the_verdicts_of_the_pages_are_those_of_the_readme():
    counts = r"^\| ([a-z ]+) \| (\d+) \|"
    there = re.findall(counts, PAGES["docs/reproduce/results.md"], re.M)
    assert there == re.findall(counts, PAGES["README.md"], re.M)
    assert [name for name, _ in there] == list(VERDICTS)


def test_the_citation_is_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {tf_lottery.__version__}\n" in citation


def test_the_site_has_what_is_exported_and_no_broken_links(tmp_path):
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(
        [*command, f"--site-dir={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    reference = (tmp_path / "reference.html").read_text()
    headings = re.findall(r'<h2 id="tf_lottery\.([\w.]+)"', reference)
    names = [heading.split(".")[-1] for heading in headings]
    assert sorted(names) == sorted(tf_lottery.__all__)
    for page in tmp_path.rglob("*.html"):
        for target in re.findall(r'(?:href|src)="([^"#?]+)', page.read_text()):
            if not re.match(r"[a-z]+:", target) and page.name != "404.html":
                path = pathlib.Path(os.path.normpath(page.parent / target))
                assert path.exists(), f"{page.relative_to(tmp_path)}: {target}"
