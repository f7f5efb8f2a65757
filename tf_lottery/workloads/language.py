"""Language: the next character of a text.

A character is a byte, so any file is a text, and the network chooses among
256. An example is a window: some characters and the one that comes after
them. The text is cut into three pieces, for training, validation and testing,
and no window reaches over a cut.
"""

import hashlib
import math
import pathlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tf_lottery.foundation import checks
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.workloads.examples import Resident, Streamed, batch_rows
from tf_lottery.workloads.prediction import Prediction
from tf_lottery.workloads.task import SPLITS, Batch, DataError, Shapes

PYTHON_TOPICS = "python_topics"
"""Names the text that comes with Python: what `help("TOPICS")` lists."""

CHARACTERS = 256
PIECES = {"train": 0.9, "validation": 0.05, "test": 0.05}


@dataclass(frozen=True)
class NextCharacter(Prediction):
    """Learns which character of a text comes next.

    Args:
        text: Path of a file, or "python_topics", some 700,000 characters of
            English that come with Python.
        context: How many characters the network sees.
        stream: Read windows from the file as they are needed rather than
            holding the text in memory. The results are the same, to the bit.

    Raises:
        InvalidValue: A field is of the wrong type or range.
    """

    text: str = PYTHON_TOPICS
    context: int = 16
    stream: bool = False

    def __post_init__(self) -> None:
        checks.text("TEXT (NextCharacter.text)", self.text)
        checks.positive_int("CONTEXT", self.context)
        checks.boolean("NextCharacter.stream", self.stream)
        if self.stream and self.text == PYTHON_TOPICS:
            raise InvalidValue(
                "expected a text file for NextCharacter.stream = True, "
                f"received {self.text!r}, which is no file"
            )

    @property
    def name(self) -> str:
        """The name of the text."""
        return pathlib.PurePath(self.text).name

    def metrics(self, loss: float, score: float) -> dict[str, float]:
        """Returns loss (nats a character), accuracy and perplexity."""
        # The exponential of a loss beyond 700 is more than a number holds.
        perplexity = math.exp(loss) if loss < 700 else math.inf
        return {**super().metrics(loss, score), "perplexity": perplexity}

    def open(
        self,
        strategy: tf.distribute.Strategy,
        data_dir: str | None = None,
        cache: pathlib.Path | None = None,
    ) -> Resident | Streamed:
        """Returns the windows of the text where a training can reach them.

        Args:
            strategy: Whose devices hold the text, if it is held in memory.
            data_dir: Not used: `text` says where the file is.
            cache: Not used: reading takes no time.

        Raises:
            DataError: The file is not there, or too short.
        """
        del data_dir, cache
        characters = self._characters()
        pieces = {n: int(p * len(characters)) for n, p in PIECES.items()}
        sizes = {name: size - self.context for name, size in pieces.items()}
        if min(sizes.values()) < 1:
            raise DataError(
                f"expected a text of at least {20 * (self.context + 2)} "
                f"characters for windows of {self.context}, received "
                f"{len(characters)} in {self.text!r}"
            )
        cuts = dict(zip(SPLITS, np.cumsum([0, *pieces.values()]), strict=False))
        shapes = Shapes((self.context,), CHARACTERS, "int32", CHARACTERS)
        if self.stream:
            return StreamedText(characters, cuts, sizes, shapes)
        return ResidentText(characters, cuts, sizes, shapes, strategy)

    def _characters(self) -> np.ndarray:
        if self.text == PYTHON_TOPICS:
            from pydoc_data import topics

            whole = "\n".join(topics.topics[n] for n in sorted(topics.topics))
            return np.frombuffer(whole.encode(), np.uint8)
        path = pathlib.Path(self.text)
        try:
            if not path.stat().st_size:
                return np.zeros(0, np.uint8)
            return np.memmap(path, np.uint8, "r")
        except OSError as error:
            raise DataError(
                f"expected TEXT to be the path of a text file or "
                f"{PYTHON_TOPICS!r}, received {self.text!r}: {error.strerror}"
            ) from error


class ResidentText(Resident):
    """A text on the device, and where in it each window begins.

    Args:
        characters: The text, uint8.
        cuts: Where each split's piece begins.
        sizes: How many windows each split has.
        shapes: What a network must know.
        strategy: Whose devices hold the text.
    """

    def __init__(
        self,
        characters: np.ndarray,
        cuts: Mapping[str, int],
        sizes: dict[str, int],
        shapes: Shapes,
        strategy: tf.distribute.Strategy,
    ) -> None:
        pieces = [cuts[name] + np.arange(sizes[name]) for name in SPLITS]
        super().__init__(
            {"start": np.concatenate(pieces).astype(np.int32)},
            sizes,
            shapes,
            fingerprint(characters),
            strategy,
        )
        with strategy.scope():
            self._text = tf.Variable(np.asarray(characters), trainable=False)

    def take(self, rows: tf.Tensor) -> Batch:
        """Returns the windows of some numbers, and what comes next."""
        starts = tf.gather(self._arrays["start"], rows)
        [context] = self.shapes.inputs
        places = starts[:, None] + tf.range(context + 1)
        window = tf.cast(tf.gather(self._text, places), tf.int32)
        return {"inputs": window[:, :-1], "targets": window[:, -1]}


class StreamedText(Streamed):
    """A text on disk; it has the windows of `ResidentText` in the same order.

    Args:
        characters: The text, uint8, mapped into memory.
        cuts: Where each split's piece begins.
        sizes: How many windows each split has.
        shapes: What a network must know.
    """

    def __init__(
        self,
        characters: np.ndarray,
        cuts: Mapping[str, int],
        sizes: dict[str, int],
        shapes: Shapes,
    ) -> None:
        super().__init__(sizes, shapes, fingerprint(characters))
        self._text, self._cuts = characters, cuts

    def batches(self, seed: int, batch_size: int, step: int) -> Iterator[Batch]:
        """Yields the training batches from `step` on, without end."""
        train = self.sizes["train"]
        while True:
            [rows] = batch_rows(seed, batch_size, step, 1, train)
            yield self._take(self._cuts["train"] + rows)
            step += 1

    def split(self, name: str, batch_size: int) -> Iterator[Batch]:
        """Yields a split once, in batches; the last may be smaller."""
        end = self._cuts[name] + self.sizes[name]
        for first in range(self._cuts[name], end, batch_size):
            yield self._take(np.arange(first, min(first + batch_size, end)))

    def _take(self, starts: np.ndarray) -> Batch:
        [context] = self.shapes.inputs
        places = starts[:, None] + np.arange(context + 1)
        window = tf.constant(self._text[places].astype(np.int32))
        return {"inputs": window[:, :-1], "targets": window[:, -1]}


def fingerprint(characters: np.ndarray) -> str:
    """Returns the hash of a text."""
    return hashlib.sha256(characters.data).hexdigest()
