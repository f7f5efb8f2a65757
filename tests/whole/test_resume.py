"""Processes that are killed, and processes that meet."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

KILLABLE = str(ROOT / "tests" / "killable.py")


def start(workdir, data_dir, point="none"):
    return subprocess.Popen(
        [sys.executable, KILLABLE, str(workdir), data_dir, point],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """Returns a process' words, line by line."""
    out, err = process.communicate(timeout=300)
    assert process.returncode in (0, -signal.SIGKILL), err[-2000:]
    return [line.split() for line in out.splitlines()]


def steps_of(lines):
    return [int(line[1]) for line in lines if line[0] == "step"]


@pytest.mark.slow  # each process starts TensorFlow
def test_killed_anywhere_it_ends_with_the_same_bits(tmp_path, data_dir):
    whole = finish(start(tmp_path / "whole", data_dir))
    assert whole[-1][0] == "digest"
    killed = tmp_path / "killed"
    reached = 0
    for point in ("chunk 3", "half 9", "write 12"):
        process = start(killed, data_dir, point)
        lines = finish(process)
        assert process.returncode == -signal.SIGKILL, point
        first, *_, last = steps_of(lines)
        # It went on from where it was, but for the call it was killed in.
        assert reached - 20 <= first <= reached
        assert last > first
        reached = last
    # Calls of a process are of 1, 1 and then up to 20 steps, and end where a
    # period of 30 does; each is saved in two files.
    assert reached == 110
    again = finish(start(killed, data_dir))
    assert steps_of(again)[0] == 110
    assert again[-1] == whole[-1]
    left = sorted(p.name for p in killed.rglob("*") if p.is_file())
    assert left == [".lock", "result.json", "result.npz"]


@pytest.mark.slow  # each process starts TensorFlow
def test_two_processes_share_one_training(tmp_path, data_dir):
    both = [start(tmp_path, data_dir, "slow 2") for _ in range(2)]
    lines = [finish(process) for process in both]
    assert lines[0][-1] == lines[1][-1]
    assert lines[0][-1][0] == "digest"
    one, other = sorted(lines, key=lambda out: len(steps_of(out)))
    assert one[0] == ["waiting"]
    assert not steps_of(one)
    assert len(steps_of(other)) > 5
    assert ["waiting"] not in other
