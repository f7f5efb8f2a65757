"""What masks cost a training step of a network that was not made here.

    python -m benchmarks.masking

One step of `fit` of MobileNetV2 (96 x 96 images, batches of 32), plain and
masked by `mask_model`, 90 % of the weights pruned. The two take turns, and the
median of the ratios of neighbours is printed.
"""

import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from benchmarks.measuring import (
    Values,
    measure_each,
    parser,
    progress,
    turn,
)
from tf_lottery import mask_model, prune_model

STEPS = 4
BATCH = 32


def trainer(masked: bool, size: int) -> Callable[[], float]:
    """Returns what trains for STEPS steps and returns seconds a step."""
    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2(
        input_shape=(size, size, 3), weights=None, classes=10
    )
    if masked:
        mask_model(model, verbose=False)
        prune_model(model, remaining=0.1)
    model.compile("sgd", "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    x = rng.random((STEPS * BATCH, size, size, 3), np.float32)
    y = rng.integers(0, 10, STEPS * BATCH)

    def train() -> float:
        began = time.perf_counter()
        model.fit(x, y, batch_size=BATCH, verbose=0)
        return (time.perf_counter() - began) / STEPS

    return train


def main() -> None:
    """Measures, and prints milliseconds a step and the ratio."""
    options = parser(__doc__, rounds=9, size=96).parse_args()
    measures = {"MobileNetV2": lambda: measure(options.rounds, options.size)}
    measure_each(measures, options.json)


def measure(rounds: int, size: int) -> Values:
    """Returns milliseconds a step, plain and masked, and the ratio."""
    progress("MobileNetV2: first call, not counted")
    plain, masked = (trainer(m, size) for m in (False, True))
    plain(), masked()  # compile
    pairs: list[tuple[float, float]] = []
    for number in range(1, rounds + 1):
        before = [STEPS * sum(pair) for pair in pairs]
        progress(turn("MobileNetV2", number, rounds, before))
        pairs.append((plain(), masked()))
    values = {
        f"{name}, ms a step": 1000 * statistics.median(seconds)
        for name, seconds in zip(
            ("plain", "masked"), zip(*pairs, strict=True), strict=True
        )
    }
    ratios = [masked / plain for plain, masked in pairs]
    values["masked over plain"] = statistics.median(ratios)
    return values


if __name__ == "__main__":
    main()
