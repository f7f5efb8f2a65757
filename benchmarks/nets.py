"""Nets: the networks of the papers, as the benchmarks train them."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras

from tf_lottery.masking.conversion import strip_masks
from tf_lottery.masking.masks import BernoulliMask, fixed_mask
from tf_lottery.training.recipes import Recipe
from tf_lottery.workloads.images.image_sets import Images
from tf_lottery.workloads.models.conv import Conv
from tf_lottery.workloads.models.lenet import LeNet


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
        images=Images("cifar10"),
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


def images_of(recipe: Recipe) -> Images:
    """Returns the images that a recipe trains on."""
    return recipe.images


def on_images(recipe: Recipe, name: str) -> Recipe:
    """Returns a recipe that trains on other images, by their name."""
    return replace(recipe, images=replace(recipe.images, name=name))


def new_model(
    recipe: Recipe, image_shape: tuple[int, ...], classes: int
) -> keras.Model:
    """Returns a recipe's network, of seed 0."""
    return recipe.new_model(image_shape, classes, 0)


def without_masks(recipe: Recipe) -> Recipe:
    """Returns a recipe whose network has Keras' own layers."""
    # Fixed ones are taken off: learned masks would leave the kernels frozen.
    return replace(recipe, model=Plain(recipe.model), kernel_mask=fixed_mask)
