import os
import re
import shlex
import subprocess
import sys

import pytest
from conftest import ROOT

TEXT = (ROOT / "README.md").read_text()
EXTENSIONS = re.split(
    "^### ", TEXT[TEXT.index("## Extend it") :].split("\n## ")[0], flags=re.M
)[1:]


def blocks(language, text=TEXT):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(text=TEXT):
    joined = "\n".join(blocks("sh", text)).replace("\\\n", " ")
    return [shlex.split(x, comments=True) for x in joined.splitlines()]


def written():
    """The files that the README tells its reader to write, by name."""
    found = {}
    for block in [*blocks("python"), *blocks("gin")]:
        name = re.match(r"# (\w+\.(?:py|gin))\n", block)
        if name:
            found[name[1]] = block
    return found


@pytest.mark.parametrize("code", blocks("python"))
def test_python_examples_run(code, data_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TFDS_DATA_DIR", data_dir)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})


@pytest.mark.slow  # each command starts TensorFlow
@pytest.mark.parametrize(
    "section", EXTENSIONS, ids=lambda text: text.splitlines()[0]
)
def test_extensions_run_as_they_are_written(section, data_dir, tmp_path):
    for name, text in written().items():
        if text in section:
            (tmp_path / name).write_text(text)
    env = {**os.environ, "TFDS_DATA_DIR": data_dir, "PYTHONPATH": str(ROOT)}
    for words in commands(section):
        if "tf_lottery.main" in words:
            words = [*words, "--gin_file=gin/smoke.gin"]
        words[0] = sys.executable
        done = subprocess.run(
            words, cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
    assert "Report: runs/" in done.stdout
    [summary] = tmp_path.glob("runs/*/summary.csv")
    arms = {line.split(",")[1] for line in summary.read_text().splitlines()}
    for arm in re.findall(r'^ARMS = \("(.*)", "(.*)"\)', section, re.M):
        assert arms == {"arm", *arm}


def test_the_files_and_flags_that_commands_name_are_there():
    from tf_lottery import main

    flags = {
        f"--{flag.name}"
        for flag in vars(main).values()
        if hasattr(flag, "name")
    }
    assert ["./run.sh", "test"] in commands()
    for words in commands():
        for word in words:
            if word.startswith("--gin_file="):
                name = word.split("=", 1)[1]
                assert name in written() or (ROOT / name).exists(), word
            if "tf_lottery.main" in words and word.startswith("--"):
                assert word.split("=")[0] in flags, word


def test_links_and_pictures_are_there():
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        if not target.startswith(("http", "#")):
            assert (ROOT / target).exists(), target
