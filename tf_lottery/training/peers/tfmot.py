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

import importlib.metadata
import importlib.util
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

from tf_lottery.rules.pruning import Rates
from tf_lottery.rules.tickets import Arrays, Ticket
from tf_lottery.training.history import Report, Result, Row, diverged
from tf_lottery.training.peers import tfmot_job
from tf_lottery.training.peers.tfmot_schedule import TfmotGradual
from tf_lottery.training.recipes import Recipe
from tf_lottery.workloads.images.batches import Resident, Streamed

NAME = "tensorflow-model-optimization"
PACKAGES = {"tensorflow_model_optimization": NAME, "tf_keras": "tf-keras"}
"""From modules that the process imports to what brings them."""

FORMAT = 1
"""Part of the hash of its trainings; raised when the same one comes to mean
something else."""

PROGRAM = [sys.executable, "-m", "tf_lottery.training.peers.tfmot_process"]
TRIAL_STEPS = 50


class PeerError(Exception):
    """The peer is not there, or did not do its training."""


def version() -> str:
    """Returns the peer's version; it is not imported.

    Raises:
        PeerError: It is not installed.
    """
    for module, package in PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            raise PeerError(
                f"expected {package} to be installed, for an arm that it "
                f"trains, received no module {module}: pip install "
                "'tf_lottery[tfmot]'"
            )
    return importlib.metadata.version(NAME)


def train(
    recipe: Recipe,
    ticket: Ticket,
    seed: int,
    source: Resident | Streamed,
    pruning: TfmotGradual,
    rates: Rates,
    report: Callable[[Report], None] | None = None,
) -> Result:
    """Has the peer train and prune a network.

    Its history has the weights remaining, too, by kernel path and of "all",
    whenever an evaluation finds another number than the one before.

    Args:
        recipe: How.
        ticket: From where; all of its masks are full.
        seed: Of the order of images.
        source: The recipe's images.
        pruning: When to prune.
        rates: What fraction of each kernel is gone in the end, by path; None
            leaves it dense.
        report: Told how it goes after every evaluation.

    Returns:
        As `training.train` does. The state has the peer's masks, and pruned
        weights are zero; the seconds are those of the whole process.

    Raises:
        Diverged: The loss is not finite.
        InvalidValue: The peer has no such network, images or training.
        PeerError: Its process ended before the training did.
    """
    began = time.monotonic()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="tf_lottery-") as name:
        folder = pathlib.Path(name)
        tfmot_job.write(folder, recipe, ticket, seed, source, pruning, rates)
        with closing(_run(folder)) as said:
            for step, new, _ in said:
                rows += new
                found = {(row.split, row.metric): row.value for row in new}
                if not all(map(math.isfinite, found.values())):
                    raise diverged(recipe, seed, step)
                if report:
                    loss, accuracy = (
                        found.get(("train", name), math.nan)
                        for name in ("loss", "accuracy")
                    )
                    report(Report(step, recipe.steps, loss, accuracy, rows))
        state = _read(folder / "result.npz")
    seconds = time.monotonic() - began
    return Result({**ticket.arrays(), **state}, tuple(rows), seconds)


def estimate(
    recipe: Recipe,
    ticket: Ticket,
    source: Resident | Streamed,
    pruning: TfmotGradual,
    rates: Rates,
) -> float:
    """Returns how many seconds a training will take, from a short trial.

    It is a rehearsal, too: the process starts, builds the network and prunes.

    Raises:
        InvalidValue: As for `train`.
        PeerError: As for `train`.
    """
    began = time.monotonic()
    count = min(TRIAL_STEPS, recipe.eval_every)
    trial = replace(recipe, steps=2 * count, eval_every=count)
    with tempfile.TemporaryDirectory(prefix="tf_lottery-") as name:
        folder = pathlib.Path(name)
        tfmot_job.write(folder, trial, ticket, 0, source, pruning, rates)
        *_, (_, _, before), (_, _, after) = _run(folder)
    started = time.monotonic() - began
    training, evaluating = (b - a for a, b in zip(before, after, strict=True))
    evaluations = recipe.steps / recipe.eval_every + 2
    return started + recipe.steps * training / count + evaluations * evaluating


Seconds = tuple[float, float]
"""Spent on training and on evaluation, since the process started."""


def _run(
    folder: pathlib.Path,
) -> Generator[tuple[int, list[Row], Seconds], None, None]:
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
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                if not line.endswith("\n"):  # its last words, cut off
                    break
                step, rows, seconds = json.loads(line)
                yield step, [Row(step, *row) for row in rows], tuple(seconds)
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
