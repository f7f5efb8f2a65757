"""Pruning: from scores to masks, with exact counts.

A round removes `floor(rate * survivors + 1e-6)` weights of each layer, those
with the lowest scores; of equal scores, random ones. The count is by rank and
not by a threshold, so ties can never remove more. Masks are nested: what was
pruned stays pruned. (The 1e-6 is for rates such as `1 - 0.8`, which is a
little less than 0.2 in a computer.)

>>> import numpy as np
>>> scores = {"fc/kernel": np.array([0.3, 0.1, 0.5, 0.2, 0.4])}
>>> masks = {"fc/kernel": np.ones(5, bool)}
>>> generator = lambda path: np.random.default_rng(0)
>>> masks = prune(scores, masks, {"fc/kernel": 0.2}, generator)
>>> masks["fc/kernel"].tolist()
[True, False, True, True, True]

The scope "channel" removes whole output channels, which `tf_lottery.shrink`
can then take out of the network.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue

Arrays = Mapping[str, np.ndarray]
Rates = Mapping[str, float | None]
"""By path; None is never pruned."""

SCOPES = ("layer", "global", "channel")


def check_rates(rates: object, name: str = "RATES") -> None:
    """Raises InvalidValue unless `rates` is as `rates_by_path` wants it.

    Args:
        rates: To look at.
        name: By which the user knows them.
    """
    if not isinstance(rates, list | tuple) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in rates
    ):
        raise InvalidValue(
            f"expected {name} to be a list of pairs of a pattern and a rate, "
            f"such as [('output', 0.1), ('fc', 0.2)], received {rates!r}"
        )
    for pattern, rate in rates:
        checks.text(f"a pattern of {name}", pattern)
        try:
            re.compile(pattern)
        except re.error as error:
            raise InvalidValue(
                f"expected the patterns of {name} to be regular expressions, "
                f"received {pattern!r}: {error}"
            ) from error
        if rate is None:
            continue
        checks.number(f"the rate of {pattern!r} in {name}", rate)
        if not 0 < rate < 1:
            raise InvalidValue(
                f"expected the rate of {pattern!r} in {name} to be in (0, 1), "
                f"or None to leave it dense, received {rate!r}"
            )


def rates_by_path(
    rates: Sequence[tuple[str, float | None]],
    paths: Sequence[str],
    name: str = "RATES",
) -> Rates:
    """Returns the rate of each path.

    Args:
        rates: Pairs of a regular expression and a rate; the first that is
            found in a path counts. None leaves the layer dense.
        paths: Of all prunable kernels, such as `fc1/kernel`.
        name: By which the user knows the rates.

    Raises:
        InvalidValue: A pattern matches no path, or a path no pattern.
    """
    if not paths:
        raise InvalidValue(
            "expected a network with masked layers (tf_lottery.layers), "
            "received one without"
        )
    found: dict[str, float | None] = {}
    for pattern, rate in rates:
        matched = [path for path in paths if re.search(pattern, path)]
        if found.keys() >= set(matched):
            raise InvalidValue(
                f"expected every pattern of {name} to match one of "
                f"{', '.join(paths)} that none before it does, received "
                f"{pattern!r}, which matches {', '.join(matched) or 'none'}"
            )
        found = {**dict.fromkeys(matched, rate), **found}
    for path in paths:
        if path not in found:
            raise InvalidValue(
                f"expected a pattern of {name} for every layer, received none "
                f"for {path}; a rate of None leaves a layer dense"
            )
    return {path: found[path] for path in paths}


def after_rounds(rates: Rates, rounds: int) -> Rates:
    """Returns the rates that do in one step what `rounds` rounds do."""
    return {
        path: None if rate is None else 1 - (1 - rate) ** rounds
        for path, rate in rates.items()
    }


def prune(
    scores: Arrays,
    masks: Arrays,
    rates: Rates,
    generator: Callable[[str], np.random.Generator],
    scope: str = "layer",
    channel_axes: Mapping[str, int | None] | None = None,
) -> dict[str, np.ndarray]:
    """Returns the masks after one more round.

    Args:
        scores: High = keep; `-inf` goes first. Of booleans, it is the mask of
            the layer itself, whatever the rate.
        masks: True = kept, of the same shapes.
        rates: Fraction of the survivors to remove, in (0, 1), or None.
        generator: Gives the randomness that breaks the ties of a path; of
            "all" for the global scope.
        scope: "layer" prunes each layer by its rate, "global" all of them
            together, which then must have one rate. Each layer keeps at least
            one weight, whatever its score. "channel" prunes each layer by its
            rate, and whole output channels, those with the lowest mean score
            of their surviving weights; the others keep their masks.
        channel_axes: Which axis of a kernel is its output channels, by path,
            for the scope "channel". The last if a path is not there; None is
            a kernel without channels of its own.

    Raises:
        InvalidValue: A layer would be left without any weight, the rates of a
            global scope differ, or a kernel without channels of its own has a
            rate in the scope "channel".
    """
    after = {path: np.array(mask, bool) for path, mask in masks.items()}
    ranked = []
    for path, rate in rates.items():
        if rate is None:
            continue
        if scores[path].dtype == bool:
            after[path] &= scores[path]
            _expect_survivor(path, bool(after[path].any()))
        else:
            ranked.append(path)
    if scope == "global" and ranked:
        _prune_together(scores, after, ranked, rates, generator("all"))
    elif scope == "layer":
        for path in ranked:
            _prune_together(scores, after, [path], rates, generator(path))
    elif scope == "channel":
        for path in ranked:
            axis = _channel_axis(path, channel_axes or {}, rates)
            kept = _kept_channels(
                np.moveaxis(scores[path], axis, -1),
                np.moveaxis(after[path], axis, -1),
                _one_rate(rates, [path]),
                generator(path),
            )
            _expect_survivor(path, bool(kept.any()))
            np.moveaxis(after[path], axis, -1)[..., ~kept] = False
    return after


def remaining(masks: Arrays) -> dict[str, float]:
    """Returns the fraction kept by path, and of "all" together."""
    found = {path: float(np.mean(mask)) for path, mask in masks.items()}
    kept = sum(int(np.sum(mask)) for mask in masks.values())
    found["all"] = kept / sum(mask.size for mask in masks.values())
    return found


def _prune_together(
    scores: Arrays,
    masks: dict[str, np.ndarray],
    paths: Sequence[str],
    rates: Rates,
    generator: np.random.Generator,
) -> None:
    """Prunes some layers, in place, as if they were one."""
    values = np.concatenate([scores[path][masks[path]] for path in paths])
    if values.dtype.kind in "iu":
        values = values.astype(np.float64)
    count = int(_one_rate(rates, paths) * values.size + 1e-6)
    ends = np.cumsum([int(masks[path].sum()) for path in paths])
    if count > values.size - len(paths):
        _expect_survivor(" and ".join(paths), False)
    while True:
        kept = ~_lowest(values, count, generator)
        parts = np.split(kept, ends[:-1])
        empty = [i for i, part in enumerate(parts) if not part.any()]
        if not empty:
            break
        for i in empty:  # its best weight stays, and others go instead
            own = np.split(values, ends[:-1])[i]
            own[generator.choice(np.flatnonzero(own == own.max()))] = np.inf
    for path, part in zip(paths, parts, strict=True):
        masks[path][masks[path]] = part


def _kept_channels(
    scores: np.ndarray,
    mask: np.ndarray,
    rate: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """Returns which channels stay, `[C]` bool.

    The score of a channel is the mean of the scores of its surviving weights:
    of `|w|`, it is the criterion of Li et al. 2017, "Pruning Filters for
    Efficient ConvNets", section 3.1, for channels of which no weight was
    pruned before.

    Args:
        scores: Of the weights, `[..., C]`.
        mask: True = kept, `[..., C]`. A channel survives if a weight of it
            does.
        rate: Fraction of the surviving channels to remove.
        generator: Breaks ties.
    """
    but_last = tuple(range(mask.ndim - 1))
    survivors = mask.sum(but_last)
    kept = survivors > 0
    total = np.where(mask, scores, 0.0).sum(but_last, dtype=np.float64)
    count = int(rate * kept.sum() + 1e-6)
    gone = _lowest(total[kept] / survivors[kept], count, generator)
    kept[kept] = ~gone
    return kept


def _lowest(
    values: np.ndarray, count: int, generator: np.random.Generator
) -> np.ndarray:
    """Returns which `count` values are lowest, ties at random; `[n]` bool."""
    if not count:
        return np.zeros(values.size, bool)
    # A selection, which is ten times faster than sorting.
    threshold = np.partition(values, count - 1)[count - 1]
    chosen = values < threshold
    missing = count - int(chosen.sum())
    tied = values == threshold
    ties = int(tied.sum())
    if missing < ties:
        lots = generator.random(ties, np.float32)
        tied[tied] = _lowest(lots, missing, generator)
    return chosen | tied


def _one_rate(rates: Rates, paths: Sequence[str]) -> float:
    found = {rate for path in paths if (rate := rates[path]) is not None}
    if len(found) > 1:
        raise InvalidValue(
            "expected one rate for all layers that are pruned together "
            f"(the scope 'global'), received {sorted(found)}"
        )
    return found.pop()


def _channel_axis(
    path: str, axes: Mapping[str, int | None], rates: Rates
) -> int:
    axis = axes.get(path, -1)
    if axis is None:
        raise InvalidValue(
            f"expected a rate of None for {path}, received {rates[path]}: no "
            "axis of it is output channels of its own (those of a depthwise "
            "convolution are the channels of the layer before). Leave it dense "
            "where whole channels are pruned (the scope 'channel')"
        )
    return axis


def _expect_survivor(path: str, there: bool) -> None:
    if not there:
        raise InvalidValue(
            f"expected at least one weight of {path} to be left, and this "
            "round would prune them all. Stop at an earlier one, or choose "
            "another rate or criterion"
        )
