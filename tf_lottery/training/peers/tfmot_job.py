"""Jobs: what the peer's process must know of a training, in two files.

job.json    layers, optimizer, steps, when and how much to prune
job.npz     the ticket by variable path, "images" uint8, "labels", and "rows"
            `[steps, batch]`: which images each step sees
"""

import json
import pathlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.layers import MaskedConv2D, MaskedDense
from tf_lottery.training.programs import check_batch_size
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.request import Training
from tf_lottery.workloads.classification import ImageClassification
from tf_lottery.workloads.examples import Resident, Streamed

DENSE = ("units", "activation", "use_bias")
CONV = (
    *("filters", "kernel_size", "strides", "padding", "dilation_rate"),
    *("groups", "activation", "use_bias"),
)
LAYERS: dict[type, tuple[str, tuple[str, ...]]] = {
    keras.layers.Flatten: ("Flatten", ()),
    keras.layers.MaxPooling2D: (
        "MaxPooling2D",
        ("pool_size", "strides", "padding"),
    ),
    keras.layers.Dense: ("Dense", DENSE),
    MaskedDense: ("Dense", DENSE),
    keras.layers.Conv2D: ("Conv2D", CONV),
    MaskedConv2D: ("Conv2D", CONV),
}
"""The layers that the peer's network can have: their name and options there."""


def write(
    folder: pathlib.Path, training: Training, source: Resident | Streamed
) -> None:
    """Writes all that the peer needs to a folder.

    Args:
        folder: Where to.
        training: What the peer is to train, with its `peer`.
        source: The examples of its task.

    Raises:
        InvalidValue: The peer has no such network, task or training.
    """
    recipe, ticket, seed = training.recipe, training.ticket, training.seed
    pruning = training.peer
    if pruning is None:
        raise InvalidValue("expected a training of a peer, received our own")
    if not isinstance(recipe.task, ImageClassification):
        raise InvalidValue(
            "expected image classification for an arm with a peer, received "
            f"{recipe.task!r}"
        )
    if not isinstance(source, Resident):
        raise InvalidValue(
            "expected images in memory for an arm with a peer, received "
            "streamed ones (Images.stream)"
        )
    if recipe.first_step:
        raise InvalidValue(
            "expected a training from its first step on for a peer, received "
            f"Recipe.first_step = {recipe.first_step}"
        )
    if not all(mask.all() for mask in ticket.masks.values()):
        raise InvalidValue(
            "expected the dense network for a peer to prune, received a "
            "ticket with masks"
        )
    check_batch_size(recipe, source, tf.distribute.get_strategy())
    job = {
        "seed": seed,
        "layers": describe(recipe.new_model(source.shapes, seed)),
        "image_shape": source.shapes.inputs,
        "optimizer": _optimizer(recipe),
        "dtype_policy": recipe.dtype_policy,
        "steps": recipe.steps,
        "eval_every": recipe.eval_every,
        "schedule": pruning.schedule.schedule(recipe.steps)._asdict(),
        "rates": dict(pruning.rates),
        "splits": {
            split: (source.start(split), source.sizes[split])
            for split in ("validation", "test")
        },
        # As many as this process, which may be one of several.
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
    }
    held = source.arrays()
    rows = source.rows(seed, recipe.batch_size, 0, recipe.steps)
    arrays: dict[str, Any] = {
        **training.arrays,
        "images": held["inputs"],
        "labels": held["targets"],
        "rows": rows,
    }
    (folder / "job.json").write_text(json.dumps(job))
    np.savez(folder / "job.npz", **arrays)


def describe(model: keras.Model) -> list[dict[str, Any]]:
    """Returns the layers of a model as the peer's process builds them.

    Raises:
        InvalidValue: They are not one after the other, or one of them is none
            of `LAYERS` without regularizers and constraints.
    """
    described = []
    previous = model.inputs[0] if getattr(model, "inputs", None) else None
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        config = layer.get_config()
        extra = [
            name
            for name, value in config.items()
            if name.endswith(("_regularizer", "_constraint")) and value
        ]
        if type(layer) not in LAYERS or extra or layer.input is not previous:
            known = dict.fromkeys(name for name, _ in LAYERS.values())
            raise InvalidValue(
                "expected a network of the layers "
                f"{', '.join(known)}, one after the other and without "
                f"regularizers and constraints, for an arm with a peer, "
                f"received {type(layer).__name__} {layer.name!r}"
                + (f" with {', '.join(extra)}" if extra else "")
            )
        name, options = LAYERS[type(layer)]
        own = {option: config[option] for option in options}
        described.append(
            {"class_name": name, "config": {"name": layer.name, **own}}
        )
        previous = layer.output
    return described


def _optimizer(recipe: Recipe) -> dict[str, Any]:
    """Returns the recipe's optimizer with all that Keras fills in.

    The defaults of the peer's Keras may be others. What is None is off there
    as here, and may have no name there.
    """
    optimizer = recipe.new_optimizer()
    config = optimizer.get_config()
    return {
        "class_name": type(optimizer).__name__,
        "config": {k: v for k, v in config.items() if v is not None},
    }
