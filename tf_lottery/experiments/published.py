"""What a paper printed, to be put beside what we measure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue


@dataclass(frozen=True)
class Published:
    """Numbers of a paper and the protocol they came from.

    Args:
        source: Paper, table or figure.
        accuracy: Test accuracy of each arm, in per cent.
        protocol: Fields of the recipe and of the experiment as the paper had
            them, in canonical form (`identity.canonical`); of a mapping, the
            keys that matter.

    Raises:
        InvalidValue: A field is of the wrong type.
    """

    source: str
    accuracy: Mapping[str, float]
    protocol: Mapping[str, Any]

    def __post_init__(self) -> None:
        checks.text("Published.source", self.source)
        for name in ("accuracy", "protocol"):
            if not isinstance(getattr(self, name), Mapping):
                raise InvalidValue(
                    f"expected Published.{name} to be a dict, received "
                    f"{getattr(self, name)!r}"
                )
        for arm, value in self.accuracy.items():
            checks.number(f"Published.accuracy of {arm!r}", value)
