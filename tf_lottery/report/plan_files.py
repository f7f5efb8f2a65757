"""Plans: what a run was asked for, from its `plan.json`.

A file of an earlier version is brought up to date while it is read, here and
nowhere else: all others rely on the fields of today.
"""

import json
import pathlib
from typing import Any

from tf_lottery.report.kinds import KINDS
from tf_lottery.report.tables.csv_tables import DamagedFile

FIELDS = {
    "name": str,
    "arms": list,
    "seeds": int,
    "data": str,
    "fingerprint": str,
    "experiment": dict,
    "recipe": dict,
    "deviations": list,
}
"""What every plan.json has, beside "kind", "rounds" and "published"."""

TASK = "tf_lottery>classification.ImageClassification"
"""What all recipes had learned before they had a field "task"."""


def read_plan(path: pathlib.Path) -> dict[str, Any]:
    """Returns the plan of a run, every field checked.

    Args:
        path: Path of a `plan.json`.

    Raises:
        DamagedFile: The file cannot be read, or a field is not what it should
            be; the message names file and field.
    """
    plan = read_json(path)
    rounds = plan.get("rounds", "missing")
    _check(
        path,
        [
            *((name, kind, plan.get(name)) for name, kind in FIELDS.items()),
            ("rounds", list | None, rounds),
            ("published", dict | None, plan.setdefault("published", None)),
        ],
    )
    recipe = plan["recipe"]
    rules = plan["experiment"].get("rules", {})
    _check(
        path,
        [
            ("recipe.model", dict, recipe.get("model")),
            ("recipe.steps", int, recipe.get("steps")),
            ("experiment.rules", dict, rules),
            *(("an arm", str, arm) for arm in plan["arms"] or [None]),
            *(("a round", int, number) for number in rounds or []),
        ],
    )
    _check(path, [("a rule", dict, rule) for rule in rules.values()])
    _bring_up_to_date(plan)
    if plan["kind"] not in KINDS:
        raise DamagedFile(
            f"expected kind to be one of {[*KINDS]} in {path}, received "
            f"{plan['kind']!r}"
        )
    return plan


def rule_of(plan: dict[str, Any], arm: str) -> dict[str, Any]:
    """Returns the fields of an arm's rule; none if the plan has no rules."""
    return plan["experiment"].get("rules", {}).get(arm, {})


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Returns the object that a JSON file holds.

    Raises:
        DamagedFile: The file cannot be read, or holds something else.
    """
    try:
        value = json.loads(path.read_bytes())
        if not isinstance(value, dict):
            raise ValueError("it is no object")
    except (OSError, RecursionError, ValueError) as error:
        raise DamagedFile(f"expected JSON in {path}: {error}") from error
    return value


def _check(path: pathlib.Path, fields: list[tuple[str, Any, Any]]) -> None:
    for name, kind, value in fields:
        if not isinstance(value, kind):
            raise DamagedFile(
                f"expected {name} to be {getattr(kind, '__name__', kind)} in "
                f"{path}, received {value!r}; the run's command writes it again"
            )


def _bring_up_to_date(plan: dict[str, Any]) -> None:
    """Gives a plan of an earlier version the fields of today."""
    if "kind" not in plan:
        plan["kind"] = _kind(plan)
    recipe = plan["recipe"]
    if "images" in recipe:
        recipe["task"] = {"call": TASK, "images": recipe.pop("images")}


def _kind(plan: dict[str, Any]) -> str:
    if not plan["rounds"]:
        return "supermask"
    first = rule_of(plan, plan["arms"][0])
    return "untrained" if first.get("untrained") else "rounds"
