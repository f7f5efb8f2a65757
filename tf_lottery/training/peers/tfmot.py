"""The peer: tensorflow-model-optimization, in a process of its own.

Importing it makes `tf.keras` another library for the rest of a process, so
this one only hands a training over and takes its result back:

    this process                      its process, `tfmot_pruning`
    job.json, job.npz    -- folder -> a network of the same layers in tf_keras,
                                      trained on the same batches and pruned
    rows of the history  <- lines --  after every evaluation
    the last state       <- folder -- result.npz

The folder is a temporary one. The process computes on the CPU: this one may
hold the memory of the GPUs.
"""

import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace

import numpy as np

from tf_lottery.foundation import stopping
from tf_lottery.rules.tickets import Arrays
from tf_lottery.training.history import (
    Measurement,
    Result,
    Status,
    diverged,
)
from tf_lottery.training.peers import tfmot_job
from tf_lottery.training.peers.tfmot_schedule import NAME, PeerError
from tf_lottery.training.request import Training
from tf_lottery.workloads.examples import Resident, Streamed

PROGRAM = [sys.executable, "-m", "tf_lottery.training.peers.tfmot_process"]
TRIAL_STEPS = 50


def train(
    training: Training,
    source: Resident | Streamed,
    report: Callable[[Status], None] | None = None,
) -> Result:
    """Has the peer train and prune a network.

    Its history has the weights remaining, too, by kernel path and of "all",
    whenever an evaluation finds another number than the one before.

    Args:
        training: What to train; all masks of its ticket are full, and its
            `peer` says when and how much to prune.
        source: The examples of its task, images in memory.
        report: Told how it goes after every evaluation.

    Returns:
        What a training gives. The state has the peer's masks, and pruned
        weights are zero; the seconds are those of the whole process.

    Raises:
        Diverged: The loss is not finite.
        InvalidValue: The peer has no such network, task or training.
        PeerError: Its process ended before the training did.
    """
    began = time.monotonic()
    recipe = training.recipe
    rows: list[Measurement] = []
    with tempfile.TemporaryDirectory(prefix="tf_lottery-") as name:
        folder = pathlib.Path(name)
        tfmot_job.write(folder, training, source)
        with closing(_run(folder)) as said:
            for step, new, _ in said:
                rows += new
                found = {(row.where, row.metric): row.value for row in new}
                if not all(map(math.isfinite, found.values())):
                    raise diverged(recipe, training.seed, step)
                if report:
                    means = {
                        metric: value
                        for (where, metric), value in found.items()
                        if where == "train"
                    }
                    report(Status(step, recipe.steps, means, rows))
        state = _read(folder / "result.npz")
    seconds = time.monotonic() - began
    return Result({**training.arrays, **state}, tuple(rows), seconds)


def estimate(training: Training, source: Resident | Streamed) -> float:
    """Returns how many seconds a training will take, from a short trial.

    It is a rehearsal, too: the process starts, builds the network and prunes.

    Args:
        training: As for `train`.
        source: As for `train`.

    Raises:
        InvalidValue: The peer has no such network, task or training.
        PeerError: Its process ended before the trial did.
    """
    began = time.monotonic()
    recipe = training.recipe
    count = min(TRIAL_STEPS, recipe.eval_every)
    trial = replace(recipe, steps=2 * count, eval_every=count)
    with tempfile.TemporaryDirectory(prefix="tf_lottery-") as name:
        folder = pathlib.Path(name)
        tfmot_job.write(folder, replace(training, recipe=trial), source)
        *_, (_, _, before), (_, _, after) = _run(folder)
    started = time.monotonic() - began
    learning, evaluating = (b - a for a, b in zip(before, after, strict=True))
    evaluations = recipe.steps / recipe.eval_every + 2
    return started + recipe.steps * learning / count + evaluations * evaluating


Seconds = tuple[float, float]
"""Spent on training and on evaluation, since the process started."""


def _run(
    folder: pathlib.Path,
) -> Generator[tuple[int, list[Measurement], Seconds], None, None]:
    """Runs the peer's process; yields what it says after every evaluation.

    Raises:
        PeerError: It did not come to its end.
    """
    environment = {
        **os.environ,
        "TF_USE_LEGACY_KERAS": "1",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    log = folder / "stderr"
    with (
        open(log, "wb") as errors,
        subprocess.Popen(
            [*PROGRAM, os.fspath(folder)],
            stdin=subprocess.PIPE,  # its end tells the process of ours
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        ) as process,
    ):
        stopping.own(process)
        try:
            for line in process.stdout or ():
                stopping.check()
                if not line.endswith("\n"):  # its last words, cut off
                    break
                step, rows, seconds = json.loads(line)
                yield (
                    step,
                    [Measurement(step, *row) for row in rows],
                    tuple(seconds),
                )
            process.wait()
        finally:
            process.kill()  # does nothing to one that ended
    status = process.returncode
    if status or not (folder / "result.npz").exists():
        raise PeerError(
            f"expected the process of {NAME} to end its training, received "
            f"status {status} and {_last_words(log)!r} of it"
        )


def _last_words(log: pathlib.Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""


def _read(path: pathlib.Path) -> Arrays:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
