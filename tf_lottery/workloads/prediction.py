"""Prediction: tasks in which one of several answers is right.

The network gives a number for each answer, the loss is the cross-entropy, and
the score is whether the right one got the highest.
"""

import keras
import tensorflow as tf

from tf_lottery.workloads.task import Batch, Draw, Task


class Prediction(Task):
    """A task whose examples have `inputs` and one right answer, `targets`."""

    def prepare(self, inputs: tf.Tensor, draw: Draw | None = None) -> tf.Tensor:
        """Returns inputs as the network gets them.

        Args:
            inputs: As the source gives them.
            draw: The randomness of a training step. None in an evaluation.
        """
        del draw
        return inputs

    def losses(
        self,
        model: keras.Model,
        batch: Batch,
        training: bool,
        draw: Draw | None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the cross-entropy and the hit of each example, `[n]`.

        Args:
            model: From inputs to a number an answer, `[n, answers]`.
            batch: `inputs` `[n, ...]` and `targets` `[n]`, the numbers of the
                right answers.
            training: Whether the network learns from it.
            draw: The randomness of a training step, for `prepare`.
        """
        inputs = self.prepare(batch["inputs"], draw if training else None)
        logits = model(inputs, training=training)
        targets = batch["targets"]
        return cross_entropy(targets, logits), hits(targets, logits)


def cross_entropy(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns the cross-entropy of each example, `[n]`, in nats."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(
        targets, tf.cast(logits, tf.float32)
    )


def hits(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns 1 for each example answered right and 0 for others, `[n]`."""
    best = tf.argmax(logits, axis=-1, output_type=targets.dtype)
    return tf.cast(best == targets, tf.float32)
