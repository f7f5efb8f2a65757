"""Arms: what makes a line of a figure over rounds, as fields of a rule."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.rules import pruning
from tf_lottery.rules.forgetting import Forgetting
from tf_lottery.rules.tickets import Function
from tf_lottery.training.peers.tfmot_schedule import TfmotGradual
from tf_lottery.workloads.task import Task

Built = TypeVar("Built")


def rule_of(
    arm: str, rules: Mapping[str, Mapping[str, Any]], kind: type[Built]
) -> Built:
    """Returns the rule of an arm, built from its fields.

    Args:
        arm: Its name.
        rules: The fields of all rules.
        kind: The dataclass that a rule is.

    Raises:
        InvalidValue: A field is not known or of the wrong type.
    """
    known = {field.name: None for field in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(rules[arm], Mapping):
        raise InvalidValue(
            f"expected the rule of {arm!r} to be a dict, received "
            f"{rules[arm]!r}"
        )
    for name in rules[arm]:
        checks.one_of(f"the fields of the rule {arm!r}", name, known)
    return kind(**rules[arm])


def with_fields(value: Built, changes: Mapping[str, Any], name: str) -> Built:
    """Returns a dataclass with some fields replaced, however deep.

    Args:
        value: The dataclass.
        changes: Values by the names of fields. Of a field that is a dataclass
            itself, a mapping replaces fields of that.
        name: What messages call it.

    Raises:
        InvalidValue: A field is not known or of the wrong type.
    """
    checks.kind(name, changes, Mapping)
    known = {field.name: None for field in fields(value)}  # type: ignore[arg-type]
    found = {}
    for field, new in changes.items():
        checks.one_of(f"the fields of {name}", field, known)
        old = getattr(value, field)
        if is_dataclass(old) and isinstance(new, Mapping):
            new = with_fields(old, new, f"{name}.{field}")
        found[field] = new
    return replace(value, **found)  # type: ignore[type-var]


@dataclass(frozen=True)
class Rule(Forgetting):
    """What makes an arm.

    Args:
        criterion: Scores weights; see `tf_lottery.criteria`.
        mask1: What becomes of kept weights; see `tf_lottery.actions`.
        mask0: What pruned weights are frozen at; see `tf_lottery.actions`.
        one_shot: Prune the dense network anew for each round.
        control: Train what this mask-1 action makes of each ticket in place
            of the ticket. None trains the ticket.
        shown_task: Train what is shown, the dense network of round 0 too, on
            this task, such as other data. The chain goes on from tickets of
            the recipe's own task. None trains on that alone.
        draw: Of the randomness of actions and new initial weights; arms that
            differ in it are repetitions.
        untrained: Prune as with `one_shot`, and evaluate each ticket in place
            of training it.
        recipe: Fields of the figure's recipe that are others in this arm, its
            dense network included, by name; of a field that is an object, such
            as the model, the fields of that. None is the figure's recipe.
        rates: The arm's own in place of the figure's, or None.
        peer: Have tensorflow-model-optimization train and prune the network
            like this, by layer whatever the scope. Such an arm has no other
            field. Its round 0 is the dense network of the other arms: what
            the peer trains if it prunes nothing differs by rounding.

    Raises:
        InvalidValue: A field is of the wrong type.
    """

    one_shot: bool = False
    control: Function | None = None
    shown_task: Task | None = None
    draw: int | None = None
    untrained: bool = False
    recipe: Mapping[str, Any] | None = None
    rates: tuple[tuple[str, float | None], ...] | None = None
    peer: TfmotGradual | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("trains_on", "keep_rest", "biases"):
            if getattr(self, name) is not None:
                raise InvalidValue(
                    f"expected an arm of rounds to freeze what it prunes, "
                    f"received {name} = {getattr(self, name)!r}"
                )
        checks.boolean("one_shot", self.one_shot)
        checks.boolean("untrained", self.untrained)
        if self.control is not None:
            Forgetting(mask1=self.control)
        if self.shown_task is not None:
            checks.kind("shown_task", self.shown_task, Task)
        if self.draw is not None:
            checks.positive_int("draw", self.draw)
        if self.rates is not None:
            pruning.check_rates(self.rates)
        if self.peer is not None:
            checks.kind("peer", self.peer, TfmotGradual)
            if replace(self, peer=None) != Rule():
                raise InvalidValue(
                    "expected no other field beside peer in the rule of an "
                    f"arm, received {self!r}"
                )
