"""ReadRun folders and lines for tests of reports, without any training."""

import json
import math
import pathlib

from tf_lottery.report.claims.catalogue import ITERATIONS, NETWORKS, RATES
from tf_lottery.report.kinds import KINDS
from tf_lottery.report.tables import csv_tables
from tf_lottery.report.tables.summary import Line
from tf_lottery.report.verdicts.read_runs import ReadRun
from tf_lottery.report.verdicts.run_collection import FigureRuns

LADDER = tuple(range(1, 25))
RULES = {"untrained": {"untrained": True}, "rounds": {}}


def plan(network="LeNet", kind="rounds", arms=("a",), rounds=LADDER, **fields):
    steps, rate = ITERATIONS.get(network, (3_000, 1.2e-3))
    recipe = {
        "model": {**NETWORKS[network], "use_bias": True},
        "optimizer": {
            "class_name": "Adam",
            "config": {"learning_rate": rate},
        },
        "steps": steps,
        "batch_size": 60,
        "eval_every": 100,
        "dtype_policy": "float32",
    }
    recipe |= fields.pop("recipe", {})
    rule = RULES.get(kind)
    rates = [["fc", 0.2], ["output", 0.1]]
    if network in RATES:
        rates = [["conv", RATES[network]], *rates]
    experiment = {"rates": rates, "scope": "layer"}
    if rule is not None:
        experiment["rules"] = dict.fromkeys(arms, rule)
    return {
        "name": "tickets",
        "kind": kind,
        "arms": list(arms),
        "rounds": list(rounds) if KINDS[kind].ladder else None,
        "seeds": 3,
        "data": "mnist" if network == "LeNet" else "cifar10",
        "fingerprint": "f",
        "experiment": experiment,
        "recipe": recipe,
        "published": None,
        "deviations": [],
        **fields,
    }


def line(seed=0, arm="a", round=0, accuracy=0.9, **fields):
    values = {
        "steps": 50_000,
        "remaining": 0.8**round,
        "stop_step": 50,
        "test_accuracy_at_stop": accuracy,
        "test_accuracy": accuracy,
        "validation_accuracy": accuracy,
        "train_accuracy": 1.0,
        "seconds": 60.0,
    }
    return Line(seed=seed, arm=arm, round=round, **{**values, **fields})


def figure(lines, folder="runs/x", **fields):
    """A figure of one run, not written anywhere."""
    folder = pathlib.Path(folder)
    arms = list(dict.fromkeys(x.arm for x in lines))
    run = ReadRun(folder, plan(arms=arms, **fields), "", list(lines), True)
    found = FigureRuns([run], list(lines))
    found.folders = {(x.arm, x.seed, x.round): folder for x in lines}
    return found


def write(folder, lines, done=True, **fields):
    """A run's folder as `tf_lottery.main` leaves it, metrics.csv left out."""
    folder.mkdir(parents=True)
    arms = fields.pop("arms", list(dict.fromkeys(x.arm for x in lines)))
    text = json.dumps(plan(arms=arms, **fields))
    (folder / "plan.json").write_text(text)
    (folder / "env.json").write_text('{"command": "python -m the_command"}')
    (folder / "config.gin").write_text("SEEDS = 3\n")
    (folder / "summary.csv").write_text(csv_tables.to_csv(Line, lines))
    if done:
        (folder / "DONE").write_text("")
    return folder


def write_metrics(folder, lines):
    """A metrics.csv that the lines follow from, in the order of a run's."""
    text = ["seed,arm,round,step,where,metric,value"]
    for x in lines:
        key = f"{x.seed},{x.arm},{x.round}"
        for layer in ("k", "all"):
            text.append(f"{key},0,{layer},remaining,{x.remaining!r}")
            if x.round:
                text.append(f"{key},0,{layer},sign agreement,0.75")
        for step in sorted({0, x.stop_step, x.steps}):
            loss = abs(step - x.stop_step)
            at_stop = step == x.stop_step
            accuracy = x.test_accuracy_at_stop if at_stop else x.test_accuracy
            text.append(f"{key},{step},validation,loss,{loss!r}")
            text.append(f"{key},{step},test,accuracy,{accuracy!r}")
    (folder / "metrics.csv").write_text("\n".join(text) + "\n")


def alike(left, right):
    """Equal, NaN included."""
    return repr(left) == repr(right) or (
        isinstance(left, float) and math.isclose(left, right)
    )
