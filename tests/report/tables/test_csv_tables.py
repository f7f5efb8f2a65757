"""The small tables of a run: overlap, layers and densities of its masks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reporting import alike, line, write, write_metrics

from tf_lottery.foundation import snapshot_files
from tf_lottery.foundation.records import Record, Snapshot
from tf_lottery.foundation.run_folder import RunFolder
from tf_lottery.report.tables import (
    csv_tables,
    density,
    layers_table,
    overlap,
    run_tables,
    survivors_table,
)
from tf_lottery.report.tables.summary import Line
from tf_lottery.rules import weight_plane


def mask(*kept, size=8):
    values = np.zeros(size, bool)
    values[list(kept)] = True
    return values


def snapshot(arm, seed, round=3, **masks):
    arrays = {f"mask {path}": m for path, m in masks.items()}
    counts = np.zeros((weight_plane.BINS, weight_plane.BINS), int)
    counts[1, 2] = sum(int(m.sum()) for m in masks.values())
    arrays["density kept"] = counts
    arrays["density pruned"] = 2 * counts
    return Snapshot(seed, arm, round, arrays)


def test_the_overlap_by_hand():
    one = {"k": mask(0, 1, 2, 3), "l": mask(0)}
    two = {"k": mask(2, 3, 4, 5), "l": mask(0)}
    assert overlap.jaccard(one, two) == 3 / 7
    # Two of four expected in common in the first, an eighth in the second.
    assert overlap.chance(one, two) == pytest.approx(2.125 / (10 - 2.125))
    assert overlap.jaccard(one, one) == 1
    nothing = {"k": mask()}
    assert overlap.jaccard(nothing, nothing) == 1
    assert overlap.chance(nothing, nothing) == 1


@given(st.integers(100, 900), st.integers(100, 900), st.integers(0, 99))
def test_independent_masks_overlap_as_by_chance(a, b, seed):
    generator = np.random.default_rng(seed)

    def draw(kept):
        return {"k": generator.permutation(1000) < kept}

    pairs = [(draw(a), draw(b)) for _ in range(20)]
    mean = np.mean([overlap.jaccard(*pair) for pair in pairs])
    # Five standard errors of the mean of twenty.
    assert mean == pytest.approx(overlap.chance(*pairs[0]), abs=0.025)


def test_arms_are_compared_within_a_seed_and_seeds_within_an_arm():
    snapshots = [
        snapshot("one", 0, k=mask(0, 1)),
        snapshot("one", 1, k=mask(2, 3)),
        snapshot("two", 0, k=mask(0, 2)),
        snapshot("two", 1, k=mask(2, 3)),
        snapshot("same as one", 0, k=mask(0, 1)),
        snapshot("same as one", 1, k=mask(2, 3)),
    ]
    arms = ("one", "two", "same as one", "not run")
    found = list(overlap.of_round(snapshots, arms))
    [of_arms] = [o for o in found if o.between == "arms"]
    assert of_arms[:6] == ("arms", "one", "two", 3, "all", 2)
    assert of_arms.jaccard == pytest.approx((1 / 3 + 1) / 2, abs=1e-6)
    assert (of_arms.lowest, of_arms.highest) == (0.333333, 1.0)
    of_seeds = [o for o in found if o.between == "seeds"]
    assert [(o.arm, o.layer, o.pairs) for o in of_seeds] == [
        ("one", "k", 1),
        ("one", "all", 1),
        ("two", "k", 1),
        ("two", "all", 1),
    ]
    assert of_seeds[0].jaccard == 0


def test_pictures_without_masks_have_no_overlap():
    arrays = {"histogram k": np.ones(3)}
    assert not list(overlap.of_round([Snapshot(0, "a", 0, arrays)], ("a",)))
    assert not list(density.bins([Snapshot(0, "a", 0, arrays)]))


def test_layers_have_a_row_each():
    records = [
        Record(0, "a", 0, 0, "all", "remaining", 1.0),
        Record(0, "a", 3, 0, "k", "remaining", 0.5),
        Record(0, "a", 3, 0, "k", "sign agreement", 0.75),
        Record(0, "a", 3, 0, "test", "accuracy", 0.1),
    ]
    first, second = layers_table.collect(records)
    assert first[:5] == (0, "a", 0, "all", 1.0)
    assert np.isnan(first.sign_agreement)
    assert second == (0, "a", 3, "k", 0.5, 0.75)


def test_survivors_have_a_row_each_and_a_table_near_a_fifth():
    records = [
        Record(seed, "a", number, 0, "k", metric, value + seed / 10)
        for seed in (0, 1)
        for number, metric, value in (
            (0, "near zero", 0.4),
            (3, "near zero", 0.3),
            (7, "near zero", 0.2),
            (7, "moved", 1.5),
        )
    ]
    rows = survivors_table.collect([*records, Record(*records[0][:5], "x", 1)])
    assert [r.near_zero for r in rows[:3]] == [0.4, 0.3, 0.2]
    assert rows[2].moved == 1.5 and np.isnan(rows[1].moved)
    lines = [line(0, "a", n, remaining=0.8**n) for n in (0, 3, 7)]
    [table] = survivors_table.tables(rows, lines)
    assert "of a at 21 %" in table.title
    cells = ("k", "2", "25.0%", "45.0%", "1.55", "–", "–", "–")
    assert table.rows == [cells]
    assert survivors_table.tables([], lines) == []


@pytest.fixture
def folder(tmp_path):
    """Two arms, two seeds, masks in rounds 3 and 7."""
    lines = [
        line(seed, arm, number)
        for seed in (0, 1)
        for arm in ("one", "two")
        for number in (0, 3, 7)
    ]
    folder = write(tmp_path / "run", lines)
    write_metrics(folder, lines)
    run = RunFolder(folder)
    for number in (3, 7):
        for seed in (0, 1):
            snapshot_files.save(
                run.folder, snapshot("two", seed, number, k=mask(seed, 5))
            )
            snapshot_files.save(
                run.folder, snapshot("one", seed, number, k=mask(seed, 6))
            )
    return folder


def test_tables_are_measured_written_and_read_again(folder):
    found = run_tables.measure(folder, ["one", "two"])
    assert [x.round for x in found.lines[:3]] == [0, 3, 7]
    assert {(o.between, o.round) for o in found.overlaps} == {
        (between, number) for between in ("arms", "seeds") for number in (3, 7)
    }
    # Round 3, the closest to a half, of the first seed; "two" shows the same.
    assert found.bins == [
        ("one", 0, 3, "kept", 1, 2, 2),
        ("one", 0, 3, "pruned", 1, 2, 4),
    ]
    run_tables.write(folder, found)
    assert alike(run_tables.read(folder, ["one", "two"]), found)
    without = run_tables.measure(folder, ["one", "two"], masks=False)
    assert without.lines == found.lines or alike(without.lines, found.lines)
    assert not without.overlaps


def test_densities_are_of_the_round_with_about_half_of_the_first_arm():
    ladder = [line(0, "a", n, remaining=0.8**n) for n in range(6)]
    off = [line(0, "b", n, remaining=0.49) for n in range(1, 6)]
    assert run_tables.density_round([*ladder, *off]) == 3
    assert run_tables.density_round(ladder[:1]) == 0


@pytest.mark.parametrize(
    "name, old, new, message",
    [
        ("overlap.csv", "one", "three", "one of the arms"),
        ("overlap.csv", ",3,all", ",5,all", "a round of"),
        ("density.csv", ",1,2,", ",1,99,", "a bin of the plane"),
        ("density.csv", "kept", "spared", "a bin of the plane"),
        ("layers.csv", "0,one,0", "0,one,zero", "line 2"),
    ],
)
def test_damaged_tables_are_said(folder, name, old, new, message):
    run_tables.write(folder, run_tables.measure(folder, ["one", "two"]))
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    with pytest.raises(csv_tables.DamagedFile, match=f"{message}.*"):
        run_tables.read(folder, ["one", "two"])


def test_rows_come_back_bit_for_bit(tmp_path):
    there = [
        line(0, 'a, "b"', 3, np.pi / 4, train_accuracy=float("nan")),
        line(7, "ü", 0, 1 / 3),
    ]
    path = tmp_path / "summary.csv"
    path.write_text(csv_tables.to_csv(Line, there))
    assert repr(csv_tables.from_csv(Line, path)) == repr(there)
