"""Ratios against named peers, measured in one run."""

import os
import signal
import sys
import threading
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SECONDS_TO_END = 5.0


def _stop(number: int, frame: FrameType | None) -> None:
    for other in SIGNALS:  # what is left is to tidy up
        signal.signal(other, signal.SIG_IGN)
    # A library may swallow what is raised here.
    end = threading.Timer(SECONDS_TO_END, os._exit, [128 + number])
    end.daemon = True
    end.start()
    sys.exit(128 + number)


# `python -m benchmarks...` alone, not who imports this: a signal then ends even
# the import of TensorFlow without a traceback. Python says "-m" while it looks
# for the module.
if sys.argv[0] == "-m":
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
