"""Signals, in processes of their own: they are a whole process's business."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from conftest import ROOT

START = """
import os, signal, sys, time
from tf_lottery.foundation import stopping
stopping.listen("the same command goes on")
print("ready", flush=True)
"""


def process_of(text, **options):
    process = subprocess.Popen(
        [sys.executable, "-c", START + textwrap.dedent(text)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def end_of(process, timeout=10):
    """Returns (status, out, err, seconds)."""
    began = time.monotonic()
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err, time.monotonic() - began


LOOKS = """
with stopping.heeding():
    while True:
        time.sleep(0.3)
        try:
            stopping.check("step 3 of 9 is saved")
        except stopping.Stopped as stop:
            print(stopping.line(stop.number, stop.saved), flush=True)
            sys.exit(128 + stop.number)
"""


@pytest.mark.parametrize(
    "number, by",
    [
        (signal.SIGINT, ""),
        (signal.SIGTERM, " by SIGTERM"),
        (signal.SIGHUP, " by SIGHUP"),
    ],
)
def test_who_looks_stops_by_itself(number, by):
    process = process_of(LOOKS)
    process.send_signal(number)
    status, out, err, _ = end_of(process)
    assert status == 128 + number
    assert out == f"Stopped{by}: step 3 of 9 is saved.\n"
    assert err == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_where_nobody_looks_it_ends_within_two_seconds(number):
    # In C, where Python's own handlers have to wait until it is over.
    process = process_of(
        "import hashlib\nhashlib.pbkdf2_hmac('sha256', b'', b'', 10**8)"
    )
    time.sleep(0.5)
    process.send_signal(number)
    status, _, err, seconds = end_of(process)
    assert status == 128 + number
    assert err.count("\n") == 2
    assert "the same command goes on." in err
    assert seconds < 2


def test_no_library_can_lose_it():
    # As garbage collection callbacks do: whatever is raised there is lost.
    swallows = """
    import gc
    class Swallows:
        def __del__(self):
            try:
                for _ in range(10_000):
                    pass
            except BaseException:
                pass
    def forever():
        while not stopping.asked():
            Swallows()
        stopping.check()
    with stopping.heeding():
        try:
            forever()
        except KeyboardInterrupt:
            print("stopped", flush=True)
    """
    for _ in range(5):
        process = process_of(swallows)
        process.send_signal(signal.SIGINT)
        status, out, err, _ = end_of(process)
        assert (status, out, err) == (0, "stopped\n", "")


def test_a_second_signal_ends_it_at_once():
    process = process_of("with stopping.heeding():\n    time.sleep(60)")
    process.send_signal(signal.SIGTERM)
    time.sleep(1.5)
    assert process.poll() is None, "who looks is waited for"
    process.send_signal(signal.SIGINT)
    status, _, err, seconds = end_of(process)
    assert status == 128 + signal.SIGTERM
    assert "Stopped by SIGTERM: the same command goes on." in err
    assert seconds < 1


def test_what_is_ignored_stays_ignored():
    process = process_of(
        "time.sleep(0.5)\nprint('done')",
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    process.send_signal(signal.SIGHUP)
    assert end_of(process)[:2] == (0, "done\n")


def test_what_is_to_be_done_before_the_end_is_done(tmp_path):
    process = process_of(
        f"""
        import pathlib, subprocess
        def fails():
            raise OSError
        stopping.at_end(fails)
        stopping.at_end(pathlib.Path({str(tmp_path / "told")!r}).touch)
        child = subprocess.Popen(["sleep", "1000"])
        stopping.own(child)
        print(child.pid, flush=True)
        time.sleep(60)
        """
    )
    child = int(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    assert end_of(process)[0] == 130
    assert (tmp_path / "told").exists()
    assert not alive(child)


def alive(pid):
    """Returns whether a process runs; one that nobody waited for does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split()[2] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not os.path.exists("/proc"), reason="needs /proc")
def test_a_child_follows_its_parent_who_was_killed():
    process = process_of(
        f"""
        import subprocess
        child = subprocess.Popen(
            [sys.executable, "-c", {START!r} + '''
        stopping.follow_parent()
        with stopping.heeding():
            time.sleep(60)
        '''.replace("        ", "", 2).replace("\\n        ", "\\n")],
            stdout=subprocess.PIPE,
            env=stopping.followed(),
        )
        child.stdout.readline()
        print(child.pid, flush=True)
        time.sleep(60)
        """
    )
    child = int(process.stdout.readline())
    process.kill()
    process.wait()
    # Two seconds at most, on a machine that is not busy.
    until = time.monotonic() + 10
    while alive(child):
        assert time.monotonic() < until
        time.sleep(0.1)


OWN = """
import pathlib, tempfile
from tf_lottery.foundation import temporary
temporary.own_folder()
pathlib.Path(tempfile.gettempdir(), "left").touch()
print("made", flush=True)
"""


@pytest.mark.parametrize("end", ["", "time.sleep(60)"])
def test_temporary_files_go_with_the_process(tmp_path, end):
    process = process_of(OWN + end, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert process.stdout.readline() == "made\n"
    if end:
        [folder] = tmp_path.iterdir()
        assert (folder / "left").exists()
        process.send_signal(signal.SIGTERM)
    end_of(process)
    assert not [*tmp_path.iterdir()]


def test_what_a_killed_process_left_is_taken_away_by_the_next(tmp_path):
    there = {**os.environ, "TMPDIR": str(tmp_path)}
    killed, lives = (
        process_of(OWN + "time.sleep(60)", env=there) for _ in "ab"
    )
    for process in (killed, lives):
        assert process.stdout.readline() == "made\n"
    killed.kill()
    killed.wait()
    assert len([*tmp_path.iterdir()]) == 2
    end_of(process_of(OWN, env=there))
    assert len([*tmp_path.iterdir()]) == 1, "that of who lives stays"
    lives.kill()
    lives.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_on_the_way_out_is_too_late(number):
    process = process_of(
        f"""
        class Late:
            # When the interpreter takes its own handlers away, this goes too.
            def __del__(self, kill=os.kill, pid=os.getpid()):
                kill(pid, {int(number)})

        sys.late = Late()
        """
    )
    status, out, err, _ = end_of(process)
    assert (status, out, err) == (0, "", "")
