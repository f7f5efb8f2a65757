import json
import multiprocessing
import os
import re

import numpy as np
import pytest

from tf_lottery.foundation import seal, snapshot_files
from tf_lottery.foundation.files import StorageError
from tf_lottery.foundation.records import Record, Snapshot
from tf_lottery.foundation.run_folder import RunFolder, read_records
from tf_lottery.foundation.snapshot_files import read_snapshots


def record(step, value=0.1, arm="DWR, init"):
    return Record(0, arm, 0, step, "test", "loss", value)


def test_rows_come_back_bit_for_bit(tmp_path):
    run = RunFolder(tmp_path / "run")
    rows = [record(i, np.random.default_rng(i).normal()) for i in range(9)]
    run.append(rows[:5])
    run.append(rows)
    assert read_records(tmp_path / "run") == rows


def test_two_processes_write_each_row_once(tmp_path):
    one, two = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    rows = [record(i) for i in range(6)]
    one.append(rows[:2])
    two.append(rows[:4])
    one.append(rows[1:])
    two.append(rows)
    assert read_records(tmp_path / "run") == rows


@pytest.mark.parametrize("cut", range(1, 30, 4))
def test_a_line_that_was_cut_off_is_written_again(tmp_path, cut):
    rows = [record(1), record(2)]
    RunFolder(tmp_path / "run").append(rows)
    path = tmp_path / "run" / "metrics.csv"
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert read_records(tmp_path / "run") == rows[:1]
    RunFolder(tmp_path / "run").append(rows)
    assert path.read_bytes() == whole


def test_a_file_cut_off_within_its_header(tmp_path):
    RunFolder(tmp_path / "run").append([record(1)])
    path = tmp_path / "run" / "metrics.csv"
    path.write_bytes(path.read_bytes()[:4])
    RunFolder(tmp_path / "run").append([record(1)])
    assert read_records(tmp_path / "run") == [record(1)]


def test_pictures_come_back_with_any_name(tmp_path):
    run = RunFolder(tmp_path / "run")
    arrays = {"histogram fc1/kernel": np.eye(2)}
    for round, seed in ((10, 3), (9, 12)):
        snapshot_files.save(run.folder, Snapshot(seed, "a/b, 1", round, arrays))
    (run.folder / "snapshots" / "a 1.npz").write_bytes(b"of another version")
    first, snapshot = read_snapshots(tmp_path / "run")
    assert first[:3] == (12, "a/b, 1", 9)
    assert snapshot[:3] == (3, "a/b, 1", 10)
    assert np.array_equal(snapshot.arrays["histogram fc1/kernel"], np.eye(2))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match="--workdir"):
        RunFolder(tmp_path / "file" / "run")


def test_folders_of_earlier_versions_are_read_and_gone_on_with(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.append([record(1)])
    path = run.folder / "metrics.csv"
    path.write_text(path.read_text().replace("where", "split"))
    assert "step,split,metric" in path.read_text()
    snapshot_files.save(run.folder, Snapshot(0, "a", 3, {"old": np.eye(2)}))
    snapshot_files.save(run.folder, Snapshot(0, "b", 3, {"old": np.eye(2)}))
    (run.folder / "snapshots").rename(run.folder / "pictures")
    again = RunFolder(run.folder)
    again.append([record(1), record(2)])
    assert read_records(run.folder) == [record(1), record(2)]
    snapshot_files.save(again.folder, Snapshot(0, "b", 3, {"new": np.eye(2)}))
    first, second = read_snapshots(run.folder)
    assert (list(first.arrays), list(second.arrays)) == (["old"], ["new"])


CHAINS = [(arm, seed) for seed in (0, 1) for arm in ("one", "two")]


def rows_of(arm, seed):
    return [
        Record(seed, arm, 0, step, where, "loss", step + seed / 10)
        for step in range(3)
        for where in ("validation", "test")
    ] + [Record(seed, arm, 0, 2, "train", "seconds", 9.0)]


def snapshot_of(arm, seed):
    return Snapshot(seed, arm, 3, {"mask k": np.arange(9) % 2 == 0})


def carry_out(folder, order=CHAINS, finished=CHAINS):
    """A command: chains in an order, whatever there was before."""
    run = RunFolder(folder)
    with run.held(fail):
        for arm, seed in order:
            with run.chain(arm, seed) as chain:
                chain.append(rows_of(arm, seed)[:4])
                chain.append(rows_of(arm, seed))
                chain.save(snapshot_of(arm, seed))
        run.assemble(finished)
        run.finish()
    return run


def fail():
    raise AssertionError("nobody else holds it")


@pytest.fixture
def whole(tmp_path):
    """A run's folder, and its files' contents."""
    run = carry_out(tmp_path / "runs" / "x")
    return run.folder, contents(run.folder)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith((".", "damaged-"))
    }


def said(caplog):
    return [record.getMessage() for record in caplog.records]


def test_rows_are_in_the_order_of_the_plan(whole, tmp_path, caplog):
    folder, before = whole
    rows = [row for chain in CHAINS for row in rows_of(*chain)]
    assert read_records(folder) == rows
    assert carry_out(folder, CHAINS[::-1]) and contents(folder) == before
    other = carry_out(tmp_path / "runs" / "y", CHAINS[::-1]).folder
    assert contents(other) == before
    assert not said(caplog)
    assert not (folder / ".chains").exists()


def lines_changed(change):
    def damage(path):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(change(lines)))

    return damage


def edited(lines):
    return [line.replace("2.1", "0.1") for line in lines]


ROWS_DAMAGED = {
    "edited": lines_changed(edited),
    "deleted": lines_changed(lambda lines: lines[:3] + lines[5:]),
    "twice": lines_changed(lambda lines: lines[:6] + lines[3:]),
    "of another arm": lines_changed(lambda lines: [*lines, lines[1][2:]]),
    "garbage": lines_changed(lambda lines: [*lines, "garbage\n"]),
    "no number": lines_changed(
        lambda lines: [line.replace("0,0,", "0,x,") for line in lines]
    ),
    "NUL": lambda path: path.write_bytes(path.read_bytes() + bytes(4096)),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 9),
    "no UTF-8": lambda path: path.write_bytes(
        path.read_bytes().replace(b"one", b"\xff")
    ),
    "long": lambda path: path.write_bytes(b"x" * 200_000),
    "folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("kind", ROWS_DAMAGED)
def test_rows_are_what_the_chains_give_whatever_the_file_was(
    whole, caplog, kind
):
    folder, before = whole
    path = folder / "metrics.csv"
    ROWS_DAMAGED[kind](path)
    damaged = path.is_file() and path.read_bytes()
    carry_out(folder, CHAINS[::-1])
    assert contents(folder) == before
    [line] = said(caplog)
    assert re.search(r"x/metrics.csv is set aside as damaged-.*expected", line)
    assert "\n" not in line and "\0" not in line
    [aside] = folder.glob("damaged-*")
    # Perhaps with what was measured since.
    assert aside.is_dir() or aside.read_bytes().startswith(damaged)


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0], *lines[:0:-1]],
        lambda lines: [line.replace(",9.0\n", ",7.5\n") for line in lines],
        lambda lines: lines[:9],
        lambda lines: [*lines[:9], lines[9][:5]],
        lambda lines: [],
    ],
    ids=("order", "seconds", "begun", "cut off", "empty"),
)
def test_what_is_no_damage_is_not_said(whole, caplog, change):
    folder, before = whole
    lines_changed(change)(folder / "metrics.csv")
    carry_out(folder)
    assert contents(folder) == before
    assert not said(caplog)
    assert not list(folder.glob("damaged-*"))


def test_a_file_that_shrinks_meanwhile_is_not_filled_with_nothing(tmp_path):
    run = RunFolder(tmp_path)
    run.append([record(1), record(2)])
    path = tmp_path / "metrics.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    run.append([record(3)])
    assert read_records(tmp_path) == [record(1), record(3)]


@pytest.mark.parametrize("name", ["one, seed 0, round 3.npz"])
@pytest.mark.parametrize("kind", ["cut", "flipped", "other", "text", "folder"])
def test_snapshots_are_what_the_chains_give(whole, caplog, name, kind):
    folder, before = whole
    path = folder / "snapshots" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "other":
        np.savez_compressed(path, **{"mask k": np.arange(9) % 2 == 1})
    else:
        path.write_bytes(
            {"cut": data[:50], "flipped": data, "text": b"text"}[kind]
        )
    carry_out(folder)
    assert contents(folder) == before
    [line] = said(caplog)
    assert re.search(r"round 3.npz is set aside as damaged-.*expected", line)


def test_arrays_packed_in_another_way_are_the_same(whole, caplog):
    folder, before = whole
    path = folder / "snapshots" / "one, seed 0, round 3.npz"
    np.savez(path, **snapshot_of("one", 0).arrays)
    carry_out(folder)
    assert contents(folder) == before
    assert not said(caplog)


@pytest.mark.parametrize("place", ["snapshots", "pictures"])
@pytest.mark.parametrize("name", ["stray.npz", "zzz, seed 0, round 3.npz"])
def test_a_stray_file_is_set_aside(whole, caplog, place, name):
    folder, before = whole
    (folder / place).mkdir(exist_ok=True)
    (folder / place / name).write_bytes(b"of nobody")
    assert len(read_snapshots(folder)) == 4  # before the command, too
    caplog.clear()
    carry_out(folder)
    assert contents(folder) == before
    [line] = said(caplog)
    assert f"{place}/{name} is set aside as damaged-" in line


@pytest.mark.parametrize(
    "name",
    [
        *("config.gin", "plan.json", "env.json", "summary.csv", "report.html"),
        *("DONE", ".lock", ".held", "figures/a.svg"),
        *("snapshots", "figures", "workers"),
    ],
)
def test_what_is_a_folder_or_should_be_one(whole, caplog, name):
    folder, before = whole
    path = folder / name
    (folder / "figures").mkdir()
    if path.is_dir():
        [*map(type(path).unlink, path.iterdir())]
        path.rmdir()
        path.write_text("a file")
    elif name == "workers":
        path.write_text("a file")
    else:
        path.unlink(missing_ok=True)
        path.mkdir()
    carry_out(folder)
    assert contents(folder) == before
    [line] = said(caplog)
    assert f"{name} is set aside as damaged-" in line


@pytest.mark.parametrize("name", ["env.json", "DONE"])
@pytest.mark.parametrize(
    "text", [b"garbage", b"\xff", b"[1]", b"[" * 100_000, bytes(99)]
)
def test_json_of_garbage_is_set_aside(whole, caplog, name, text):
    folder, before = whole
    (folder / name).write_bytes(text)
    carry_out(folder)
    assert contents(folder) == before
    [line] = said(caplog)
    assert f"{name} is set aside as damaged-" in line


def test_a_seal_says_what_was_changed(whole):
    folder, _ = whole
    assert seal.changed(folder) == []
    (folder / "metrics.csv").write_text("changed")
    [snapshot, *_] = sorted((folder / "snapshots").iterdir())
    snapshot.write_text("changed")
    assert seal.changed(folder) == [
        "metrics.csv",
        f"snapshots/{snapshot.name}",
    ]
    (folder / "metrics.csv").unlink()  # a copy may lack it
    snapshot.unlink()
    assert seal.changed(folder) == []
    (folder / "DONE").write_text("")  # of an earlier version
    assert seal.changed(folder) == []
    (folder / "DONE").write_text(json.dumps({"sha256": 3}))
    assert seal.changed(folder) == ["DONE"]


def hold(folder, ready, leave):
    with RunFolder(folder).held(fail):
        ready.set()
        leave.wait()


def test_one_command_at_a_time_works_on_a_run(tmp_path):
    context = multiprocessing.get_context("fork")
    ready, leave = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, ready, leave))
    other.start()
    ready.wait()
    waited = []

    def waiting():
        waited.append(True)
        leave.set()

    with RunFolder(tmp_path).held(waiting):
        assert waited == [True]
    other.join()


def test_what_a_kill_left_is_taken_away(whole):
    folder, before = whole
    (folder / ".chains").mkdir()
    (folder / ".chains" / "one, seed 0.csv").write_text("half a chain")
    (folder / f".layers.csv-{32 * 'a'}").write_text("half")
    (folder / "snapshots" / f".x.npz-{32 * 'b'}").write_text("half")
    for path in folder.rglob(".*-*"):
        os.utime(path, (0, 0))
    carry_out(folder)
    assert contents(folder) == before
    assert not list(folder.rglob(".*-*")) and not (folder / ".chains").exists()
