"""Nets: the networks of the papers, as the benchmarks train them."""

import functools
import pathlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import tensorflow as tf

from tf_lottery.masking.conversion import strip_masks
from tf_lottery.masking.masks import BernoulliMask, fixed_mask
from tf_lottery.training.recipes import Recipe
from tf_lottery.workloads.classification import ImageClassification
from tf_lottery.workloads.examples import Resident
from tf_lottery.workloads.images.image_sets import Images
from tf_lottery.workloads.models.conv import Conv
from tf_lottery.workloads.models.lenet import LeNet
from tf_lottery.workloads.task import Shapes


@dataclass(frozen=True)
class Net:
    """A network and how the papers train it.

    Args:
        recipe: With the paper's cadence of evaluations.
        steps: In a turn of a benchmark.
    """

    recipe: Recipe
    steps: int


@dataclass(frozen=True)
class Plain:
    """An architecture without its masks.

    Args:
        model: With masks.
    """

    model: Callable[..., keras.Model]

    def __call__(self, *args: Any) -> keras.Model:
        """Returns the network of Keras' own layers."""
        return strip_masks(self.model(*args))


def _adam(learning_rate: float) -> dict[str, Any]:
    return {"class_name": "Adam", "config": {"learning_rate": learning_rate}}


def _conv(blocks: int, rate: float, dtype_policy: str) -> Net:
    recipe = Recipe(
        model=Conv(blocks),
        task=ImageClassification(Images("cifar10")),
        optimizer=_adam(rate),
        dtype_policy=dtype_policy,
    )
    return Net(recipe, steps=8)


LENET = Recipe(batch_size=60, optimizer=_adam(1.2e-3))
SUPERMASK = Recipe(
    model=LeNet(use_bias=False),
    optimizer={
        "class_name": "SGD",
        "config": {"learning_rate": 100.0, "momentum": 0.9},
    },
    batch_size=250,
    eval_every=4400,
    kernel_mask=functools.partial(BernoulliMask, rescale=True),
)
NETS = {
    "LeNet": Net(LENET, steps=500),
    "supermask": Net(SUPERMASK, steps=200),
    **{
        f"Conv{2 * blocks} {short}": _conv(blocks, rate, policy)
        for blocks, rate in ((1, 2e-4), (2, 3e-4), (3, 3e-4))
        for short, policy in (("f32", "float32"), ("bf16", "mixed_bfloat16"))
    },
}
CPUINFO = pathlib.Path("/proc/cpuinfo")
FLAGS = ("amx_bf16", "avx512_bf16", "bf16")
"""Of processors with units for bfloat16: two of x86, one of ARM."""


def images_of(recipe: Recipe) -> Images:
    """Returns the images that a recipe trains on."""
    return recipe.task.images


def on_images(recipe: Recipe, name: str) -> Recipe:
    """Returns a recipe that trains on other images, by their name."""
    images = replace(images_of(recipe), name=name)
    return replace(recipe, task=replace(recipe.task, images=images))


def new_model(recipe: Recipe, shapes: Shapes) -> keras.Model:
    """Returns a recipe's network, of seed 0."""
    return recipe.new_model(shapes, 0)


def taken(
    recipe: Recipe, source: Resident, rows: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns images in [0, 1] and labels, by their numbers."""
    batch = source.take(rows)
    return recipe.task.prepare(batch["inputs"]), batch["targets"]


def without_masks(recipe: Recipe) -> Recipe:
    """Returns a recipe whose network has Keras' own layers."""
    # Fixed ones are taken off: learned masks would leave the kernels frozen.
    return replace(recipe, model=Plain(recipe.model), kernel_mask=fixed_mask)


def without_units() -> str | None:
    """Returns why bfloat16 is not measured here; None if it is.

    Without units for it, bfloat16 is float32 with roundings, and its times say
    nothing of machines that have them.
    """
    if tf.config.list_physical_devices("GPU"):
        return None
    if not CPUINFO.exists():
        return (
            "whether this processor has units for bfloat16 cannot be known, "
            f"for there is no {CPUINFO}"
        )
    if set(FLAGS).isdisjoint(CPUINFO.read_text().split()):
        return (
            "this processor has no units for bfloat16: expected one of "
            f"{', '.join(FLAGS)} in {CPUINFO}, received none"
        )
    return None


def measurable(names: Sequence[str]) -> list[str]:
    """Returns those networks that have units here; says why others have not."""
    low = [n for n in names if NETS[n].recipe.dtype_policy == "mixed_bfloat16"]
    reason = without_units() if low else None
    if reason is None:
        return list(names)
    print(f"Skipped {', '.join(low)}: {reason}.", flush=True)
    return [name for name in names if name not in low]
