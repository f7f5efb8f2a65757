"""The report of many runs: page, Markdown, table of claims, figures."""

import csv
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from absl import flags
from absl.testing import flagsaver
from conftest import ROOT
from reporting import line, write, write_metrics

from tf_lottery.foundation import stopping
from tf_lottery.foundation.files import StorageError
from tf_lottery.report import __main__ as command
from tf_lottery.report import (
    claim_rows,
    reproduction_page,
    sections,
    tensorboard_events,
)
from tf_lottery.report.claims import papers
from tf_lottery.report.claims.claim import Claim
from tf_lottery.report.claims.paper_points import PaperPoint
from tf_lottery.report.plots import (
    hover,
    render,
    round_plots,
    style,
    table_plots,
)
from tf_lottery.report.showing import SHOWN
from tf_lottery.report.tables.csv_tables import DamagedFile
from tf_lottery.report.verdicts import read_runs, run_collection

TICKETS = ("winning ticket", "random reinit #1", "random masks", "one-shot")
LADDER = {0: 1.0, 3: 0.5128, 7: 0.2107, 10: 0.1083, 15: 0.0358}


def ticket_lines(seeds=3, better=0.0, rounds=tuple(LADDER), arms=TICKETS):
    """Tickets that are better by points at each round, and stop earlier."""
    return [
        line(
            seed,
            arm,
            number,
            0.97 + (0 if i or not number else better) / 100 + seed / 1e4,
            remaining=LADDER[number],
            stop_step=6000 if i or not number else 3700 - seed,
            steps=50_000,
        )
        for seed in range(seeds)
        for i, arm in enumerate(arms)
        for number in rounds
    ]


@pytest.fixture
def runs(tmp_path):
    """Tickets that are 0.6 points better, and a supermask run."""
    write(tmp_path / "runs/tickets", ticket_lines(better=0.6))
    masks = [
        line(seed, arm, 0, 0.953 + seed / 1e3, remaining=0.5)
        for seed in range(3)
        for arm in ("init", "signed constant")
    ]
    write(tmp_path / "runs/masks", masks, kind="supermask", name="supermask")
    return tmp_path / "runs"


def build(runs, out=None):
    built = reproduction_page.build([runs], out or runs.parent / "report")
    return built, built.page.read_text()


def claims_of(out):
    with open(out / "claims.csv", newline="") as file:
        return {row["claim"]: row for row in csv.DictReader(file)}


def test_the_page_says_what_was_claimed_and_what_came(runs):
    built, text = build(runs)
    assert sum(built.counts.values()) == len(papers.CLAIMS)
    assert not built.left_out
    claims = claims_of(runs.parent / "report")
    assert claims.keys() == {c.key for c in papers.CLAIMS}
    better = claims["FC4"]
    assert better["verdict"] == better["comparisons_verdict"] == "reproduced"
    assert (better["papers_number"], better["ours"]) == (
        "+0.50 points",
        "+0.60 points",
    )
    assert (better["seeds"], better["iterations"]) == ("3", "50000")
    assert better["minutes"] == "1.0"
    assert claims["FC1"]["verdict"] == "reproduced"
    assert claims["FC5"]["verdict"] == "not reproduced"
    assert claims["FC2"]["missing"].startswith("round 9")
    for verdict, number in built.counts.items():
        found = {k for k, r in claims.items() if r["verdict"] == verdict}
        assert re.search(rf"<b>{number}</b>. <a[^>]*>{verdict}</a>", text)
        assert len(found) == number
    for expected in (
        "+0.60 points",
        "python -m the_command",
        "1 random reinit a ticket instead of 3",
        "3 seeds instead of 5",
        'href="../runs/tickets/"',
    ):
        assert expected in text


def test_the_page_needs_nothing_else_and_is_described(runs):
    _, text = build(runs)
    for reference in ('src="', 'href="http', "@import", "<link", "import("):
        assert reference not in text
    figures = re.findall(r'<svg role="group" aria-label="', text)
    assert len(figures) == 5
    ids = re.findall(r' id="(.*?)"', text)
    assert len(ids) == len(set(ids))
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text
    # What stays in one colour would be lost on a page of that colour.
    pictures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    for picture in pictures:
        ElementTree.fromstring(picture)
        assert "#000000" not in picture and "#ffffff" not in picture
        assert "var(--ink)" in picture or 'class="forest"' in picture


def test_figures_have_the_papers_points_and_links(runs):
    out = runs.parent / "report"
    build(runs)
    names = {path.stem for path in (out / "figures").glob("*.svg")}
    assert names == {path.stem for path in (out / "figures").glob("*.png")}
    assert names == {
        "supermask_accuracy",
        "tickets_accuracy_at_stop",
        "tickets_accuracy_at_end",
        "tickets_stop_step",
        "tickets_train_accuracy",
    }
    svg = (out / "figures" / "tickets_stop_step.svg").read_text()
    assert svg.count('xlink:href="../runs/tickets/"') == 4 * len(LADDER)
    assert ">paper<" in svg
    svg = (out / "figures" / "supermask_accuracy.svg").read_text()
    assert svg.count('xlink:href="../runs/masks/"') == 6
    assert ">paper<" in svg


def test_the_same_runs_give_the_same_bytes(runs):
    def everything(name):
        build(runs, runs.parent / name)
        files = sorted((runs.parent / name).rglob("*.*"))
        return {f.name: f.read_bytes() for f in files if f.suffix != ".png"}

    assert everything("one") == everything("two")


def test_markdown_has_the_claims_and_tables(runs):
    build(runs)
    text = (runs.parent / "report" / "results.md").read_text()
    assert "| reproduced | " in text
    [row] = [x for x in text.splitlines() if x.startswith("| FC4 |")]
    assert row.count("|") == 10
    assert "1 random reinit a ticket instead of 3" in row
    assert "+0.39 points" in row  # a rerun by others
    assert "+0.60 points (+0.60 to +0.60)" in row
    assert "**reproduced**" in row
    assert "| winning ticket | 3 | 97.01 | 97.61 |" in text
    assert "](figures/tickets_stop_step.svg)" in text
    for image in re.findall(r"\]\((figures/.*?)\)", text):
        assert (runs.parent / "report" / image).exists()


def test_two_protocols_are_two_figures(runs):
    lines = ticket_lines(better=-0.6)
    write(runs / "short", lines, recipe={"steps": 15_000})
    _, text = build(runs)
    claims = claims_of(runs.parent / "report")
    # The longer trainings decide; the shorter ones are mentioned.
    assert claims["FC4"]["ours"] == "+0.60 points"
    assert "-0.60 points" in text
    assert "steps 15,000 instead of 50,000" in text
    assert 'id="tickets"' in text and 'id="tickets-2"' in text
    assert (runs.parent / "report/figures/tickets-2_stop_step.svg").exists()


def test_a_claim_that_nothing_tests_is_listed(tmp_path, monkeypatch):
    claim = Claim("X", "A paper", "here", "So it is.", "LeNet", "notes", ())
    monkeypatch.setattr(reproduction_page, "CLAIMS", (claim,))
    built, text = build(tmp_path)
    assert built.counts["not tested"] == 1
    assert claim_rows.UNSHOWN in text
    table = (built.page.parent / "claims.csv").read_text()
    assert claim_rows.UNSHOWN in table
    said = (built.page.parent / "results.md").read_text()
    assert "no experiment here tests:\nX." in said


def test_without_runs_the_page_lists_the_commands(tmp_path):
    (tmp_path / "runs").mkdir()
    built, text = build(tmp_path / "runs")
    nothing = built.counts["too few runs"], built.counts["not tested"]
    assert sum(nothing) == len(papers.CLAIMS)
    for path in ("gin/supermask.gin", "gin/zhou2019/table1/conv6.gin"):
        assert f"python -m tf_lottery.main --gin_file={path}\n" in text
    assert "No runs yet" in text


def test_damaged_runs_are_listed_and_the_others_shown(runs):
    (runs / "tickets" / "density.csv").write_text("cut off")
    (runs / "notes").mkdir()
    (runs / "masks" / "summary.csv").write_text("seed,arm\n")
    built, text = build(runs)
    assert len(built.left_out) == 2
    for expected in ("masks/summary.csv", "a plan.json", "density.csv"):
        assert expected in text
    assert claims_of(runs.parent / "report")["FC4"]["verdict"] == "reproduced"


def test_a_run_under_way_is_shown_as_far_as_it_is(runs):
    folder = runs / "tickets"
    (folder / "DONE").unlink()
    write_metrics(folder, ticket_lines(better=0.6, rounds=(0, 3, 7)))
    built, text = build(runs)
    assert built.under_way == 1
    assert "1 of them is under way" in text
    claims = claims_of(runs.parent / "report")
    assert claims["FC4"]["verdict"] == "reproduced"
    assert "is under way" in claims["FC4"]["deviations"]
    assert claims["FC5"]["missing"].startswith("round 15")


def test_a_run_is_shown_after_every_line_that_it_writes(runs):
    folder = runs / "tickets"
    (folder / "DONE").unlink()
    there = ticket_lines(seeds=1, rounds=(0, 3), arms=TICKETS[:2])
    write_metrics(folder, there)
    whole = (folder / "metrics.csv").read_text().splitlines(keepends=True)
    for end in range(1, len(whole) + 1):
        (folder / "metrics.csv").write_text("".join(whole[:end]))
        [run] = read_runs.read_all([folder])[0]
        [figure], _ = run_collection.merge([run])
        shown = SHOWN[figure.kind]
        shown.figure_drawings(figure, [], sections.links(figure, runs))
        shown.figure_tables(figure)
        shown.figure_extras(figure)


def test_arms_of_learned_masks_that_have_not_begun_are_empty_rows(runs):
    lines = [line(0, "init #1", 0)]
    arms = ("init #1", "signed constant")
    folder = runs / "few"
    write(folder, lines, kind="supermask", name="few", arms=arms)
    build(runs)
    assert (runs.parent / "report/figures/few_accuracy.svg").exists()


def test_names_may_be_anything(runs):
    arms = ("a|b", "$\\frac$", "<b>&", "ü")
    lines = ticket_lines(arms=arms)
    folder = runs / "of # mine"
    write(folder, lines, name="odd", rounds=tuple(LADDER)[1:])
    _, text = build(runs)
    assert "&lt;b&gt;&amp;" in text
    assert 'href="../runs/of%20%23%20mine/"' in text
    markdown = (runs.parent / "report" / "results.md").read_text()
    assert "| a\\|b | 3 |" in markdown


def test_a_report_within_its_runs_is_no_run(runs):
    for _ in range(2):
        built = reproduction_page.build([runs], runs / "report")
        assert not built.left_out
    built = reproduction_page.build([runs / "report", runs], runs)
    built = reproduction_page.build([runs], runs)
    assert [x for x in built.left_out if "figures" in x] == []


def test_a_folder_that_cannot_be_written_is_named(runs):
    (runs.parent / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        reproduction_page.build([runs], runs.parent / "file" / "report")


def test_a_point_and_a_mark_where_they_belong():
    lines = ticket_lines(better=0.6)
    paper_points = [PaperPoint("stop", "winning ticket", 21.07, 3720.0)]
    drawn = round_plots.draw(
        lines, TICKETS, paper_points, lambda arm, r: f"{arm} {r}"
    )
    figure, caption = drawn["stop_step"]
    [axes] = figure.axes
    [mark] = [
        x
        for x in axes.lines
        if x.get_marker() == "D" and x.get_label() == "paper"
    ]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (21.07, 3720.0)
    ticket = axes.lines[0]
    assert mark.get_markeredgecolor() == ticket.get_color()
    urls = [u for c in axes.collections for u in c.get_urls() or [] if u]
    links = {url.partition(hover.MARK)[0] for url in urls}
    assert links >= {"winning ticket 0", "random reinit 15"}
    assert "Diamonds" in caption
    assert "Diamonds" not in drawn["accuracy_at_end"][1]


def test_a_table_is_drawn_with_each_seed():
    lines = [line(s, a, 0, 0.9) for s in range(2) for a in ("init", "dwr")]
    paper_points = [PaperPoint("accuracy", "dwr", 50.0, 98.0)]
    drawn = table_plots.draw_table(
        lines, ["init", "dwr"], paper_points, lambda a, r: a
    )
    [axes] = drawn["accuracy"][0].axes
    assert [len(c.get_offsets()) for c in axes.collections] == [2, 2]
    [mark] = axes.lines
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (98.0, 1)


def test_an_inline_picture_keeps_its_proportions():
    figure, _ = style.new()
    text = render.inline(render.render(figure, "svg"), 'a "b" <c>')
    root = ElementTree.fromstring(text)
    assert root.get("aria-label") == 'a "b" <c>'
    assert root.get("width") is None and root.get("viewBox")


@pytest.fixture
def arguments():
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["report"])
    with flagsaver.flagsaver():
        yield


def test_watching_builds_again_when_a_run_goes_on(
    runs, monkeypatch, arguments, capsys
):
    out = runs.parent / "report"
    folder = runs / "tickets"
    (folder / "DONE").unlink()
    naps = []

    def nap():
        naps.append(None)
        if len(naps) == 1:
            assert "Ctrl-C" not in (out / "index.html").read_text()
            write_metrics(folder, ticket_lines(rounds=(0, 3)))
        elif len(naps) == 3:  # nothing happened in the second
            raise stopping.Stopped(signal.SIGINT)

    monkeypatch.setattr(command, "rest", nap)
    flags.FLAGS.out, flags.FLAGS.watch = str(out), True
    with pytest.raises(SystemExit) as end:
        command.run_main(["report", str(runs)])
    assert end.value.code == 130
    said, error = capsys.readouterr()
    assert error == "\nStopped: the same command makes the report anew.\n"
    assert said.count("index.html") == 2
    assert "1 runs are under way" in said
    refresh = f'http-equiv="refresh" content="{command.SECONDS}"'
    assert refresh in (out / "index.html").read_text()


def test_event_files_can_be_read_again(runs, tmp_path):
    reader = pytest.importorskip("tensorboardX.proto.event_pb2")
    write_metrics(runs / "tickets", ticket_lines(rounds=(0, 3)))
    logs = tensorboard_events.write([runs], tmp_path / "report")
    tensorboard_events.write([runs], tmp_path / "report")  # anew, not on top
    files = sorted(logs.rglob("events.out*"))
    assert len(files) == 3 * 4 * 2
    [one] = (logs / "tickets/winning ticket, seed 1, round 3").iterdir()
    data, found = one.read_bytes(), {}
    while data:
        length = int.from_bytes(data[:8], "little")
        event = reader.Event.FromString(data[12 : 12 + length])
        data = data[16 + length :]
        for value in event.summary.value:
            found[value.tag, event.step] = value.simple_value
    assert found["accuracy/test", 50_000] == pytest.approx(0.9701)
    assert found["remaining/all", 0] == pytest.approx(0.5128)


def test_two_runs_of_one_name_have_event_files_each(runs, tmp_path):
    pytest.importorskip("tensorboardX")
    for parent in ("one", "two"):
        folder = write(runs / parent / "x", ticket_lines(seeds=1))
        write_metrics(folder, ticket_lines(seeds=1, rounds=(0,)))
    logs = tensorboard_events.write([runs / "one", runs / "two"], tmp_path)
    assert {path.name for path in logs.iterdir()} == {"x", "x'"}
    (runs / "one" / "x" / "metrics.csv").write_text("0,1,2\n")
    with pytest.raises(DamagedFile, match=r"records in .*metrics\.csv"):
        tensorboard_events.write([runs / "one"], tmp_path)


def test_event_files_need_their_extra(runs, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ModuleNotFoundError, match=r"tf_lottery\[tensorboard\]"):
        tensorboard_events.write([runs], runs.parent)


def test_the_command_needs_no_tensorflow(runs):
    code = (
        "import sys, tf_lottery.report.__main__ as m; from absl import app, "
        "flags; flags.FLAGS.set_gnu_getopt(True)\n"
        "def run(argv):\n"
        "    m.main(argv)\n"
        "    sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))\n"
        "app.run(run)"
    )
    arguments = [str(runs), f"--out={runs.parent / 'out'}"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert (runs.parent / "out" / "index.html").exists()
    assert done.stdout.startswith(str(runs.parent / "out" / "index.html"))
