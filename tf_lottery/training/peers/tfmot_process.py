"""The peer's process: `python -m tf_lottery.training.peers.tfmot_process`.

`training.peers.tfmot` starts it with a folder and says what is in that. Nothing
imports it, and it imports nothing of this package: here `tf.keras` is tf_keras.

It does what the guide of tensorflow-model-optimization does: each prunable
layer is wrapped by `prune_low_magnitude`, and `fit` has the callback
`UpdatePruningStep`. An epoch of `fit` is what lies between two evaluations.
"""

import json
import os
import pathlib
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

STEPS_PER_CALL = 500
EVALUATION_BATCH_SIZE = 1000


def main(folder: pathlib.Path) -> None:
    """Trains what a folder asks for, and leaves the result there."""
    # What libraries print is no line of ours.
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    threading.Thread(target=_follow_parent, daemon=True).start()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Not above: whoever looks at all modules imports this one.
    import tensorflow as tf
    import tf_keras

    job = json.loads((folder / "job.json").read_text())
    with np.load(folder / "job.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    tf.config.threading.set_intra_op_parallelism_threads(job["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    tf_keras.utils.set_random_seed(job["seed"])
    tf_keras.mixed_precision.set_global_policy(job["dtype_policy"])

    model = build(job, arrays)

    def say(step: int, rows: list, seconds: tuple[float, float]) -> None:
        channel.write(json.dumps([step, rows, seconds]) + "\n")
        channel.flush()

    train(model, job, arrays, say)
    result: dict[str, Any] = {**state(model, job)}
    np.savez(folder / "result.npz", **result)


def _follow_parent() -> None:
    """Ends this process when the one that started it has died."""
    sys.stdin.read()  # nothing is ever written to it
    os._exit(1)


def build(job: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    """Returns the network with its first weights, wrapped where it is pruned.

    Returns:
        A compiled tf_keras model.
    """
    import tf_keras
    from tensorflow_model_optimization.sparsity import keras as sparsity

    when, optimizer = job["schedule"], job["optimizer"]
    layers = [tf_keras.Input(job["image_shape"])]
    for described in job["layers"]:
        kind = getattr(tf_keras.layers, described["class_name"])
        layer = kind(**described["config"])
        rate = job["rates"].get(f"{layer.name}/kernel")
        if rate is not None:
            schedule = sparsity.PolynomialDecay(
                initial_sparsity=0.0,
                final_sparsity=rate,
                begin_step=when["begin"],
                end_step=when["end"],
                frequency=when["frequency"],
            )
            layer = sparsity.prune_low_magnitude(
                layer, pruning_schedule=schedule
            )
        layers.append(layer)
    # As our losses, the peer's is of float32 logits under any dtype policy.
    layers.append(tf_keras.layers.Activation("linear", dtype="float32"))
    model = tf_keras.Sequential(layers)
    for path, variable in variables(model).items():
        variable.assign(arrays[path])
    model.compile(
        # Not `get`, which may take the older class of that name.
        getattr(tf_keras.optimizers, optimizer["class_name"]).from_config(
            optimizer["config"]
        ),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[tf_keras.metrics.SparseCategoricalAccuracy("accuracy")],
        steps_per_execution=min(job["eval_every"], STEPS_PER_CALL),
    )
    return model


def train(
    model: Any,
    job: dict[str, Any],
    arrays: dict[str, np.ndarray],
    say: Callable[[int, list, tuple[float, float]], None],
) -> None:
    """Trains, and says after each evaluation what came out.

    Args:
        model: Of `build`.
        job: Of the folder.
        arrays: Of the folder.
        say: Takes the step, rows of (split, metric, value), and the seconds
            spent so far on training and on evaluations.
    """
    import tensorflow as tf
    import tf_keras
    from tensorflow_model_optimization.sparsity import keras as sparsity

    take = taker(arrays)
    measure = evaluator(model, take)
    began, evaluating = time.monotonic(), 0.0
    step, last = 0, -1.0

    def evaluate(period: dict[str, float] | None) -> None:
        nonlocal evaluating, last
        started = time.monotonic()
        numbers = {"train": period} if period else {}
        for split, (first, size) in job["splits"].items():
            numbers[split] = measure(first, size)
        rows = [
            (split, metric, float(own[metric]))
            for split, own in numbers.items()
            for metric in ("loss", "accuracy")
        ]
        fractions = remaining(masks(model, job))
        if fractions["all"] != last:
            last = fractions["all"]
            rows += [(path, "remaining", x) for path, x in fractions.items()]
        evaluating += time.monotonic() - started
        say(step, rows, (time.monotonic() - began - evaluating, evaluating))

    def end_period(_: int, period: dict[str, float]) -> None:
        nonlocal step
        step += length
        evaluate(period)

    evaluate(None)
    whole, rest = divmod(job["steps"], job["eval_every"])
    for length, count in ((job["eval_every"], whole), (rest, min(rest, 1))):
        if not count:
            continue
        rows = tf.data.Dataset.from_tensor_slices(arrays["rows"][step:])
        model.fit(
            rows.map(take).prefetch(tf.data.AUTOTUNE),
            epochs=count,
            steps_per_epoch=length,
            callbacks=[
                sparsity.UpdatePruningStep(),
                tf_keras.callbacks.LambdaCallback(on_epoch_end=end_period),
            ],
            verbose=0,
        )


def taker(arrays: dict[str, np.ndarray]) -> Callable[[Any], tuple[Any, Any]]:
    """Returns what makes a batch, images in [0, 1] and labels, of its rows."""
    import tensorflow as tf

    images, labels = (tf.constant(arrays[x]) for x in ("images", "labels"))

    def take(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = tf.cast(tf.gather(images, rows), tf.float32) / 255
        return batch, tf.gather(labels, rows)

    return take


def evaluator(
    model: Any, take: Callable[[Any], tuple[Any, Any]]
) -> Callable[[int, int], dict[str, float]]:
    """Returns what measures loss and accuracy of a split.

    Given the row where the split begins and how many it has.
    """
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def totals(rows: tf.Tensor) -> tf.Tensor:
        batch, labels = take(rows)
        logits = model(batch, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        best = tf.argmax(logits, axis=-1, output_type=labels.dtype)
        right = tf.cast(best == labels, tf.float32)
        return tf.stack([tf.reduce_sum(losses), tf.reduce_sum(right)])

    def measure(first: int, size: int) -> dict[str, float]:
        rows = np.arange(first, first + size, dtype=np.int32)
        both = np.zeros(2)
        for i in range(0, size, EVALUATION_BATCH_SIZE):
            part = rows[i : i + EVALUATION_BATCH_SIZE]
            both += totals(tf.constant(part)).numpy()
        loss, accuracy = both / size
        return {"loss": loss, "accuracy": accuracy}

    return measure


def variables(model: Any) -> dict[str, Any]:
    """Returns the weights of the network by path, without the peer's own."""
    found = {}
    for wrapped in model.layers:
        layer = getattr(wrapped, "layer", wrapped)
        for name in ("kernel", "bias"):
            if getattr(layer, name, None) is not None:
                found[f"{layer.name}/{name}"] = getattr(layer, name)
    return found


def masks(model: Any, job: dict[str, Any]) -> dict[str, np.ndarray]:
    """Returns the masks by kernel path, True = kept."""
    found = {}
    for layer in model.layers:
        for _, mask, _ in getattr(layer, "pruning_vars", ()):
            found[f"{layer.layer.name}/kernel"] = mask.numpy() != 0
    weights = variables(model)
    dense = [path for path, rate in job["rates"].items() if rate is None]
    found |= {path: np.ones(weights[path].shape, bool) for path in dense}
    return {path: found[path] for path in job["rates"]}


def remaining(found: dict[str, np.ndarray]) -> dict[str, float]:
    """Returns the fraction of weights kept by kernel path, and of "all"."""
    kept = {path: int(mask.sum()) for path, mask in found.items()}
    fractions = {path: kept[path] / m.size for path, m in found.items()}
    size = sum(mask.size for mask in found.values())
    return {**fractions, "all": sum(kept.values()) / size}


def state(model: Any, job: dict[str, Any]) -> dict[str, np.ndarray]:
    """Returns weights and masks by the paths they have in tf_lottery."""
    arrays = {path: v.numpy() for path, v in variables(model).items()}
    for path, mask in masks(model, job).items():
        arrays[path] = np.where(mask, arrays[path], np.float32(0))
        arrays[f"{path}_mask/value"] = mask
    return arrays


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
