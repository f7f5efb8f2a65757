"""Image classification: what is right and wrong about an image's logits."""

import tensorflow as tf


def classification_losses(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns the cross-entropy of each image, `[n]`, in nats."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels, tf.cast(logits, tf.float32)
    )


def hits(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns 1 for each image classified right and 0 for others, `[n]`."""
    best = tf.argmax(logits, axis=-1, output_type=labels.dtype)
    return tf.cast(best == labels, tf.float32)
