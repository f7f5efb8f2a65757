"""Who leads workers, with workers that only talk; `test_main` has real ones."""

import io
import pathlib
import sys
import time

import pytest
from rich.console import Console

from tf_lottery import workers
from tf_lottery.progress import Display

TALKS = """
import json, os, sys, time
def send(*message):
    print(json.dumps(message), flush=True)
for line in sys.stdin:
    arm, seed = json.loads(line)
    send("say", f"{arm} {seed} begins")
    send("show", [3, 4, 4, 0.5, 0.9])
    if arm == "dies":
        print("out of memory", file=sys.stderr)
        os._exit(7)
    if arm == "dies in a word":
        print('["show", [3,', flush=True)
        os._exit(9)
    if arm == "slow":
        time.sleep(1)
    if arm == "diverges":
        send("failed", "expected a finite loss")
    else:
        send("done", None)
"""


def lead(chains, count, tmp_path, code=TALKS):
    out = io.StringIO()
    with Display(Console(file=out, width=200), len(chains)) as display:
        failures = workers.execute(
            [sys.executable, "-c", code],
            count,
            chains,
            display,
            tmp_path / "workers",
        )
    return failures, out.getvalue()


def test_all_chains_are_done_and_shown(tmp_path):
    chains = [("slow", seed) for seed in range(3)]
    began = time.monotonic()
    failures, out = lead(chains, 3, tmp_path)
    assert not failures
    assert time.monotonic() - began < 2.9  # side by side
    for _, seed in chains:
        assert f"slow {seed} begins" in out
        assert f"slow, seed {seed}, round 3  4/4" in out
    assert "[3/3]" in out


def test_one_dies_and_the_others_finish(tmp_path):
    chains = [("dies", 0), *(("slow", seed) for seed in range(3))]
    failures, out = lead(chains, 2, tmp_path)
    [failure] = failures
    assert failure.startswith("dies, seed 0: the worker ended with status 7")
    log = failure.split("see ")[1]
    assert "out of memory" in pathlib.Path(log).read_text()
    assert f"not finished: {failure}" in out
    for seed in range(3):
        assert f"slow, seed {seed}, round 3  4/4" in out


def test_a_message_that_was_cut_off_is_a_death(tmp_path):
    [failure] = lead([("dies in a word", 0)], 1, tmp_path)[0]
    assert "ended with status 9" in failure


def test_a_chain_that_fails_costs_no_worker(tmp_path):
    chains = [("diverges", 0), ("fast", 0)]
    failures, out = lead(chains, 1, tmp_path)
    assert failures == ["diverges, seed 0: expected a finite loss"]
    assert "fast 0 begins" in out


def test_when_all_die_what_is_left_is_named(tmp_path):
    chains = [("dies", 0), ("fast", 0), ("fast", 1)]
    failures, _ = lead(chains, 1, tmp_path)
    assert len(failures) == 3
    assert failures[1:] == [
        "fast, seed 0: not started",
        "fast, seed 1: not started",
    ]


def test_workers_that_cannot_start(tmp_path):
    failures, _ = lead(
        [("fast", 0)], 2, tmp_path, code="import sys; sys.exit(3)"
    )
    assert "ended with status 3" in failures[0]


def test_who_leads_is_interrupted(tmp_path, monkeypatch):
    started = []
    popen = workers.subprocess.Popen

    def start(*args, **kwargs):
        started.append(popen(*args, **kwargs))
        return started[-1]

    def interrupt(thread):
        while not started:
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(workers.subprocess, "Popen", start)
    monkeypatch.setattr(workers.threading.Thread, "join", interrupt)
    with pytest.raises(KeyboardInterrupt):
        lead([("slow", 0)], 1, tmp_path, TALKS.replace("sleep(1)", "sleep(60)"))
    assert started[0].wait(timeout=20) != 0
