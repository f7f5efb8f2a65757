"""What a paper printed, to be put beside what we measure."""

from collections.abc import Mapping
from dataclasses import dataclass

from tf_lottery import checks


@dataclass(frozen=True)
class Published:
    """Numbers of a paper and the protocol they came from.

    Args:
        source: Paper, table or figure.
        accuracy: Test accuracy of each arm, in per cent.
        data: The TFDS name of the paper's data set.
        steps: Of the paper's trainings.

    Raises:
        ValueError: A field is of the wrong type.
    """

    source: str
    accuracy: Mapping[str, float]
    data: str
    steps: int

    def __post_init__(self) -> None:
        checks.text("Published.source", self.source)
        checks.text("Published.data", self.data)
        checks.positive_int("Published.steps", self.steps)

    def deviations(self, data: str, steps: int) -> list[str]:
        """Returns how a run differs from the paper's protocol, in words."""
        found = []
        if data != self.data:
            found.append(f"data {data} instead of {self.data}")
        if steps != self.steps:
            found.append(f"{steps:,} steps instead of {self.steps:,}")
        return found
