"""Workers: the chains of a plan in several processes of this machine.

The command starts N more processes of itself, each with its share of the
cores, and hands them a chain at a time. They talk in lines of JSON: a chain
to the worker's standard input, and back what there is to show, until "done"
or "failed". What is measured goes to the run's folder and the store, which
several processes may write to; a worker that dies takes nothing with it but
the seconds since its last checkpoint. When the command is stopped, it stops
its workers and waits for their checkpoints; when it dies, they follow it.
"""

import contextlib
import json
import logging
import os
import pathlib
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from tf_lottery.experiments.running.progress import Display
from tf_lottery.foundation import stopping
from tf_lottery.training.history import Status

Chain = tuple[str, int]

SECONDS_TO_DIE = 10.0


def share_out(
    command: Sequence[str],
    count: int,
    chains: Iterable[Chain],
    display: Display,
    logs: pathlib.Path,
) -> list[str]:
    """Runs chains in worker processes, and returns what went wrong.

    Args:
        command: Starts a worker, which calls `serve`.
        count: How many.
        chains: (arm, seed), in the order in which they are started.
        display: Shows a line a worker.
        logs: The folder for what workers write to standard error.

    Returns:
        A sentence for each chain that was not finished. The others are.

    Raises:
        Stopped: A signal came, and the workers have saved what they had.
    """
    logs.mkdir(exist_ok=True)
    work = _Work(list(chains))
    threads = [
        threading.Thread(
            target=_lead,
            args=(command, slot, work, display, logs / f"{slot}.log"),
            daemon=True,
        )
        for slot in range(count)
    ]
    try:
        with stopping.heeding():
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(stopping.BETWEEN_LOOKS)
                    stopping.check("the workers have saved where they were")
    finally:
        work.stop()
    left = [f"{arm}, seed {seed}: not started" for arm, seed in work.chains]
    return work.failures + left


@dataclass
class _Work:
    """What the threads that lead workers share."""

    chains: list[Chain]
    failures: list[str] = field(default_factory=list)
    processes: list[subprocess.Popen] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopped: bool = False

    def stop(self) -> None:
        """Ends the workers that are left, each at its next checkpoint."""
        self.stopped = True
        for process in self.processes:
            process.terminate()  # does nothing to one that ended
        for process in self.processes:
            process.wait()

    def __iter__(self) -> Iterator[Chain]:
        while True:
            with self.lock:
                if not self.chains or self.stopped:
                    return
                chain = self.chains.pop(0)
            yield chain


def _lead(
    command: Sequence[str],
    slot: int,
    work: _Work,
    display: Display,
    log: pathlib.Path,
) -> None:
    """Runs chains in a worker until none is left; a new one for one that died.

    One that dies before it says anything would do so again: then this slot
    gives up, and leaves the chains to the others.
    """
    worker = None
    for arm, seed in work:
        try:
            if worker is None or worker.process.poll() is not None:
                with work.lock:
                    if work.stopped:
                        return
                    worker = _Worker(command, log)
                    work.processes.append(worker.process)
            with work.lock:
                watcher = display.chain(arm, seed, slot)
            trouble = worker.run(arm, seed, watcher)
        except Exception as error:  # whatever it is, the chain is not done
            trouble = repr(error)
        if work.stopped:
            break
        if trouble:
            sentence = f"{arm}, seed {seed}: {trouble}"
            work.failures.append(sentence)
            display.say(f"not finished: {sentence}")
        if worker is None or not worker.spoke:
            break
    if worker is not None:
        worker.process.stdin.close()
        worker.process.wait()
        worker.process.stdout.close()


class _Worker:
    """A worker's process, as the one who leads it sees it."""

    def __init__(self, command: Sequence[str], log: pathlib.Path) -> None:
        self._log = log
        self.spoke = False
        with open(log, "ab") as errors:
            self.process: Any = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=stopping.followed(),
                # Ctrl-C of a terminal comes to the one who leads alone.
                start_new_session=True,
            )
        stopping.own(self.process)

    def run(self, arm: str, seed: int, watcher: Any) -> str | None:
        """Returns None when a chain is done, or what is wrong."""
        try:
            self.process.stdin.write(json.dumps([arm, seed]) + "\n")
            self.process.stdin.flush()
        except OSError:
            return self._death()
        for line in self.process.stdout:
            try:
                what, content = json.loads(line)
            except (ValueError, TypeError):  # its last words, cut off
                break
            self.spoke = True
            if what == "show":
                round, step, steps, means = content
                watcher.show(round, Status(step, steps, means, []))
            elif what == "say":
                watcher.say(content)
            elif what == "done":
                return None
            elif what == "failed":
                return content
        return self._death()

    def _death(self) -> str:
        try:
            status = self.process.wait(timeout=SECONDS_TO_DIE)
        except subprocess.TimeoutExpired:  # it only lost its speech
            self.process.kill()
            status = self.process.wait()
        self.process.stdout.close()
        return f"the worker ended with status {status}, see {self._log}"


def claim_output() -> IO[bytes]:
    """Returns this worker's channel to the one who leads it.

    What else is printed, by whatever library, goes to standard error.
    """
    channel = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return channel


def serve(channel: IO[bytes], run: Callable[[Chain, Any], None]) -> None:
    """Runs the chains that standard input names: the worker's side.

    Args:
        channel: Of `claim_output`.
        run: Runs a chain, and tells the watcher that is given with it.
    """
    watcher = _Sender(channel)
    logging.getLogger("absl").addHandler(_Warnings(watcher))
    for line in sys.stdin:
        arm, seed = json.loads(line)
        try:
            run((arm, seed), watcher)
        except Exception as error:  # ends the chain, not the worker
            traceback.print_exc()
            watcher.send("failed", str(error) or repr(error))
        else:
            watcher.send("done", None)


class _Warnings(logging.Handler):
    """Sends on what is warned of, which would else be in a log only."""

    def __init__(self, watcher: "_Sender") -> None:
        super().__init__(logging.WARNING)
        self._watcher = watcher

    def emit(self, record: logging.LogRecord) -> None:
        self._watcher.say(record.getMessage())


class _Sender:
    """A watcher that sends on what it is told."""

    def __init__(self, channel: IO[bytes]) -> None:
        self._channel = channel

    def show(self, round: int | None, now: Status) -> None:
        self.send("show", [round, *now[:-1]])

    def say(self, text: str) -> None:
        self.send("say", text)

    def send(self, what: str, content: Any) -> None:
        # Who leads may be dead: then this process soon is told so.
        with contextlib.suppress(BrokenPipeError):
            self._channel.write(f"{json.dumps([what, content])}\n".encode())
