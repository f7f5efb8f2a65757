"""The wheel brings all that a command needs, and commands start quickly."""

import pathlib
import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT

from tf_lottery import configuration

WANTED = [
    *(f"tf_lottery/{path}" for path in configuration.shipped()),
    *(
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tf_lottery" / "report" / "templates").iterdir()
    ),
    "tf_lottery/py.typed",
    "tf_lottery/__main__.py",
]


def missing(wheel):
    """What a wheel lacks of what it should have."""
    with zipfile.ZipFile(wheel) as file:
        return sorted({*WANTED} - {*file.namelist()})


@pytest.mark.slow  # pip builds it with tools of its own
def test_a_wheel_has_its_data_and_nothing_else(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
            *("--wheel-dir", str(tmp_path), str(ROOT)),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    [wheel] = tmp_path.glob("*.whl")
    assert missing(wheel) == []
    with zipfile.ZipFile(wheel) as file:
        tops = {pathlib.PurePath(n).parts[0] for n in file.namelist()}
        [metadata] = [n for n in file.namelist() if n.endswith("/METADATA")]
        about = file.read(metadata).decode()
        entry = file.read(metadata.replace("METADATA", "entry_points.txt"))
    assert {top.partition("-")[0] for top in tops} == {"tf_lottery"}
    assert b"tf-lottery = tf_lottery.__main__:main" in entry
    for field in ("Author: ", "Keywords: ", "License: Apache-2.0"):
        assert f"\n{field}" in about


def test_a_wheel_without_its_data_is_noticed(tmp_path):
    wheel = tmp_path / "bare.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("tf_lottery/py.typed", "")
    assert "tf_lottery/gin/supermask.gin" in missing(wheel)
    assert "tf_lottery/py.typed" not in missing(wheel)


def run(*words, status=0):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "tf_lottery", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == status, done.stderr[-2000:]
    imported = {
        line.rpartition("|")[2].strip()
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }
    said = [
        line
        for line in done.stderr.splitlines()
        if not line.startswith("import time:")
    ]
    return done.stdout, "\n".join(said), imported


HEAVY = {"numpy", "tensorflow", "keras", "rich", "matplotlib"}


@pytest.mark.parametrize("words", [(), ("--help",), ("help",)])
def test_commands_are_listed(words):
    out, _, imported = run(*words)
    assert "run" in out and "report" in out
    assert "tf_lottery" in imported
    assert not imported & HEAVY


def test_an_unknown_command_is_named():
    _, err, imported = run("rnu", status=2)
    assert err == "error: expected one of run, report, received 'rnu'"
    assert not imported & HEAVY


@pytest.mark.parametrize("command", ["run", "report"])
def test_the_flags_of_a_command_are_listed(command):
    out, _, imported = run(command, "--help")
    assert "--gin_file" in out if command == "run" else "--out" in out
    assert not imported & {"tensorflow", "keras"}


def test_a_gin_file_that_is_not_there_is_answered_before_tensorflow():
    _, err, imported = run("run", "--gin_file=gin/supermaks.gin", status=2)
    assert "such as gin/supermask.gin" in err
    assert err.count("error:") == 1
    assert "'gin/supermaks.gin'" in err
    assert not imported & {"tensorflow", "keras"}
