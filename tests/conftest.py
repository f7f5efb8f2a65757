"""Two logical CPU devices for all tests, and the digits once a session."""

import os
import pathlib
import signal

import hypothesis
import pytest

# A busy machine is no failure.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# A shell that starts the tests in the background has them, and every process
# that they start, ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = pathlib.Path(__file__).parent.parent

if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """Where TFDS has, and finds nothing but, mnist_5k."""
    from tf_lottery.workloads.images import image_sets

    folder = str(tmp_path_factory.mktemp("tfds"))
    image_sets.prepared_builder("mnist_5k", folder)
    return folder


@pytest.fixture(scope="session")
def digits(data_dir):
    """mnist_5k in memory."""
    from tf_lottery.workloads.images import image_sets

    return image_sets.load(image_sets.Images("mnist_5k"), data_dir)


@pytest.fixture(scope="session")
def two_devices():
    """A strategy on both logical CPUs.

    One for all tests: several in a process number their collective operations
    alike, and TensorFlow takes those of different shapes for an error.
    """
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(scope="session")
def source(digits):
    """mnist_5k on the default device."""
    import tensorflow as tf

    from tf_lottery.workloads.images.opened_images import resident

    return resident(digits, tf.distribute.get_strategy())
