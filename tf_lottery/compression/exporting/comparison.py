"""Compared: the networks that an export writes, and what each computes.

That is the model itself, and a dense one beside it: one that was given, or the
same network with small random numbers for its zeros, whose files weigh and
take what those of any dense network would.

>>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
>>> _ = model.layers[0].kernel.assign(np.eye(4, 3))
>>> networks = compare(model)
>>> [network.name for network in networks]
['dense', 'pruned']
>>> with networks[0].bare():
...     formats.remaining(model)
1.0
>>> formats.remaining(model)
0.25
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import keras
import numpy as np

from tf_lottery.compression.exporting import formats
from tf_lottery.compression.exporting.formats import Outputs
from tf_lottery.compression.exporting.samples import Sample, sample_for
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.conversion import stripped
from tf_lottery.masking.kernels import expect_model, masked_kernels


class Network(NamedTuple):
    """What is written: the model, or what it is compared with.

    Args:
        name: As in `Measured.network`.
        model: With or without masks.
        filled: Write it with small random numbers for its zeros.
        sample: That fits it.
        expected: Its outputs on the sample.
        remaining: Fraction of its weights of two or more axes that are not
            zero.
    """

    name: str
    model: keras.Model
    filled: bool
    sample: Sample
    expected: Outputs
    remaining: float = 1.0

    @contextmanager
    def bare(self) -> Iterator[keras.Model]:
        """Has the model as it is written for the time of a `with` block."""
        with ExitStack() as stack:
            stack.enter_context(_without_masks(self.model))
            if self.filled:
                stack.enter_context(_filled(self.model))
            yield self.model


def compare(
    model: keras.Model, dense: keras.Model | None = None, inputs: Any = None
) -> list[Network]:
    """Returns what is to be written, the model last.

    Args:
        model: A built model, masked or not.
        dense: As for `export`.
        inputs: A batch, or None.

    Raises:
        InvalidValue: A model is not built, or the batch or the dense model
            does not fit the model.
    """
    _expect_model(model, "a model")
    sample = sample_for(model, inputs)
    expected = _outputs(model, sample)
    with _without_masks(model):
        remaining = formats.remaining(model)
    name = "pruned" if remaining < 1 else "model"
    own = Network(name, model, False, sample, expected, remaining)
    if dense is not None:
        _expect_model(dense, "a dense model")
        sample = sample_for(dense, sample.inputs)
        outputs = _outputs(dense, sample)
        shapes, own_shapes = (
            [array.shape for array in named.values()]
            for named in (outputs, expected)
        )
        if shapes != own_shapes:
            raise InvalidValue(
                "expected a dense model with the model's outputs, of shapes "
                f"{own_shapes}, received one with {shapes}"
            )
        return [Network("dense", dense, False, sample, outputs), own]
    if remaining == 1:
        return [own]
    with _without_masks(model), _filled(model):
        outputs = _outputs(model, sample)
    return [Network("dense", model, True, sample, outputs), own]


@contextmanager
def _without_masks(model: keras.Model) -> Iterator[None]:
    if not masked_kernels(model):
        yield
        return
    with stripped(model):
        yield


@contextmanager
def _filled(model: keras.Model) -> Iterator[None]:
    """Has a model small random numbers where its weights are zero."""
    rng = np.random.default_rng(0)
    before = [
        (variable, keras.ops.convert_to_numpy(variable))
        for variable in formats.matrices(model)
    ]
    try:
        for variable, array in before:
            zero = array == 0
            # As of weights that pruning by magnitude takes: outputs stay
            # finite however deep the network is.
            scale = np.abs(array.astype("float32")).mean() / 100 or 0.01
            numbers = rng.uniform(-scale, scale, array.shape)
            variable.assign(np.where(zero, numbers, array))
        yield
    finally:
        for variable, array in before:
            variable.assign(array)


def _outputs(model: keras.Model, sample: Sample) -> Outputs:
    try:
        return formats.named_outputs(model(sample.inputs))
    except Exception as error:
        raise InvalidValue(
            f"expected a sample that {model.name} can be called with, received "
            f"one of shapes {sample.shapes}: {formats.reason(error)}"
        ) from error


def _expect_model(model: Any, what: str) -> None:
    expect_model(model)
    if not model.built:
        raise InvalidValue(
            f"expected {what} that is built, received {model.name}, which is "
            "not; call it once on a batch, or model.build(input_shape)"
        )
