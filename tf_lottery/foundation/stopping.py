"""Stopping: Ctrl-C and what clusters send, waited for in one place.

An exception that a signal raises may come up in any frame of any library, and
some swallow it. So no signal raises one: a thread waits for them, and whoever
works in steps looks whether one came, saves what there is, and stops.

    listen("the same command goes on from there")    at the start of a command
    with heeding():                                  I do look, and often
        check()                                      raises Stopped if one came

Where nobody looks (imports, compilation, reading), the thread ends the process
itself after a second; nothing is lost then that is not made again. A second
signal ends it at once.
"""

import atexit
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
)

PARENT = "TF_LOTTERY_PARENT"
"""The variable that holds the number of the process to follow."""

SECONDS_UNHEEDED = 1.0
"""How long nobody may look before the thread ends the process."""

SECONDS_OF_AN_ORPHAN = 1.0
"""From the death of the process that started this one to its own end."""

SECONDS_TO_UNWIND = 20.0
"""How long a process may take from `Stopped` to its end."""

BETWEEN_LOOKS = 0.05


class Stopped(KeyboardInterrupt):
    """A signal asked to stop, and what was under way is saved.

    Args:
        number: Of the signal.
        saved: What was saved, a sentence without its end. Empty if nothing
            had to be.
    """

    def __init__(self, number: int, saved: str = "") -> None:
        super().__init__(number, saved)
        self.number, self.saved = number, saved


class _State:
    """What the thread and those who look share."""

    asked: int | None = None
    looking = 0
    unwinding = False
    at_end: tuple[Callable[[], None], ...] = ()
    processes: frozenset[subprocess.Popen] = frozenset()
    limit: float | None = None
    writer: int | None = None
    stderr = 2


_state = _State()


def listen(outlook: str) -> None:
    """Makes signals wait for `check`; for the main thread of a command.

    Those that are ignored (of a command in the background, say) stay so.

    Args:
        outlook: What will become of the work, a sentence without its end, for
            the line that is printed if the thread ends the process.
    """
    # Standard error may be held back when it is needed.
    _state.stderr = os.dup(2)
    reader, _state.writer = os.pipe()
    os.set_blocking(_state.writer, False)
    # Written to at once, even if the main thread is deep in a library and
    # Python's own handlers have to wait.
    signal.set_wakeup_fd(_state.writer, warn_on_full_buffer=False)
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    # On its way out the interpreter gives signals back to the system, and one
    # would then kill a process whose work is done.
    atexit.register(_ignore)
    threading.Thread(
        target=_wait, args=(reader, outlook), name="stopping", daemon=True
    ).start()


def ask(number: int, limit: float | None = None) -> None:
    """Does what the arrival of a signal does, if somebody listens.

    Args:
        number: Of the signal.
        limit: Seconds until the process ends, whether somebody looks or not.
    """
    if limit is not None:
        _state.limit = time.monotonic() + limit
    if _state.writer is not None and _state.asked is None:
        os.write(_state.writer, bytes([number]))


def asked() -> bool:
    """Returns whether a signal came."""
    return _state.asked is not None


def check(saved: str = "") -> None:
    """Raises Stopped if a signal came.

    Args:
        saved: What was saved before; see `Stopped`.
    """
    if _state.asked is not None:
        _state.unwinding = True
        raise Stopped(_state.asked, saved)


@contextmanager
def heeding() -> Iterator[None]:
    """Within, `asked` is looked at often enough: the thread only waits."""
    _state.looking += 1
    try:
        yield
    finally:
        _state.looking -= 1


def at_end(action: Callable[[], None]) -> None:
    """Has the thread do something before it ends the process."""
    _state.at_end += (action,)


def own(process: subprocess.Popen) -> None:
    """Has the thread kill a process before it ends this one."""
    _state.processes |= {process}


def followed() -> dict[str, str]:
    """Returns the environment of a process that is to follow this one."""
    return {**os.environ, PARENT: str(os.getpid())}


def follow_parent() -> None:
    """Ends this process soon after the one that started it has died.

    That one started it in the environment of `followed`: if it has died
    already, the system does not tell any more who it was.
    """
    parent = int(os.environ[PARENT])

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(BETWEEN_LOOKS)
        ask(signal.SIGTERM, limit=SECONDS_OF_AN_ORPHAN)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def line(number: int, said: str) -> str:
    """Returns what is printed of a stop.

    Args:
        number: Of the signal.
        said: What was saved and what the same command will do, a sentence
            without its end.
    """
    by = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
    return f"Stopped{by}: {said}."


def _ignore() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _wait(reader: int, outlook: str) -> None:
    """Waits for a signal, and then until the process ends or is ended."""
    _state.asked = os.read(reader, 1)[0]
    heeded = time.monotonic()
    unwinding = 0.0
    while True:
        again, _, _ = select.select([reader], [], [], BETWEEN_LOOKS)
        now = time.monotonic()
        if again or (_state.limit is not None and now > _state.limit):
            break
        if _state.unwinding:
            unwinding = unwinding or now
            heeded = now
            if now - unwinding > SECONDS_TO_UNWIND:
                break
        elif _state.looking:
            heeded = now
        elif now - heeded > SECONDS_UNHEEDED:
            break
    _end(_state.asked, outlook)


def _end(number: int, outlook: str) -> None:
    for process in _state.processes:
        process.kill()
    for action in _state.at_end:
        try:
            action()
        except Exception:  # the process ends whatever it is
            continue
    # Live lines hide the cursor.
    shown = "\x1b[?25h" if sys.stderr.isatty() else ""
    os.write(_state.stderr, f"{shown}\n{line(number, outlook)}\n".encode())
    os._exit(128 + number)
