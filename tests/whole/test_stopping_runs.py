"""Runs that are stopped at random, and go on.

STOPS=80 python -m pytest tests/whole/test_stopping_runs.py
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT

STOPS = int(os.environ.get("STOPS", "2"))
SECONDS = 10.0
"""The longest that a stop may take here: other tests run beside it."""


def command(workdir, data_dir):
    bindings = {
        "DATA": "mnist_5k",
        "STEPS": 1500,
        "EVAL_EVERY": 250,
        "MASK_SAMPLES": 1,
        "ARMS": ("DWR init",),
    }
    return [
        *(sys.executable, "-m", "tf_lottery.main"),
        *("--gin_file=gin/supermask.gin", "--gin_file=gin/smoke.gin"),
        *(f"--gin_bindings={name} = {v!r}" for name, v in bindings.items()),
        *(f"--workdir={workdir}", f"--data_dir={data_dir}"),
    ]


def numbers(workdir):
    """What was measured, without seconds."""
    [metrics] = workdir.glob("runs/*/metrics.csv")
    lines = metrics.read_text().splitlines()
    return [line for line in lines if ",seconds," not in line]


@pytest.mark.slow  # each process starts TensorFlow
def test_stopped_at_random_it_ends_with_the_same_numbers(tmp_path, data_dir):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    where = {
        "cwd": ROOT,
        "env": {**os.environ, "TMPDIR": str(temporary)},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    began = time.monotonic()
    subprocess.run(command(tmp_path / "whole", data_dir), check=True, **where)
    life = time.monotonic() - began
    chance = random.Random(0)
    workdir, stopped = tmp_path / "stopped", 0
    while stopped < STOPS:
        wanted = (signal.SIGINT, signal.SIGTERM)[stopped % 2]
        process = subprocess.Popen(command(workdir, data_dir), **where)
        time.sleep(chance.uniform(0.3, life))
        process.send_signal(wanted)
        asked = time.monotonic()
        _, err = process.communicate(timeout=60)
        if process.returncode == 0:
            # It had ended: the first run was slower, as machines are at times.
            life *= 0.7
            shutil.rmtree(workdir)
            continue
        stopped += 1
        assert process.returncode == 128 + wanted, err
        assert time.monotonic() - asked < SECONDS
        assert err.strip().startswith("Stopped") and err.count("\n") == 2, err
    subprocess.run(command(workdir, data_dir), check=True, **where)
    assert numbers(workdir) == numbers(tmp_path / "whole")
    assert not [*temporary.iterdir()]
    left = [p for p in workdir.rglob(".*") if p.suffix not in (".lock",)]
    assert {p.name for p in left} <= {".lock", ".held"}
