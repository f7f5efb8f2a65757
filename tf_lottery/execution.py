"""Execution: a plan is carried out, or only listed.

`execute` runs the plan's chains one after the other. Every number goes to the
run's folder as it is measured, and to whoever watches.
"""

import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rich.console import Console

from tf_lottery import identity
from tf_lottery.experiments.plan import Plan
from tf_lottery.progress import Display
from tf_lottery.records import Picture, Record
from tf_lottery.runs import Run
from tf_lottery.trainer import NotStored, Trainer
from tf_lottery.training import Diverged, Report, estimate


class Task(NamedTuple):
    """A training of a plan.

    Args:
        arm: The line of the figure or table.
        seed: The replicate.
        seconds: What it will take; 0 if it is stored.
    """

    arm: str
    seed: int
    seconds: float


def tasks(plan: Plan, trainer: Trainer) -> list[Task]:
    """Returns the plan's trainings, after a short trial of those to do.

    Args:
        plan: What was asked for.
        trainer: A dry one.
    """
    found = []
    trials: dict[str, float] = {}
    for arm, seed in plan.chains():
        chain = plan.experiment.chain(
            arm, seed, trainer.initial_ticket, trainer.train
        )
        try:
            list(chain)
            found.append(Task(arm, seed, 0.0))
        except NotStored as reason:
            if arm not in trials:
                recipe = reason.recipe
                source = trainer.source(recipe.images)
                trials[arm] = estimate(recipe, source, trainer.strategy)
            found.append(Task(arm, seed, trials[arm]))
    return found


def start(
    plan: Plan,
    config: str,
    environment: Mapping[str, Any],
    workdir: pathlib.Path,
) -> Run:
    """Returns the plan's folder, with all that is known before it runs.

    Args:
        plan: What was asked for.
        config: The gin configuration that asks for it.
        environment: What it runs on.
        workdir: Where the folder `runs` is, or is made.

    Raises:
        StorageError: It cannot be written.
    """
    recipe, published = plan.experiment.recipe, plan.published
    data = recipe.images.name
    deviations = published.deviations(data, recipe.steps) if published else []
    run = Run(workdir / "runs" / plan.folder)
    run.write("config.gin", config)
    run.write_json("env.json", environment)
    run.write_json(
        "plan.json",
        {
            "name": plan.name,
            "arms": plan.experiment.arms,
            "seeds": plan.seeds,
            "data": data,
            "recipe": identity.canonical(recipe),
            "published": identity.canonical(published),
            "deviations": deviations,
        },
    )
    return run


def execute(plan: Plan, trainer: Trainer, run: Run, console: Console) -> None:
    """Runs every chain and writes what it yields.

    Raises:
        Diverged: A training's loss was not finite; the message names the arm.
        StorageError: A file could not be written.
    """
    chains = list(plan.chains())
    with Display(console, len(chains)) as display:
        display.say(f"{plan.name}: {len(chains)} trainings into {run.folder}")
        for arm, seed in chains:
            train = functools.partial(
                trainer.train,
                report=_writer(run, arm, seed, display.chain(arm, seed)),
                waiting=functools.partial(
                    display.say, f"{arm}: another process trains it; waiting"
                ),
            )
            chain = plan.experiment.chain(
                arm, seed, trainer.initial_ticket, train
            )
            try:
                for item in chain:
                    if isinstance(item, Picture):
                        run.save_picture(item)
                    else:
                        run.append([item])
            except Diverged as error:
                raise Diverged(f"arm {arm!r}: {error}") from error


def _writer(
    run: Run, arm: str, seed: int, show: Callable[[Report], None]
) -> Callable[[Report], None]:
    """Returns what writes a training's numbers down and shows them."""

    def report(now: Report) -> None:
        run.append(Record(seed, arm, 0, *row) for row in now.rows)
        show(now)

    return report
