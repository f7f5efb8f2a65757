import numpy as np
import pytest

from tf_lottery.foundation.files import StorageError
from tf_lottery.foundation.records import Record, Snapshot
from tf_lottery.foundation.run_folder import (
    RunFolder,
    read_records,
    read_snapshots,
)


def record(step, value=0.1, arm="DWR, init"):
    return Record(0, arm, 0, step, "test", "loss", value)


def test_rows_come_back_bit_for_bit(tmp_path):
    run = RunFolder(tmp_path / "run")
    rows = [record(i, np.random.default_rng(i).normal()) for i in range(9)]
    run.append(rows[:5])
    run.append(rows)
    assert read_records(tmp_path / "run") == rows


def test_another_value_of_the_same_row_is_an_error(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.append([record(1, 0.5), record(2, 0.25)])
    with pytest.raises(StorageError, match=r"step 2 to be 0.25.*received 0.75"):
        run.append([record(1, 0.5), record(2, 0.75)])
    assert len(read_records(tmp_path / "run")) == 2
    # How long it took is no result.
    seconds = record(2, 9.0)._replace(where="train", metric="seconds")
    run.append([seconds])
    run.append([seconds._replace(value=8.0)])


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
        run.save_snapshot(Snapshot(seed, "a/b, 1", round, arrays))
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
    run.save_snapshot(Snapshot(0, "a", 3, {"old": np.eye(2)}))
    run.save_snapshot(Snapshot(0, "b", 3, {"old": np.eye(2)}))
    (run.folder / "snapshots").rename(run.folder / "pictures")
    again = RunFolder(run.folder)
    again.append([record(1), record(2)])
    assert read_records(run.folder) == [record(1), record(2)]
    again.save_snapshot(Snapshot(0, "b", 3, {"new": np.eye(2)}))
    first, second = read_snapshots(run.folder)
    assert (list(first.arrays), list(second.arrays)) == (["old"], ["new"])
