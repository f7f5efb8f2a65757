"""Saliency: what criteria may look at beside weights, of any masked model.

    gradient            of the loss, for `sensitivity.snip` and `grad`
    hessian_gradient    the loss's Hessian times its gradient, for `grasp`
    flow                of the synaptic flow, for `synflow`; needs no data

Each gives a derivative by each masked kernel of a model, `{path: array}`, and
leaves the model as it was: moving statistics, random states and weights are
those from before, also after an error. Where a weight is pruned, it is zero.

>>> import keras
>>> from tf_lottery.masking.layers import MaskedDense
>>> model = keras.Sequential(
...     [keras.Input((2,)), MaskedDense(1, name="fc", use_bias=False)]
... )
>>> _ = model.layers[0].raw_kernel.assign([[3.0], [-1.0]])
>>> x, y = np.array([[1.0, 1.0]]), np.array([[0.0]])
>>> [found] = gradient(model, x, y, "mean_squared_error").values()
>>> found.tolist()
[[4.0], [4.0]]
>>> [found] = flow(model).values()
>>> found.tolist()
[[1.0], [1.0]]
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tf_lottery.compression.derivatives import (
    Activation,
    Tensor,
    by_path,
    computing_in,
    derivative,
    expect_kernels,
    other_activations,
    raw_values,
)
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.layers import MaskedKernel
from tf_lottery.masking.masks import FixedMask, KernelMask

Loss = str | Callable[[Any, Any], Any]


def gradient(
    model: keras.Model, x: Any, y: Any, loss: Loss | None = None
) -> dict[str, np.ndarray]:
    """Returns the gradient of the loss on one batch, by kernel path.

    The batch goes through the model as in training: batch normalisation
    takes its statistics, dropout drops.

    Args:
        model: With masked layers, built.
        x: Inputs of the batch.
        y: Its labels.
        loss: A Keras loss, its name, or a function of labels and outputs. None
            is what the model was compiled with, penalties of layers included.

    Raises:
        InvalidValue: The model has no masked layers or no loss, or Keras runs
            on another backend than TensorFlow or JAX.
    """
    kernels = expect_kernels(model)
    of_batch = _loss_of_kernels(model, kernels, x, y, loss)
    return by_path(kernels, derivative(of_batch, raw_values(kernels)))


def hessian_gradient(
    model: keras.Model,
    x: Any,
    y: Any,
    loss: Loss | None = None,
    temperature: float = 200.0,
) -> dict[str, np.ndarray]:
    """Returns `H g`, the loss's Hessian times its gradient, by kernel path.

    Both are of the masked kernels alone, on one batch as for `gradient`.

    Args:
        model: With masked layers. If the last layer is a dense or convolutional
            layer or an `Activation`, its activation is taken after the
            division by `temperature`; else the model must give logits.
        x: Inputs of the batch.
        y: Its labels.
        loss: A Keras loss, its name, or a function of labels and outputs. None
            is what the model was compiled with, penalties of layers included.
        temperature: By which logits are divided.

    Raises:
        InvalidValue: As for `gradient`; or the model ends in a layer
            `Softmax`, which hides its logits.

    References:
        Wang et al. 2020, "Picking Winning Tickets Before Training by
        Preserving Gradient Flow", section 4.1 and algorithm 2. The
        temperature is 200 in its code, which takes 10 images a class of
        CIFAR-10.
    """
    kernels = expect_kernels(model)

    def cooler(activation: Activation) -> Activation:
        return lambda logits: activation(logits / temperature)

    with other_activations(model, cooler) as inside:
        divisor = 1.0 if inside else temperature
        of_batch = _loss_of_kernels(model, kernels, x, y, loss, divisor)

        def half_squared_norm(values: Sequence[Tensor]) -> Tensor:
            gradients = derivative(of_batch, values)
            return sum(ops.sum(g * g) for g in gradients) / 2

        product = derivative(half_squared_norm, raw_values(kernels))
    return by_path(kernels, product)


def flow(model: keras.Model, x: Any = None) -> dict[str, np.ndarray]:
    """Returns `dR / d|w|`, the derivative of the synaptic flow, by path.

    `R` is the sum of the outputs for an input of ones when every weight, bias
    and statistic of batch normalisation has its absolute value, and batch
    normalisation works as in evaluation. The activation of the last layer is
    left out: that of a softmax would always be 1.

    It is made for networks as they are initialised. Without biases and
    moving means (zero, at first), and with activations such as ReLU, it is
    `R = 1 |W_n| ... |W_1| 1`, and the sum over a layer of `|w| dR / d|w|` is
    `R` for every layer.

    Args:
        model: With masked layers, built.
        x: Arrays of whose shape, without the first axis, the ones are. None is
            the model's own input shape.

    Returns:
        Arrays of float64 on TensorFlow, in which the flow of deep networks
        has room; of float32 on JAX.

    Raises:
        InvalidValue: The model has no masked layers, or an input shape that
            is not known; nothing flows, or more than fits into a float; the
            outputs hardly depend on the weights, as after a softmax; or Keras
            runs on another backend than TensorFlow or JAX.

    References:
        Tanaka et al. 2020, "Pruning neural networks without any data by
        iteratively conserving synaptic flow", section 5. As in its code,
        biases and batch normalisation have absolute values, too.
    """
    kernels = expect_kernels(model)
    ones = _ones(model, x)
    dtype = "float64" if keras.backend.backend() == "tensorflow" else "float32"
    fixed = {
        id(variable)
        for kernel in kernels.values()
        if kernel.mask.learned
        for variable in kernel.mask.variables
    }
    positive = {
        id(v): (v, ops.abs(ops.cast(v.value, dtype)))
        for v in model.weights
        if keras.backend.is_float_dtype(v.dtype) and id(v) not in fixed
    }
    total = 0.0

    def synaptic_flow(values: Sequence[Tensor]) -> Tensor:
        of_kernels = zip(kernels.values(), values, strict=True)
        now = dict(positive)
        now.update({id(k.variable): (k.variable, v) for k, v in of_kernels})
        with keras.StatelessScope() as scope:
            for update in now.values():
                # Unlike the scope's own arguments, not cast to float32.
                scope.add_update(update)
            outputs = keras.tree.flatten(model(ones, training=False))
        return sum(ops.sum(ops.cast(output, dtype)) for output in outputs)

    def linear(activation: Activation) -> Activation:
        del activation
        return keras.activations.linear

    values = [positive[id(k.variable)][1] for k in kernels.values()]
    with other_activations(model, linear), computing_in(model, dtype):
        total = abs(float(synaptic_flow(values)))
        found = by_path(kernels, derivative(synaptic_flow, values))
    _check_flow(total, found, kernels)
    return found


def _check_flow(
    total: float,
    found: dict[str, np.ndarray],
    kernels: dict[str, MaskedKernel],
) -> None:
    if not np.isfinite(total) or not all(
        np.isfinite(array).all() for array in found.values()
    ):
        raise InvalidValue(
            "expected a synaptic flow that fits into a float, received "
            f"{total}. It is computed in float64 on Keras' TensorFlow backend"
        )
    cut = []
    for path, kernel in kernels.items():
        weights = np.abs(ops.convert_to_numpy(kernel.variable))
        share = float((weights * found[path]).sum())
        # Behind a softmax there is a little, from rounding.
        if share <= 100 * np.finfo(found[path].dtype).eps * total and (
            not total or _is_dense(kernel.mask)
        ):
            cut.append(path)
    if cut:
        raise InvalidValue(
            "expected a synaptic flow through every layer, received none that "
            f"depends on {', '.join(cut[:3])}. Weights that are zero cut it, "
            "and activations that saturate, such as softmax and ReLU6: leave "
            "what lies before them dense, or take another criterion"
        )


def _is_dense(mask: KernelMask) -> bool:
    if not isinstance(mask, FixedMask):
        return False
    return bool(ops.convert_to_numpy(mask.value).all())


def _loss_of_kernels(
    model: keras.Model,
    kernels: dict[str, MaskedKernel],
    x: Any,
    y: Any,
    loss: Loss | None,
    divisor: float = 1.0,
) -> Callable[[Sequence[Tensor]], Tensor]:
    """Returns the function from values of the kernels to the mean loss."""
    chosen = _loss(model, loss)

    def of_batch(values: Sequence[Tensor]) -> Tensor:
        variables = [kernel.variable for kernel in kernels.values()]
        # Whatever the model assigns within the scope is forgotten after it.
        with keras.StatelessScope(list(zip(variables, values, strict=True))):
            outputs = model(x, training=True)
            if divisor != 1:
                outputs = keras.tree.map_structure(
                    lambda output: output / divisor, outputs
                )
            return ops.mean(chosen(y, outputs))

    return of_batch


def _loss(model: keras.Model, loss: Loss | None) -> Callable[[Any, Any], Any]:
    if loss is None and getattr(model, "compiled", False):
        # As `fit` has it: labels of any shape that it takes, several losses.
        return lambda y, outputs: model.compute_loss(
            y=keras.tree.map_structure(ops.convert_to_tensor, y),
            y_pred=outputs,
            training=True,
        )
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    if not callable(loss):
        raise InvalidValue(
            "expected a loss, as loss=... or by model.compile(loss=...): a "
            f"Keras loss, its name or a function, received {loss!r}"
        )
    return loss


def _ones(model: keras.Model, x: Any) -> Any:
    """Returns one example of ones, of the structure of the model's input."""
    if x is not None:
        return keras.tree.map_structure(lambda a: np.ones_like(a[:1]), x)
    inputs: Any = getattr(model, "inputs", None) or ()
    shapes = [tuple(i.shape[1:]) for i in inputs]
    if not shapes or any(None in shape for shape in shapes):
        raise InvalidValue(
            "expected a model whose input shape is known, or x of that shape, "
            f"received {shapes or 'neither'}"
        )
    # Of a model with several inputs, a list or a dict.
    structure = getattr(model, "_inputs_struct", inputs[0])
    return keras.tree.map_structure(
        lambda i: ops.ones((1, *i.shape[1:]), i.dtype), structure
    )
