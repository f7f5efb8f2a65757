"""Programs: a network, its optimizer, and the compiled code that trains it."""

import keras
import numpy as np
import tensorflow as tf

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.kernels import masked_layers
from tf_lottery.masking.model_state import (
    as_ticket,
    extras,
    load_state,
    read_state,
)
from tf_lottery.rules.tickets import Arrays, Ticket
from tf_lottery.training import steps
from tf_lottery.training.evaluation import Evaluate, evaluator
from tf_lottery.training.history import Measurement, Position
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.trial import expect_task
from tf_lottery.workloads.examples import Resident, Streamed


class Programs:
    """A network, its optimizer, and the programs that train and evaluate it.

    Compiling takes seconds, and one compilation serves every ticket of a
    recipe and seed.

    Args:
        recipe: What to compile.
        source: The examples of its task, opened for the same strategy.
        strategy: On which devices; None is TensorFlow's default device.
        seed: Of the order of examples, and of random masks.

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
        expect_task(recipe, self.model, source, seed)
        self._recipe, self._source, self._seed = recipe, source, seed
        self.extras = extras(self.model, self.optimizer)
        self._first = [keras.ops.convert_to_numpy(v) for v in self.extras]
        self.jit = jit = steps.compiles_well(self.model, strategy)
        self.run: steps.TrainSteps = steps.runner(
            recipe, self.model, self.optimizer, source, strategy, jit, seed
        )
        self.measure: Evaluate = evaluator(
            recipe.task, self.model, source, strategy, jit, recipe.mask_samples
        )

    def load(self, ticket: Ticket) -> None:
        """Puts everything where a training of the ticket starts.

        Raises:
            ValueError: The ticket does not fit the model.
        """
        load_state(self.model, ticket.arrays())
        for variable, value in zip(self.extras, self._first, strict=True):
            variable.assign(value)

    def gradient(self, ticket: Ticket, examples: int) -> dict[str, np.ndarray]:
        """Returns the gradient of the ticket's loss, by kernel path.

        Args:
            ticket: At whose weights.
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
        self.load(ticket)
        kernels = [layer.raw_kernel for layer in masked_layers(self.model)]
        [rows] = self._source.rows(self._seed, examples, 0, 1)
        batch = self._source.take(tf.constant(rows))
        draw = steps.draw_of(self._seed, 0, examples)
        with tf.GradientTape() as tape:
            losses, _ = self._recipe.task.losses(self.model, batch, True, draw)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, [k.value for k in kernels])
        return {
            kernel.path: keras.ops.convert_to_numpy(gradient)
            for kernel, gradient in zip(kernels, gradients, strict=True)
        }

    def evaluate(self, ticket: Ticket) -> tuple[Measurement, ...]:
        """Returns the metrics of a ticket that is not trained.

        Raises:
            ValueError: The ticket does not fit the model.
        """
        self.load(ticket)
        position = Position()
        for split in ("validation", "test"):
            position.log(self._recipe.task, split, *self.measure(split))
        return tuple(position.rows)


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
