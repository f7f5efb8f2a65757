"""Recipes: what a training needs besides its ticket and its seed.

A recipe is a value. Two trainings with equal recipes, tickets and seeds are
the same training, which is what the store relies on.

>>> Recipe(steps=100) == Recipe(steps=100)
True
>>> Recipe(steps="many")
Traceback (most recent call last):
    ...
tf_lottery.foundation.checks.InvalidValue: expected STEPS to be a whole
number of at least 1, received 'many'
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras

from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.masks import KernelMask, fixed_mask
from tf_lottery.masking.model_state import read_ticket
from tf_lottery.rules.tickets import Ticket
from tf_lottery.training import learning_rates, optimizers
from tf_lottery.workloads.classification import ImageClassification
from tf_lottery.workloads.models.lenet import LeNet
from tf_lottery.workloads.task import Shapes, Task

DTYPE_POLICIES = ("float32", "mixed_bfloat16")


def _adam() -> dict[str, Any]:
    # Frankle & Carbin 2019, figure 2, for LeNet.
    return {"class_name": "Adam", "config": {"learning_rate": 1.2e-3}}


@dataclass(frozen=True)
class Recipe:
    """How to train: everything but the starting point and the seed.

    Args:
        model: Builds the network; see `workloads.models.lenet.LeNet`.
        task: What is learned, such as image classification.
        optimizer: As Keras serializes it: `{"class_name": "SGD", "config":
            {"learning_rate": 0.1}}`, where the rate may be a schedule,
            serialized likewise; see `learning_rates`.
        steps: How many batches to train on.
        batch_size: Examples a step, over all replicas.
        eval_every: Steps between evaluations; there is one before the first
            step and one after the last, too.
        kernel_mask: Builds the mask of a layer, called with `seed=`.
        mask_samples: Masks drawn for an evaluation, where masks are random.
        first_step: Where training starts, for a ticket that was taken there:
            it sees the batches and learning rates from that step on. None is
            0.
        dtype_policy: "float32", or "mixed_bfloat16" where devices are faster
            at that.
        test_at_stop: True tests only where early stopping may stop, which is
            wherever the validation loss is lower than at all evaluations
            before, and after the last step. None tests at every evaluation,
            for curves; most of the time of evaluations goes there. Peers
            always do.
        l2: Half of this, times the sum of the squares of all weights that are
            trained, biases and normalisation included, is added to the loss
            that is descended, though not to the one that is measured: what
            PyTorch calls the weight decay of its SGD. None is 0. The
            `weight_decay` of Keras' optimizers is another thing: it takes its
            part of the weights by itself, past momentum.

    Raises:
        InvalidValue: A field is of the wrong type or range.
    """

    model: Callable[..., keras.Model] = field(default_factory=LeNet)
    task: Task = field(default_factory=ImageClassification)
    optimizer: Mapping[str, Any] = field(default_factory=_adam)
    steps: int = 50_000
    batch_size: int = 60
    eval_every: int = 100
    kernel_mask: Callable[..., KernelMask] = fixed_mask
    mask_samples: int = 10
    dtype_policy: str = "float32"
    first_step: int | None = None
    test_at_stop: bool | None = None
    l2: float | None = None

    def __post_init__(self) -> None:
        if not callable(self.model) or isinstance(self.model, type):
            raise InvalidValue(
                "expected Recipe.model to be an architecture such as "
                f"@lenet.LeNet(), received {self.model!r}"
            )
        checks.takes(
            *("Recipe.model", self.model, "shapes", "kernel_mask", "seed")
        )
        self._check_kernel_mask()
        if not isinstance(self.task, Task):
            raise InvalidValue(
                "expected Recipe.task to be a task such as "
                f"@classification.ImageClassification(), received {self.task!r}"
            )
        checks.positive_int("STEPS", self.steps)
        checks.positive_int("BATCH_SIZE", self.batch_size)
        checks.positive_int("EVAL_EVERY", self.eval_every)
        checks.positive_int("MASK_SAMPLES", self.mask_samples)
        checks.one_of("DTYPE_POLICY", self.dtype_policy, DTYPE_POLICIES)
        if self.first_step is not None:
            checks.positive_int("Recipe.first_step", self.first_step)
            if self.first_step >= self.steps:
                raise InvalidValue(
                    "expected Recipe.first_step to be less than STEPS, "
                    f"{self.steps}, received {self.first_step}"
                )
        if self.test_at_stop is not None and self.test_at_stop is not True:
            # Not False or 1: it would be another training's hash, for the same.
            raise InvalidValue(
                "expected TEST_AT_STOP to be True or None, received "
                f"{self.test_at_stop!r}"
            )
        if self.l2 is not None:
            checks.number("L2", self.l2)
            if self.l2 <= 0:
                raise InvalidValue(
                    "expected L2 to be more than 0, or None for none, "
                    f"received {self.l2}"
                )
        self.new_optimizer()

    def _check_kernel_mask(self) -> None:
        try:
            mask = self.kernel_mask(seed=0)
        except Exception as error:  # of whatever was given for it
            raise InvalidValue(
                "expected Recipe.kernel_mask to build a mask when called with "
                f"seed=0, received {checks.say(self.kernel_mask)}: {error}"
            ) from error
        if not isinstance(mask, KernelMask):
            raise InvalidValue(
                "expected Recipe.kernel_mask to build a mask, received "
                f"{checks.say(self.kernel_mask)}, which builds {mask!r}"
            )

    def new_model(self, shapes: Shapes, seed: int) -> keras.Model:
        """Returns the network as the seed initialises it.

        Args:
            shapes: What it must know of the task's examples.
            seed: Of its initial weights, and of random masks.
        """
        with _dtype_policy(self.dtype_policy):
            return self.model(shapes, self.kernel_mask, seed)

    def new_optimizer(self) -> keras.optimizers.Optimizer:
        """Returns the optimizer in its first state.

        Raises:
            InvalidValue: Keras does not know it, or one of its arguments.
        """
        try:
            config = dict(self.optimizer["config"])
            optimizers.check(config)
            if "learning_rate" in config:
                config["learning_rate"] = learning_rates.of_recipe(
                    config["learning_rate"], self.first_step, self.steps
                )
            return keras.optimizers.get(
                {"class_name": self.optimizer["class_name"], "config": config}
            )
        except InvalidValue:
            raise
        except Exception as error:  # of Keras, by what is wrong
            raise InvalidValue(
                "expected OPTIMIZER to be {'class_name': ..., 'config': "
                "{...}} with the name and arguments of a Keras optimizer, "
                f"received {self.optimizer!r}: {error}"
            ) from error

    def initial_ticket(self, shapes: Shapes, seed: int) -> Ticket:
        """Returns the ticket with every variable at its first value.

        Args:
            shapes: What the network must know of the task's examples.
            seed: Of its initial weights, and of random masks.
        """
        return read_ticket(self.new_model(shapes, seed))


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
