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
from tf_lottery.training.history import Place, Row
from tf_lottery.training.recipes import Recipe
from tf_lottery.workloads.classification import classification_losses
from tf_lottery.workloads.images.batches import Resident, Streamed


class Programs:
    """A network, its optimizer, and the programs that train and evaluate it.

    Compiling takes seconds, and one compilation serves every ticket of a
    recipe and seed.

    Args:
        recipe: What to compile.
        source: The recipe's images, opened for the same strategy.
        strategy: On which devices; None is TensorFlow's default device.
        seed: Of the order of images and of random masks.

    Raises:
        InvalidValue: The batch size does not suit the images or the replicas.
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
            self.model = recipe.new_model(
                source.image_shape, source.classes, seed
            )
            self.optimizer = recipe.new_optimizer()
            self.optimizer.build(self.model.trainable_variables)
        self._source, self._seed = source, seed
        self.extras = extras(self.model, self.optimizer)
        self._first = [keras.ops.convert_to_numpy(v) for v in self.extras]
        jit = steps.compiles_well(self.model, strategy)
        self.run: steps.Run = steps.runner(
            recipe, self.model, self.optimizer, source, strategy, jit, seed
        )
        self.measure: Evaluate = evaluator(
            self.model, source, strategy, jit, recipe.mask_samples
        )

    def load(self, ticket: Ticket) -> None:
        """Puts everything where a training of the ticket starts.

        Raises:
            ValueError: The ticket does not fit the model.
        """
        load_state(self.model, ticket.arrays())
        for variable, value in zip(self.extras, self._first, strict=True):
            variable.assign(value)

    def gradient(self, ticket: Ticket, images: int) -> dict[str, np.ndarray]:
        """Returns the gradient of the ticket's loss, by kernel path.

        Args:
            ticket: At whose weights.
            images: How many of the training images: the first ones of the
                seed's order.

        Raises:
            InvalidValue: The images are streamed, or too few.
            ValueError: As for `load`.
        """
        if not isinstance(self._source, Resident):
            raise InvalidValue(
                "expected images in memory for a gradient, received streamed "
                "ones (Images.stream)"
            )
        if images > self._source.sizes["train"]:
            raise InvalidValue(
                f"expected at least {images} training images for a gradient "
                "(Lottery.gradient_images), received "
                f"{self._source.sizes['train']}"
            )
        self.load(ticket)
        kernels = [layer.raw_kernel for layer in masked_layers(self.model)]
        [rows] = self._source.rows(self._seed, images, 0, 1)
        batch, labels = self._source.take(tf.constant(rows))
        with tf.GradientTape() as tape:
            logits = self.model(batch, training=True)
            loss = tf.reduce_mean(classification_losses(labels, logits))
        gradients = tape.gradient(loss, [k.value for k in kernels])
        return {
            kernel.path: keras.ops.convert_to_numpy(gradient)
            for kernel, gradient in zip(kernels, gradients, strict=True)
        }

    def evaluate(self, ticket: Ticket) -> tuple[Row, ...]:
        """Returns loss and accuracy of a ticket that is not trained.

        Raises:
            ValueError: As for `load`.
        """
        self.load(ticket)
        place = Place()
        for split in ("validation", "test"):
            place.log(split, *self.measure(split))
        return tuple(place.rows)


def check_batch_size(
    recipe: Recipe,
    source: Resident | Streamed,
    strategy: tf.distribute.Strategy,
) -> None:
    """Raises InvalidValue unless the batch suits images and replicas."""
    if recipe.batch_size > source.sizes["train"]:
        raise InvalidValue(
            f"expected BATCH_SIZE of at most {source.sizes['train']}, the "
            f"number of training images, received {recipe.batch_size}"
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
