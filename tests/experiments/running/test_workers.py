"""Who leads workers, with workers that only talk; `test_main` has real ones."""

import io
import pathlib
import re
import sys
import time

import pytest
from rich.console import Console

from tf_lottery.experiments.running import workers
from tf_lottery.experiments.running.progress import Display

TALKS = """
import json, os, sys, time
def send(*message):
    print(json.dumps(message), flush=True)
for line in sys.stdin:
    arm, seed = json.loads(line)
    send("say", f"{arm} {seed} begins in {os.getpid()}")
    send("show", [3, 4, 4, {"loss": 0.5, "accuracy": 0.9}])
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
        failures = workers.share_out(
            [sys.executable, "-c", code],
            count,
            chains,
            display,
            tmp_path / "workers",
        )
    return failures, out.getvalue()


def test_all_chains_are_done_and_shown(tmp_path):
    chains = [("slow", seed) for seed in range(3)]
    failures, out = lead(chains, 3, tmp_path)
    assert not failures
    for _, seed in chains:
        assert f"slow, seed {seed}, round 3  4/4" in out
    assert "[3/3]" in out
    assert len(set(re.findall(r"begins in (\d+)", out))) == 3  # side by side


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


def test_after_a_death_another_worker_goes_on(tmp_path):
    chains = [("dies", 0), ("fast", 0), ("dies", 1), ("fast", 1)]
    failures, out = lead(chains, 1, tmp_path)
    assert [f.split(":")[0] for f in failures] == [
        "dies, seed 0",
        "dies, seed 1",
    ]
    for seed in (0, 1):
        assert f"fast, seed {seed}, round 3  4/4" in out


def test_workers_that_cannot_start_are_not_tried_for_ever(tmp_path):
    code = "import sys; sys.exit(3)"
    chains = [("fast", 0), ("fast", 1)]
    failures, _ = lead(chains, 1, tmp_path, code)
    assert "fast, seed 0: the worker ended with status 3" in failures[0]
    assert failures[1:] == ["fast, seed 1: not started"]


@pytest.mark.parametrize("noise", ["hello", "42", '["show", 3]'])
def test_what_is_no_message_is_a_failure_and_no_hang(
    tmp_path, monkeypatch, noise
):
    monkeypatch.setattr(workers, "SECONDS_TO_DIE", 0.2)
    code = f"print({noise!r}, flush=True)\n" + TALKS
    failures, _ = lead([("fast", 0)], 1, tmp_path, code)
    assert failures[0].startswith("fast, seed 0: ")


def test_the_workers_side(tmp_path):
    code = """
import sys
from absl import logging
from tf_lottery.experiments.running import workers
channel = workers.claim_output()
print("of some library")
def run(chain, watcher):
    watcher.say(f"runs {chain[0]}")
    logging.warning("%s is set aside", chain[0])
    if chain[0] == "wrong":
        raise KeyError("a bug")
workers.serve(channel, run)
"""
    failures, out = lead([("wrong", 0), ("right", 1)], 1, tmp_path, code)
    assert failures == ["wrong, seed 0: 'a bug'"]
    assert "runs right" in out
    assert "right is set aside" in out
    log = (tmp_path / "workers" / "0.log").read_text()
    assert "of some library" in log
    assert "Traceback" in log


def test_who_leads_is_interrupted(tmp_path, monkeypatch):
    started = []
    popen = workers.subprocess.Popen

    def start(*args, **kwargs):
        started.append(popen(*args, **kwargs))
        return started[-1]

    def interrupt(*_):
        while not started:
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(workers.subprocess, "Popen", start)
    monkeypatch.setattr(workers.threading.Thread, "join", interrupt)
    with pytest.raises(KeyboardInterrupt):
        lead([("slow", 0)], 1, tmp_path, TALKS.replace("sleep(1)", "sleep(60)"))
    assert started[0].wait(timeout=20) != 0
