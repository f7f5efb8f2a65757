"""TensorFlow's start, without the lines that it logs while it starts.

Some of them come before any setting of its log is read, so what is written to
file descriptor 2 meanwhile goes to a temporary file.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tf_lottery.foundation.checks import InvalidValue


def import_tensorflow() -> None:
    """Imports TensorFlow and has it look for devices, in silence.

    Raises:
        InvalidValue: Keras is to use another library.
    """
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise InvalidValue(
            "expected the variable KERAS_BACKEND to be tensorflow, which "
            f"trains here, or not to be set, received {backend!r}"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _stderr_held_back():
        import tensorflow as tf

        tf.config.list_physical_devices()
    # An experiment of many recipes has many programs with one name, which is
    # no retracing.
    logging.getLogger("tensorflow").addFilter(
        lambda record: record.module != "polymorphic_function"
    )


@contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Shows what is written to stderr only if what is done fails."""
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(before, held.read())
            raise
        finally:
            os.dup2(before, 2)
            os.close(before)
