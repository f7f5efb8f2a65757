"""Kernels: where the masked weights of a model are, by path.

The paths are Keras' own (`fc1/kernel`), made unique where layers of different
nested models share a name.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import keras

from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.masking.layers import Masked, MaskedKernel
from tf_lottery.masking.masks import BernoulliMask, FixedMask


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
    names = names_of_variables(model)
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


def names_of_variables(model: keras.Model) -> dict[int, str]:
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
