import io

import pytest
from rich.console import Console

from tf_lottery.experiments.running import progress
from tf_lottery.experiments.running.progress import Display
from tf_lottery.training.history import Status


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def status(step, steps, *means):
    return Status(
        step,
        steps,
        dict(zip(("loss", "accuracy"), means, strict=bool(means))),
        [],
    )


def show(terminal, clock, reports):
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120)
    with Display(console, chains=3) as display:
        display.chain("stored", 0)
        tell = display.chain("DWR init", 7)
        for seconds, report in reports:
            clock[0] = 100 + seconds
            tell.show(0, status(*report))
    return out.getvalue()


REPORTS = [
    (0, (1000, 4000)),  # resumed
    (5, (1500, 4000, 0.5, 0.75)),
    (20, (3000, 4000, 0.25, 0.875)),
    (30, (4000, 4000, 0.125, 0.9)),
]


def test_plain_lines_where_there_is_no_terminal(clock):
    lines = show(False, clock, REPORTS).splitlines()
    assert lines == [
        "[2/3] DWR init, seed 7  1,000/4,000  ",
        "[2/3] DWR init, seed 7  3,000/4,000  100 steps/s  "
        "loss 0.250  accuracy 87.5%  0.2 min left",
        "[2/3] DWR init, seed 7  4,000/4,000  100 steps/s  "
        "loss 0.125  accuracy 90.0%",
    ]


def test_a_live_line_on_a_terminal(clock):
    text = show(True, clock, REPORTS)
    for words in ("[2/3] DWR init, seed 7", "4,000/4,000", "100 steps/s"):
        assert words in text
    assert "\x1b[" in text


def test_rounds_are_told_apart_and_chains_share_the_screen(clock):
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120)
    with Display(console, chains=2) as display:
        one, two = display.chain("a", 0, slot=0), display.chain("b", 0, slot=1)
        for seconds, round in ((0, 0), (10, 3)):
            clock[0] = 100 + seconds
            one.show(round, status(0, 1000))
            clock[0] += 5
            one.show(round, status(1000, 1000, 0.5, 0.9))
        two.show(None, status(10, 1000))
        assert len(display.live.tasks) == 2
        display.chain("c", 0, slot=0)
        assert len(display.live.tasks) == 2
    text = out.getvalue()
    for words in (
        "[1/2] a, seed 0  1,000/1,000  200",
        "a, seed 0, round 3",
        "[2/2] b, seed 0",
    ):
        assert words in text
