"""Devices: from the flag `--strategy` to one of tf.distribute's strategies."""

import os
import pathlib
import platform
import re
from typing import Any

import tensorflow as tf

STRATEGIES = ("auto", "one", "mirrored", "tpu")


class DeviceError(Exception):
    """The devices that were asked for are not there."""


def take_share_of_cores(processes: int) -> None:
    """Limits TensorFlow's threads; before anything uses it.

    Args:
        processes: How many share this machine's cores.
    """
    cores = max(1, (os.cpu_count() or 1) // processes)
    tf.config.threading.set_intra_op_parallelism_threads(cores)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def share_gpus() -> None:
    """Lets several processes use a GPU: each takes what it needs, not all."""
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def strategy(name: str, batch_size: int) -> tf.distribute.Strategy:
    """Returns where to train.

    Args:
        name: "one" is TensorFlow's first device, "mirrored" all GPUs (or all
            logical CPUs, where there is no GPU), "tpu" the TPU named by the
            variable TPU_NAME, or else a Colab or Cloud TPU of this machine.
            "auto" is a TPU if TPU_NAME is set, all GPUs if there are several
            and the batch divides among them, and one device otherwise.
        batch_size: Images a step.

    Raises:
        DeviceError: There is no TPU.
        ValueError: The name is not known.
    """
    if name == "auto":
        gpus = len(tf.config.list_physical_devices("GPU"))
        several = "mirrored" if gpus > 1 and batch_size % gpus == 0 else "one"
        name = "tpu" if "TPU_NAME" in os.environ else several
    if name == "one":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU")
        devices = devices or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([d.name for d in devices])
    if name == "tpu":
        return _tpu(os.environ.get("TPU_NAME", "local"))
    raise ValueError(
        f"expected --strategy to be one of {', '.join(STRATEGIES)}, received "
        f"{name!r}"
    )


def _tpu(address: str) -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(address)
        if address != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
        first_line = (str(error).splitlines() or ["no reason given"])[0]
        raise DeviceError(
            f"expected a TPU for --strategy=tpu or the variable TPU_NAME at "
            f"{address!r}, found none: {first_line}. Choose --strategy=one, or "
            "another TPU_NAME"
        ) from error


def what_bits_depend_on(
    strategy: tf.distribute.Strategy, jit: bool
) -> dict[str, Any]:
    """Returns what the last bits of a training depend on beside its inputs.

    Args:
        strategy: On which devices it runs.
        jit: Whether XLA compiles its steps.

    Returns:
        The processor's name, how many threads an operation may use (0 is as
        many as there are cores) and how many cores there are, whether XLA
        compiles, the devices, and TensorFlow's version.
    """
    devices = tf.config.list_logical_devices("GPU") or (
        tf.config.list_logical_devices("CPU")
    )
    return {
        "processor": _processor(),
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "cores": os.cpu_count(),
        "xla": jit,
        "replicas": strategy.num_replicas_in_sync,
        "device": devices[0].device_type,
        "tensorflow": tf.__version__,
    }


def decisive(computed: dict[str, Any]) -> dict[str, Any]:
    """Returns `what_bits_depend_on` such that equal bits have equal values.

    Cores count only where they decide how many threads there are.
    """
    others = {name: computed[name] for name in computed if name != "cores"}
    return {**others, "threads": computed["threads"] or computed["cores"]}


def _processor() -> str:
    """Returns the processor's name, as far as the system tells it."""
    listed = pathlib.Path("/proc/cpuinfo")
    text = listed.read_text() if listed.exists() else ""
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()
