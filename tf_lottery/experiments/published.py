"""What a paper printed, to be put beside what we measure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tf_lottery import checks
from tf_lottery.checks import InvalidValue


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

    def deviations(self, actual: Mapping[str, Any]) -> list[str]:
        """Returns how a run differs from the paper's protocol, in words.

        Args:
            actual: The run's fields by the names of `protocol`, in canonical
                form.
        """
        return _deviations("", self.protocol, actual)


def _deviations(
    prefix: str, protocol: Mapping[str, Any], actual: Mapping[str, Any]
) -> list[str]:
    found = []
    # In one order: gin sorts the keys when it writes a configuration out.
    for name, expected in sorted(protocol.items()):
        received = actual.get(name)
        label = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(expected, Mapping) and isinstance(received, Mapping):
            found += _deviations(f"{label}: ", expected, received)
        elif received != expected:
            found.append(
                f"{label} {_say(received)} instead of {_say(expected)}"
            )
    return found


def _say(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
