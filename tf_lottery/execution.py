"""Execution: a plan is carried out, or only listed.

`execute` runs the plan's chains one after the other. Every number goes to the
run's folder as it is measured, and to whoever watches.
"""

import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from rich.console import Console

from tf_lottery import identity
from tf_lottery.experiments.plan import Plan, Train
from tf_lottery.progress import Display
from tf_lottery.recipes import Recipe
from tf_lottery.records import Picture, Record
from tf_lottery.runs import Run
from tf_lottery.tickets import Ticket
from tf_lottery.trainer import FORMAT, NotStored, Trainer
from tf_lottery.training import Diverged, Report, Result, Row, estimate


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

    def train(
        recipe: Recipe, ticket: Ticket, seed: int, round: int = 0
    ) -> Result:
        del round
        return trainer.train(recipe, ticket, seed)

    for arm, seed in plan.chains():
        chain = plan.experiment.chain(arm, seed, trainer.initial_ticket, train)
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
    trainer: Trainer,
    config: str,
    environment: Mapping[str, Any],
    workdir: pathlib.Path,
) -> Run:
    """Returns the plan's folder, with all that is known before it runs.

    Args:
        plan: What was asked for.
        trainer: Who will do it.
        config: The gin configuration that asks for it.
        environment: What it runs on; kept as it was when the run is complete.
        workdir: Where the folder `runs` is, or is made.

    Raises:
        DataError: The images are not to be had.
        StorageError: The folder cannot be written.
    """
    experiment, published = plan.experiment, plan.published
    recipe = experiment.recipe
    key = identity.digest(
        [FORMAT, plan, trainer.source(recipe.images).fingerprint]
    )
    run = Run(workdir / "runs" / f"{plan.name}-{key[:8]}")
    run.write("config.gin", config)
    if not run.complete:
        run.write_json("env.json", environment)
    actual = {
        **identity.canonical(experiment),
        **identity.canonical(recipe),
        "data": recipe.images.name,
    }
    run.write_json(
        "plan.json",
        {
            "name": plan.name,
            "arms": experiment.arms,
            "seeds": plan.seeds,
            "data": recipe.images.name,
            "recipe": identity.canonical(recipe),
            "published": identity.canonical(published),
            "deviations": published.deviations(actual) if published else [],
        },
    )
    return run


def execute(plan: Plan, trainer: Trainer, run: Run, console: Console) -> None:
    """Runs every chain, and writes what it measures and yields.

    Raises:
        Diverged: A training's loss was not finite; the message names the arm.
        StorageError: A file could not be written.
    """
    chains = list(plan.chains())
    with Display(console, len(chains)) as display:
        display.say(
            f"{plan.name}: {len(chains)} arms and seeds, into {run.folder}"
        )
        for arm, seed in chains:
            train = _recorded(trainer, run, display, arm, seed)
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


def _recorded(
    trainer: Trainer, run: Run, display: Display, arm: str, seed: int
) -> Train:
    """Returns `trainer.train`, with every number written down and shown."""
    show = display.chain(arm, seed)

    def train(
        recipe: Recipe, ticket: Ticket, seed: int, round: int = 0
    ) -> Result:
        def write(rows: Iterable[Row]) -> None:
            run.append(Record(seed, arm, round, *row) for row in rows)

        def report(now: Report) -> None:
            write(now.rows)
            show(now)

        def waiting() -> None:
            display.say(f"{arm}: another process trains it; waiting")

        result = trainer.train(recipe, ticket, seed, report, waiting)
        write(result.history)  # which was not reported if it was stored
        write([Row(recipe.steps, "train", "seconds", result.seconds)])
        return result

    return train
