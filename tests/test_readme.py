import re
import shlex

import pytest
from conftest import ROOT

TEXT = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_examples_run(code, data_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TFDS_DATA_DIR", data_dir)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})


def test_the_files_and_flags_that_commands_name_are_there():
    from tf_lottery import main

    flags = {
        f"--{flag.name}"
        for flag in vars(main).values()
        if hasattr(flag, "name")
    }
    commands = [
        c
        for block in blocks("sh")
        for c in block.replace("\\\n", " ").splitlines()
    ]
    assert any(c.startswith("./run.sh") for c in commands)
    for command in commands:
        words = shlex.split(command, comments=True)
        for word in words:
            if word.startswith("--gin_file="):
                assert (ROOT / word.split("=", 1)[1]).exists(), word
            if "tf_lottery.main" in words and word.startswith("--"):
                assert word.split("=")[0] in flags, word


def test_links_and_pictures_are_there():
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        if not target.startswith(("http", "#")):
            assert (ROOT / target).exists(), target
