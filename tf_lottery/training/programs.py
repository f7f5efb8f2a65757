"""Programs: a network, its optimizer, and the compiled code that trains it."""

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.kernels import (
    all_layers,
    masked_kernels,
    masked_layers,
)
from tf_lottery.masking.masks import KernelMask
from tf_lottery.masking.model_state import (
    as_ticket,
    extras,
    load_state,
    read_state,
)
from tf_lottery.rules.tickets import Arrays, Ticket
from tf_lottery.training import moving_statistics, steps
from tf_lottery.training.evaluation import Evaluate, evaluator
from tf_lottery.training.history import Measurement, Position
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.trial import expect_task
from tf_lottery.workloads.examples import Resident, Streamed


class Programs:
    """A network, its optimizer, and the programs that train and evaluate it.

    Compiling takes seconds, and one compilation serves every ticket and seed
    of a recipe: whatever they decide is a variable, or an input.

    Args:
        recipe: What to compile.
        source: The examples of its task, opened for the same strategy.
        strategy: On which devices; None is TensorFlow's default device.
        seed: The one that trains first.

    Raises:
        InvalidValue: The batch size does not suit the examples or the replicas,
            or the task is none (see `trial.expect_task`).
    """

    def __init__(
        self,
        recipe: Recipe,
        source: Resident | Streamed,
        strategy: tf.distribute.Strategy | None,
        seed: int,
    ) -> None:
        strategy = strategy or tf.distribute.get_strategy()
        check_batch_size(recipe, source, strategy)
        with strategy.scope():
            self.model = recipe.new_model(source.shapes, seed)
            self.optimizer = recipe.new_optimizer()
            self.optimizer.build(self.model.trainable_variables)
            self._masks = _seeded_masks(self.model)
            self._mask_seeds = [
                tf.Variable(mask.seed, trainable=False, dtype=tf.int32)
                for mask in self._masks
            ]
        expect_task(recipe, self.model, source, seed)
        self._recipe, self._source = recipe, source
        self._strategy = strategy
        self._statistics: moving_statistics.Measure | None = None
        self._seed = seed
        self.pace: int | None = None
        """How many steps a call may have; None until the first was made."""
        self.seed_is_fixed = _fixes_its_seed(self.model)
        self.extras = extras(self.model, self.optimizer)
        self._first = [keras.ops.convert_to_numpy(v) for v in self.extras]
        for mask, variable in zip(self._masks, self._mask_seeds, strict=True):
            mask.seed = variable
        self.jit = jit = steps.compiles_well(self.model, strategy)
        self.run: steps.TrainSteps = steps.runner(
            recipe, self.model, self.optimizer, source, strategy, jit
        )
        self.measure: Evaluate = evaluator(
            recipe.task, self.model, source, strategy, jit, recipe.mask_samples
        )

    @property
    def seed(self) -> int:
        """The seed of the training that was loaded last."""
        return self._seed

    def load(self, ticket: Ticket, seed: int) -> None:
        """Puts everything where a training of the ticket starts.

        Args:
            ticket: What it starts from.
            seed: Of the order of examples, and of random masks.

        Raises:
            ValueError: The ticket does not fit the model.
        """
        if seed != self._seed:
            self._take_seed(seed)
        load_state(self.model, ticket.arrays())
        for variable, value in zip(self.extras, self._first, strict=True):
            variable.assign(value)

    def _take_seed(self, seed: int) -> None:
        """Makes the network draw what one that was built for a seed draws."""
        others = len(self.extras) - len(self.optimizer.variables)
        if self._masks or others:
            built = self._recipe.new_model(self._source.shapes, seed)
            for variable, mask in zip(
                self._mask_seeds, _seeded_masks(built), strict=True
            ):
                variable.assign(mask.seed)
            # The optimizer's are first, and know no seed.
            first = [keras.ops.convert_to_numpy(v) for v in extras(built, None)]
            self._first[len(self._first) - others :] = first
        self._seed = seed

    def gradient(
        self, ticket: Ticket, seed: int, examples: int
    ) -> dict[str, np.ndarray]:
        """Returns the gradient of the ticket's loss, by kernel path.

        Args:
            ticket: At whose weights.
            seed: Of the order of examples.
            examples: How many of the training examples: the first ones of the
                seed's order.

        Raises:
            InvalidValue: The examples are streamed, or too few.
            ValueError: The ticket does not fit the model.
        """
        if not isinstance(self._source, Resident):
            raise InvalidValue(
                "expected examples in memory for a gradient, received streamed "
                "ones (Images.stream)"
            )
        if examples > self._source.sizes["train"]:
            raise InvalidValue(
                f"expected at least {examples} training examples for a "
                "gradient (Lottery.gradient_examples), received "
                f"{self._source.sizes['train']}"
            )
        self.load(ticket, seed)
        kernels = [layer.raw_kernel for layer in masked_layers(self.model)]
        [rows] = self._source.rows(seed, examples, 0, 1)
        batch = self._source.take(tf.constant(rows))
        draw = steps.draw_of(seed, 0, examples)
        with tf.GradientTape() as tape:
            losses, _ = self._recipe.task.losses(self.model, batch, True, draw)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, [k.value for k in kernels])
        return {
            kernel.path: keras.ops.convert_to_numpy(gradient)
            for kernel, gradient in zip(kernels, gradients, strict=True)
        }

    def evaluate(
        self, ticket: Ticket, seed: int, statistics: int = 0
    ) -> tuple[Measurement, ...]:
        """Returns the metrics of a ticket that is not trained.

        Args:
            ticket: With weights and masks.
            seed: Of random masks.
            statistics: On how many training examples, the first ones of the
                seed's order, the moving statistics of normalisation are
                measured anew; whole batches of them. 0 takes the ticket's.

        Raises:
            InvalidValue: The examples are streamed.
            ValueError: The ticket does not fit the model.
        """
        self.load(ticket, seed)
        if statistics and self._statistics is None:
            self._statistics = moving_statistics.measurer(
                self._recipe, self.model, self._source, self._strategy
            )
        if statistics and self._statistics:
            self._statistics(seed, statistics)
        position = Position()
        for split in ("validation", "test"):
            position.log(self._recipe.task, split, *self.measure(split))
        return tuple(position.rows)


def _seeded_masks(model: keras.Model) -> list[KernelMask]:
    """Returns the masks of a model that have a seed to draw with, in order."""
    masks = (kernel.mask for kernel in masked_kernels(model).values())
    return [m for m in masks if isinstance(getattr(m, "seed", None), int)]


def _fixes_its_seed(model: keras.Model) -> bool:
    """Returns whether a layer may draw with a seed that is compiled into it.

    Keras' own layers draw with the variable of a `SeedGenerator`.
    """
    return any(
        isinstance(getattr(layer, "seed", None), int)
        and not hasattr(layer, "seed_generator")
        for layer in all_layers(model)
        if not isinstance(layer, KernelMask)
    )


def check_batch_size(
    recipe: Recipe,
    source: Resident | Streamed,
    strategy: tf.distribute.Strategy,
) -> None:
    """Raises InvalidValue unless the batch suits examples and replicas."""
    if recipe.batch_size > source.sizes["train"]:
        raise InvalidValue(
            f"expected BATCH_SIZE of at most {source.sizes['train']}, the "
            f"number of training examples, received {recipe.batch_size}"
        )
    replicas = strategy.num_replicas_in_sync
    if recipe.batch_size % replicas:
        raise InvalidValue(
            f"expected BATCH_SIZE to be a multiple of {replicas}, the number "
            f"of replicas, received {recipe.batch_size}; --strategy=one takes "
            "any"
        )


def dump(programs: Programs) -> dict[str, np.ndarray]:
    """Returns every variable of a training under way, for a checkpoint."""
    arrays = read_state(programs.model)
    for i, variable in enumerate(programs.extras):
        arrays[f"optimizer/{i}"] = keras.ops.convert_to_numpy(variable)
    return arrays


def load(programs: Programs, arrays: Arrays) -> None:
    """Puts every variable where a checkpoint has it."""
    state = dict(arrays)
    for i, variable in enumerate(programs.extras):
        variable.assign(state.pop(f"optimizer/{i}"))
    # Of a ticket, kernels hold the values of pruned weights: on several
    # replicas an optimizer moves them below their masks, and one device, which
    # may go on from there, reads them bare.
    ticket = as_ticket(programs.model, state)
    load_state(programs.model, ticket.arrays())
