"""Notes: what a reader must know beside the tables of a single run."""

from typing import Any


def of_rounds(plan: dict[str, Any]) -> list[str]:
    """Returns the notes on an experiment in rounds."""
    recipe = plan["recipe"]
    return [
        f"Data {plan['data']}, {recipe['steps']:,} iterations of "
        f"{recipe['batch_size']} examples a training, evaluated every "
        f"{recipe['eval_every']:,}; means over runs. Round 0 is the dense "
        "network. Early stop is the iteration of the lowest validation loss, "
        "found after the fact.",
    ]


def of_learned_masks(plan: dict[str, Any]) -> list[str]:
    """Returns the notes on learned masks."""
    recipe = plan["recipe"]
    return [
        f"Data {plan['data']}, {recipe['steps']:,} steps of "
        f"{recipe['batch_size']} examples. Test accuracy in per cent after the "
        f"last step, the mean of {recipe['mask_samples']} sampled masks; kept: "
        "per cent of the weights. p>.5: the same network with every weight "
        "that is more likely kept than not.",
        *_protocol(plan),
    ]


def of_trainings(plan: dict[str, Any]) -> list[str]:
    """Returns the notes on plain trainings."""
    recipe = plan["recipe"]
    return [
        f"Data {plan['data']}, {recipe['steps']:,} steps of "
        f"{recipe['batch_size']} examples, evaluated every "
        f"{recipe['eval_every']:,}; what each training has at its last "
        "evaluation, means over seeds.",
        *_protocol(plan),
    ]


def _protocol(plan: dict[str, Any]) -> list[str]:
    """Returns whether a run did what the paper did."""
    if not plan["published"]:
        return []
    source, deviations = plan["published"]["source"], plan["deviations"]
    if not deviations:
        return [f"The protocol of {source}."]
    return [
        f"Not the protocol of {source}: {'; '.join(deviations)}. "
        "Differences are no verdict."
    ]
