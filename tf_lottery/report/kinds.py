"""Kinds: what is true of all runs of one kind of experiment.

A run's `plan.json` says of which kind it is; nothing guesses it. What reports
show of each kind is in `showing`.

>>> KINDS["rounds"].ladder, KINDS["curves"].masks
(True, False)
"""

from typing import NamedTuple


class Kind(NamedTuple):
    """What is true of all runs of one kind.

    Args:
        ladder: Whether there are rounds, and figures are over the fraction of
            weights remaining. Without, there is one training an arm and seed,
            which is judged by what it ends with.
        retrained: Whether every round trains, with a mask that depends on the
            rounds before.
        masks: Whether networks have masks: a training is not shown before it
            is known what remains of its weights.
    """

    ladder: bool
    retrained: bool
    masks: bool


KINDS = {
    "rounds": Kind(ladder=True, retrained=True, masks=True),
    "untrained": Kind(ladder=True, retrained=False, masks=True),
    "supermask": Kind(ladder=False, retrained=False, masks=True),
    "curves": Kind(ladder=False, retrained=False, masks=False),
}
"""The kinds, by the name in the field "kind" of `plan.json`."""
