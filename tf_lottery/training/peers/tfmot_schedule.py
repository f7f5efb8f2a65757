"""How the peer prunes: one training, within which the mask shrinks.

From the step t0 on, and until n steps of pruning of dt training steps each are
done, a layer that is to lose the fraction s of its weights has lost

    s_t = s * (1 - (1 - (t - t0) / (n * dt)) ** 3)

of them: many while there are many to choose from, few in the end. The weights
train on in between, and after it with the mask as it is.

>>> TfmotGradual(begin=0.2, end=0.7).schedule(steps=1000)
MaskSteps(begin=200, end=700, frequency=100)
"""

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from typing import Any, NamedTuple

from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.rules.pruning import Rates

NAME = "tensorflow-model-optimization"
PACKAGES = {"tensorflow_model_optimization": NAME, "tf_keras": "tf-keras"}
"""From modules that the peer's process imports to what brings them."""

FORMAT = 1
"""Part of the keys of its trainings; raised when the same one comes to mean
something else."""


class PeerError(Exception):
    """The peer is not there, or did not do its training."""


def version() -> str:
    """Returns the peer's version; it is not imported.

    Raises:
        PeerError: It is not installed.
    """
    for module, package in PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            raise PeerError(
                f"expected {package} to be installed, for an arm that it "
                f"trains, received no module {module}: pip install "
                "'tf_lottery[tfmot]'"
            )
    return importlib.metadata.version(NAME)


class MaskSteps(NamedTuple):
    """When the masks of a training are made anew.

    Args:
        begin: The step t0, at which nothing is pruned yet.
        end: The step that makes the last mask.
        frequency: Steps from one mask to the next; `end - begin` is a multiple
            of it, so that the last mask is as small as was asked for.
    """

    begin: int
    end: int
    frequency: int


@dataclass(frozen=True)
class TfmotGradual:
    """How a training is pruned on its way.

    Args:
        begin: Where the first weights go, as a fraction of the steps.
        end: Where the last ones do; the rest of the steps are for the network
            that is left.
        frequency: Steps from one mask to the next; fewer if there are not as
            many between begin and end.

    Raises:
        InvalidValue: A field is of the wrong type or range.

    References:
        Zhu & Gupta 2017, "To prune, or not to prune", section 3, equation 1.
        Between 100 and 1000 steps, they see no difference that the frequency
        makes; 100 is the default of tensorflow-model-optimization, as the
        power of 3 is. Of five pairs of begin and end that were tried on LeNet
        (one seed, 15,000 steps, down to 1 % of the weights), the defaults had
        the best validation accuracy.
    """

    begin: float = 0.1
    end: float = 0.5
    frequency: int = 100

    def __post_init__(self) -> None:
        for name in ("begin", "end"):
            checks.number(f"TfmotGradual.{name}", getattr(self, name))
        checks.positive_int("TfmotGradual.frequency", self.frequency)
        if not 0 <= self.begin < self.end <= 1:
            raise InvalidValue(
                "expected TfmotGradual.begin and end to be fractions of the "
                f"steps, in this order, received {self.begin!r} and "
                f"{self.end!r}"
            )

    def schedule(self, steps: int) -> MaskSteps:
        """Returns the steps at which a training makes its masks.

        Args:
            steps: How many the training has.
        """
        end = max(1, round(self.end * steps))
        window = max(1, end - round(self.begin * steps))
        frequency = min(self.frequency, window)
        return MaskSteps(end - window // frequency * frequency, end, frequency)


@dataclass(frozen=True)
class PeerPruning:
    """When the peer prunes a network that it trains, and how much.

    Args:
        schedule: When it prunes.
        rates: What fraction of each kernel is gone in the end, by path; None
            leaves a kernel dense.
    """

    schedule: TfmotGradual
    rates: Rates

    def identity(self) -> dict[str, Any]:
        """Returns what it adds to the key of a training.

        Raises:
            PeerError: The peer is not installed.
        """
        return {
            "peer": [NAME, version(), FORMAT],
            "pruning": self.schedule,
            "rates": self.rates,
        }
