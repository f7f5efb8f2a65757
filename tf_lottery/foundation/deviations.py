"""Protocols: how a run differs from what a paper did, in words.

>>> deviations({"steps": 50000, "data": "mnist"}, {"steps": 15000})
['data None instead of mnist', 'steps 15,000 instead of 50,000']
"""

from collections.abc import Mapping
from typing import Any


def deviations(
    protocol: Mapping[str, Any], actual: Mapping[str, Any], prefix: str = ""
) -> list[str]:
    """Returns how a run differs from a protocol.

    Args:
        protocol: Fields as the paper had them, in canonical form
            (`identity.canonical`); of a mapping, the keys that matter.
        actual: The run's fields by the same names.
        prefix: Of what is said.
    """
    found = []
    # In one order: gin sorts the keys when it writes a configuration out.
    for name, expected in sorted(protocol.items()):
        received = actual.get(name)
        label = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(expected, Mapping) and isinstance(received, Mapping):
            found += deviations(expected, received, f"{label}: ")
        elif received != expected:
            found.append(
                f"{label} {_say(received)} instead of {_say(expected)}"
            )
    return found


def _say(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
