"""Ratios against named peers, measured in one run."""

import signal
import sys
from types import FrameType


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is left is to tidy up
    sys.exit(130)


# `python -m benchmarks...` alone, not who imports this: Ctrl-C then ends even
# the import of TensorFlow without a traceback. Python says "-m" while it looks
# for the module.
if sys.argv[0] == "-m":
    signal.signal(signal.SIGINT, _stop)
