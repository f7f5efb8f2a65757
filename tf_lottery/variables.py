"""Between a model and arrays: read a state out, load one in.

The keys are Keras' variable paths (`fc1/kernel`, `fc1/kernel_mask/logits`),
so what is stored can be read without the model that wrote it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext

import keras
import numpy as np

from tf_lottery.checks import InvalidValue
from tf_lottery.layers import Masked, MaskedKernel
from tf_lottery.masks import Array, BernoulliMask, FixedMask
from tf_lottery.tickets import Arrays, Ticket


def expect_model(model: object) -> None:
    """Raises InvalidValue unless it is a Keras 3 model."""
    if isinstance(model, keras.Model):
        return
    kind = f"{type(model).__module__}.{type(model).__name__}"
    if kind.startswith(("tf_keras", "keras.engine", "keras.src.engine")):
        raise InvalidValue(
            f"expected a Keras 3 model, received {kind}, which is one of Keras "
            "2: save it with model.save('model.h5') and load that with "
            "keras.models.load_model of Keras 3; from_tfmot does so with "
            "models of tensorflow-model-optimization"
        )
    raise InvalidValue(f"expected a Keras model, received {kind}")


def all_layers(model: keras.Model) -> list[keras.Layer]:
    """Returns the layers of a model, nested ones too, in order."""
    # Keras' public `model.layers` stops at the first level.
    return list(model._flatten_layers())


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


def masked_layers(model: keras.Model) -> Iterator[Masked]:
    """Yields the masked layers of a model, nested ones too, in order."""
    for layer in all_layers(model):
        if isinstance(layer, Masked):
            yield layer


def masked_kernels(model: keras.Model) -> dict[str, MaskedKernel]:
    """Returns the masked kernels of a model by path, in order.

    Each has a `variable`, the raw kernel, its `mask` and its `layer`.

    Args:
        model: Any; paths are those of `variables_by_path`.
    """
    names = _names(model)
    found = {
        names[id(kernel.variable)]: kernel
        for layer in masked_layers(model)
        for kernel in layer.masked_kernels()
    }
    # Keras lists the layers of nested models backwards.
    return {path: found[path] for path in names.values() if path in found}


def expected_kernels(model: keras.Model) -> dict[str, MaskedKernel]:
    """Returns what `masked_kernels` does.

    Raises:
        InvalidValue: There are none.
    """
    expect_model(model)
    kernels = masked_kernels(model)
    if not kernels:
        raise InvalidValue(
            "expected a model with masked layers (tf_lottery.mask_model masks "
            "those of any model), received one without"
        )
    return kernels


def fixed_kernels(model: keras.Model) -> dict[str, MaskedKernel]:
    """Returns the masked kernels of a model that can be pruned, by path.

    Raises:
        InvalidValue: There are none, or a mask is learned.
    """
    kernels = expected_kernels(model)
    for path, kernel in kernels.items():
        if not isinstance(kernel.mask, FixedMask):
            raise InvalidValue(
                f"expected fixed masks to prune, received {path} with a "
                f"{type(kernel.mask).__name__}, which is trained instead"
            )
    return kernels


def channel_axes(model: keras.Model) -> dict[str, int | None]:
    """Returns which axis of each masked kernel is output channels, by path.

    As `pruning.prune` wants them: None is a kernel without its own, and one
    whose outputs are those of the model, for those are classes or the like.
    """
    last = _last_layers(model)
    return {
        path: None if id(kernel.layer) in last else kernel.layer.channel_axis
        for path, kernel in masked_kernels(model).items()
    }


def _last_layers(model: keras.Model) -> set[int]:
    """Returns the ids of layers with weights that make a model's outputs.

    What has no weights (an activation, a pooling, a sum) is looked through. Of
    a subclassed model nothing is known.
    """
    if not isinstance(model, keras.Function) and not hasattr(model, "outputs"):
        return set()
    todo = [x._keras_history.operation for x in model.outputs or ()]
    seen: set[int] = set()
    found = set()
    while todo:
        operation = todo.pop()
        if id(operation) in seen:
            continue
        seen.add(id(operation))
        if isinstance(operation, keras.Model):
            found |= _last_layers(operation)
        elif getattr(operation, "weights", ()):
            found.add(id(operation))
        else:
            todo += [
                x._keras_history.operation
                for node in operation._inbound_nodes
                for x in node.input_tensors
            ]
    return found


def places_of(paths: Iterable[str]) -> dict[str, int | str]:
    """Returns the place of each kernel among the others, and "all" of "all".

    Randomness is named by it. Keras counts layers of a name through a whole
    process, so the same model has other paths when it is built a second time.
    """
    return {"all": "all", **{path: i for i, path in enumerate(paths)}}


def bernoulli_masks(model: keras.Model) -> list[BernoulliMask]:
    """Returns the masks of a model that are drawn at random."""
    masks = (kernel.mask for kernel in masked_kernels(model).values())
    return [mask for mask in masks if isinstance(mask, BernoulliMask)]


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
    names = _names(model)
    for path, kernel in masked_kernels(model).items():
        for variable in kernel.mask.variables:
            name = variable.path.rpartition("/")[2]
            names[id(variable)] = f"{path}_mask/{name}"
    return {names[id(v)]: v for v in model.weights}


def _to_numpy(tensor: Array) -> np.ndarray:
    array = keras.ops.convert_to_numpy(tensor)
    # NumPy reckons with no bfloat16; all of its numbers are in float32.
    return array.astype(np.float32) if array.dtype.kind == "V" else array


def _names(model: keras.Model) -> dict[int, str]:
    """Returns a name for each variable, by its id: its path, made unique."""
    seen: Counter[str] = Counter()
    names = {}
    for variable in model.weights:
        seen[variable.path] += 1
        first, *others = variable.path.split("/")
        if seen[variable.path] > 1:
            first = f"{first}#{seen[variable.path]}"
        names[id(variable)] = "/".join([first, *others])
    return names
