"""Budgets: which fraction of each layer's weights remains.

A budget shares out a fraction of a network's weights over its layers, before
any weight is looked at: `one_shot.prune_model` takes it as `remaining`.

    uniform               every layer has the same fraction
    erdos_renyi_kernel    small layers have more, large ones less

>>> shapes = {"conv1": (3, 3, 3, 64), "conv2": (3, 3, 64, 128)}
>>> found = erdos_renyi_kernel(shapes, remaining=0.1)
>>> {path: round(fraction, 3) for path, fraction in found.items()}
{'conv1': 1.0, 'conv2': 0.079}

Fractions are not rounded to whole weights; pruning by them does so, by less
than one weight a layer.
"""

import math
from collections.abc import Mapping, Sequence

from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue

Shapes = Mapping[str, Sequence[int]]


def uniform(shapes: Shapes, remaining: float) -> dict[str, float]:
    """Returns `remaining` for every layer.

    Args:
        shapes: Of the kernels, by path.
        remaining: Fraction of all their weights, in (0, 1].

    Raises:
        InvalidValue: `remaining` is not in (0, 1], or a shape is none.
    """
    _sizes(shapes)
    checks.fraction("remaining", remaining)
    return dict.fromkeys(shapes, float(remaining))


def erdos_renyi_kernel(shapes: Shapes, remaining: float) -> dict[str, float]:
    """Returns fractions that fall with the size of a layer (ERK).

    Of a kernel of shape `(d_1, ..., d_k)`, with space, inputs and outputs
    among the axes,

        fraction = min(1, epsilon * (d_1 + ... + d_k) / (d_1 * ... * d_k))

    with the one `epsilon` for which `remaining` of all weights are kept: what
    a layer that is full cannot take goes to the others.

    Args:
        shapes: Of the kernels, by path, such as `(3, 3, 64, 128)`.
        remaining: Fraction of all their weights, in (0, 1].

    Raises:
        InvalidValue: `remaining` is not in (0, 1], or a shape is none.

    References:
        Mocanu et al. 2018, "Scalable training of artificial neural networks
        with adaptive sparse connectivity inspired by network science", for
        dense layers. Evci et al. 2020, "Rigging the Lottery", section 3, for
        convolutions.
    """
    sizes = _sizes(shapes)
    checks.fraction("remaining", remaining)
    # A layer keeps epsilon * sum(shape) weights, so layers fill up in the
    # order of size / sum(shape).
    sums = {path: sum(shape) for path, shape in shapes.items()}
    order = sorted(shapes, key=lambda path: sizes[path] / sums[path])
    left = remaining * sum(sizes.values())
    open_sums = sum(sums.values())
    fractions = {}
    for path in order:
        kept = min(sizes[path], left * sums[path] / open_sums)
        fractions[path] = kept / sizes[path]
        left -= kept
        open_sums -= sums[path]
    return {path: fractions[path] for path in shapes}


def _sizes(shapes: Shapes) -> dict[str, int]:
    sizes = {path: math.prod(shape) for path, shape in shapes.items()}
    for path, shape in shapes.items():
        if not shape or sizes[path] < 1:
            raise InvalidValue(
                f"expected a shape with weights for {path}, received "
                f"{tuple(shape)}"
            )
    return sizes
