"""Between a model and arrays: read a state out, load one in.

The keys are Keras' variable paths (`fc1/kernel`, `fc1/kernel_mask/logits`),
so what is stored can be read without the model that wrote it.
"""

from contextlib import AbstractContextManager, nullcontext

import keras
import numpy as np

from tf_lottery.masking.kernels import masked_kernels, names_of_variables
from tf_lottery.masking.masks import Array
from tf_lottery.rules.tickets import Arrays, Ticket


def variable_scope(model: keras.Model) -> AbstractContextManager:
    """Returns where variables that go with the model's are to be created.

    Under tf.distribute that is the scope of the strategy that it was made in.
    """
    strategy = getattr(model, "distribute_strategy", None)
    return strategy.scope() if strategy else nullcontext()


def extras(
    model: keras.Model, optimizer: keras.optimizers.Optimizer | None
) -> list[keras.Variable]:
    """Returns what a training changes beside the weights of a model.

    That is the state of its optimizer, if it has one, and of the model's
    random numbers and metrics.
    """
    weights = {id(v) for v in model.weights}
    others = [v for v in model.variables if id(v) not in weights]
    return [*(optimizer.variables if optimizer else ()), *others]


def read_state(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns every variable of the model by its path."""
    return {p: _to_numpy(v) for p, v in variables_by_path(model).items()}


def read_ticket(model: keras.Model) -> Ticket:
    """Returns the model's present state as the start of a training."""
    return as_ticket(model, read_state(model))


def as_ticket(model: keras.Model, state: Arrays) -> Ticket:
    """Returns a state of the model, as `read_state` gives it, as a ticket."""
    others = dict(state)
    weights = {path: others.pop(path) for path in masked_kernels(model)}
    return Ticket(weights=weights, state=others)


def load_state(model: keras.Model, state: Arrays) -> None:
    """Sets every variable of the model.

    Raises:
        ValueError: `state` lacks a variable of the model, has one too many,
            or has one of another shape.
    """
    variables = variables_by_path(model)
    if variables.keys() != state.keys():
        raise ValueError(
            f"expected a state with the variables {sorted(variables)}, "
            f"received {sorted(state)}"
        )
    for path, variable in variables.items():
        if tuple(variable.shape) != state[path].shape:
            raise ValueError(
                f"expected {path} of shape {tuple(variable.shape)}, "
                f"received shape {state[path].shape}"
            )
    for path, variable in variables.items():
        variable.assign(state[path])


def effective_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns the masked kernels by path, as the layers use them."""
    return {
        path: _to_numpy(kernel.effective)
        for path, kernel in masked_kernels(model).items()
    }


def variables_by_path(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns every variable of the model by its path, in order.

    Where layers of different nested models share a name, the second one's
    variables are `fc#2/kernel`, `fc#2/kernel_mask/value`, and so on.
    """
    names = names_of_variables(model)
    for path, kernel in masked_kernels(model).items():
        for variable in kernel.mask.variables:
            name = variable.path.rpartition("/")[2]
            names[id(variable)] = f"{path}_mask/{name}"
    return {names[id(v)]: v for v in model.weights}


def _to_numpy(tensor: Array) -> np.ndarray:
    array = keras.ops.convert_to_numpy(tensor)
    # NumPy reckons with no bfloat16; all of its numbers are in float32.
    return array.astype(np.float32) if array.dtype.kind == "V" else array
