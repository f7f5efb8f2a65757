"""Arms: what makes a line of a figure over rounds, as fields of a rule."""

from dataclasses import dataclass, replace

from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.rules.forgetting import Forgetting
from tf_lottery.rules.tickets import Function
from tf_lottery.training.peers.tfmot_schedule import TfmotGradual
from tf_lottery.workloads.task import Task


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
        if self.peer is not None:
            checks.kind("peer", self.peer, TfmotGradual)
            if replace(self, peer=None) != Rule():
                raise InvalidValue(
                    "expected no other field beside peer in the rule of an "
                    f"arm, received {self!r}"
                )
