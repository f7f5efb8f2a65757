"""The highest of many scores, exactly and without sorting them.

Sorting, of which libraries make their top-k, takes most of a training step of
`TopKMask`. Instead the lowest score that is kept is found by bisection, a count
of all scores each: some thirty of them take a tenth of the time.
"""

from keras import ops

from tf_lottery.masking.mask_draws import Array


def highest(scores: Array, count: int) -> Array:
    """Returns 1 for the highest scores and 0 for the others.

    Args:
        scores: Of no less than 0, `[n]`. No gradient passes through.
        count: How many to take, at least 1; of equals the first.

    Returns:
        A tensor of the shape and the dtype of `scores` with `count` ones.
    """
    scores = ops.stop_gradient(scores)

    def above(value: Array) -> Array:
        return ops.sum(ops.cast(scores > value, "int32"))

    def middle(low: Array, high: Array) -> Array:
        return low + (high - low) / 2

    def apart(low: Array, high: Array) -> Array:
        # Until there is no number between them.
        between = middle(low, high)
        return ops.logical_and(between > low, between < high)

    def halve(low: Array, high: Array) -> tuple[Array, Array]:
        between = middle(low, high)
        few = above(between) < count
        return ops.where(few, low, between), ops.where(few, between, high)

    # Less than `count` are above `high`, `count` or more not below `low`.
    ends = ops.zeros((), scores.dtype), ops.max(scores)
    low, high = ops.while_loop(apart, halve, ends)
    lowest = ops.where(above(low) < count, low, high)
    equal = ops.equal(scores, lowest)
    room = count - above(lowest)
    first = ops.cumsum(ops.cast(equal, "int32")) <= room
    taken = ops.logical_or(scores > lowest, ops.logical_and(equal, first))
    return ops.cast(taken, scores.dtype)
