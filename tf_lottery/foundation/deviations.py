"""Deviations: how a run differs from what a paper did, in words.

>>> deviations({"steps": 50000, "data": "mnist"}, {"steps": 15000})
['data None instead of mnist', 'steps 15,000 instead of 50,000']
"""

from collections.abc import Mapping
from typing import Any


def deviations(
    expected: Mapping[str, Any], actual: Mapping[str, Any], prefix: str = ""
) -> list[str]:
    """Returns how a run differs from what a paper did, a text a field.

    Args:
        expected: The fields as the paper had them, in canonical form
            (`identity.canonical`); of a mapping, the keys that matter.
        actual: The run's fields by the same names.
        prefix: What each text begins with.
    """
    found = []
    # In one order: gin sorts the keys when it writes a configuration out.
    for name, wanted in sorted(expected.items()):
        received = actual.get(name)
        label = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(wanted, Mapping) and isinstance(received, Mapping):
            found += deviations(wanted, received, f"{label}: ")
        elif received != wanted:
            found.append(f"{label} {_say(received)} instead of {_say(wanted)}")
    return found


def _say(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
