"""The plane of weights: where each one started across, where it ended up.

Zhou et al. 2019, figure 2, draw mask criteria as regions of this plane. Here is
what a figure needs to show the weights that a criterion kept and pruned in it.

>>> start = {"fc/kernel": np.float32([0.1, -0.1, 0.1, 0.1])}
>>> end = {"fc/kernel": np.float32([0.3, -0.2, -0.3, 0.0])}
>>> kept = {"fc/kernel": np.array([True, True, True, False])}
>>> sign_agreement(start, end, kept)["all"]
0.6666666666666666
"""

import math
from collections.abc import Mapping

import numpy as np

Arrays = Mapping[str, np.ndarray]

BINS = 30
LIMITS = (2.5, 5.0)
"""Of both axes, in standard deviations of a layer's initial weights; what lies
outside is counted in the outermost bin."""


def sign_agreement(
    w_init: Arrays, w_final: Arrays, kept: Arrays
) -> dict[str, float]:
    """Returns which fraction of the kept weights ended with the sign they had.

    Args:
        w_init: Where weights started, by path.
        w_final: Where they ended, by path.
        kept: True where a weight counts. Those that started at zero do not.

    Returns:
        By path, and of all together under "all"; NaN of none.
    """
    counts = {}
    for path, start in w_init.items():
        chosen = kept[path].astype(bool) & (start != 0)
        same = np.sign(start) == np.sign(w_final[path])
        counts[path] = np.array([(same & chosen).sum(), chosen.sum()])
    counts["all"] = sum(counts.values(), np.zeros(2))
    return {
        path: float(same / chosen) if chosen else math.nan
        for path, (same, chosen) in counts.items()
    }


def density(
    w_init: Arrays, w_final: Arrays, chosen: Arrays, scale: Arrays
) -> np.ndarray:
    """Returns how many of the chosen weights lie where, all layers together.

    Args:
        w_init: Where weights started, by path.
        w_final: Where they ended, by path.
        chosen: True where a weight counts.
        scale: Weights whose standard deviation is the unit of their layer.

    Returns:
        Counts, `[BINS, BINS]`: first w_init, then w_final, both ascending.
    """
    total = np.zeros((BINS, BINS), np.int64)
    edges = [np.linspace(-limit, limit, BINS + 1) for limit in LIMITS]
    for path, start in w_init.items():
        at = chosen[path].astype(bool)
        unit = scale[path].std() or 1.0
        inside = 0.999 * np.array(LIMITS)
        x = np.clip(start[at] / unit, -inside[0], inside[0])
        y = np.clip(w_final[path][at] / unit, -inside[1], inside[1])
        total += np.histogram2d(x, y, bins=edges)[0].astype(np.int64)
    return total
