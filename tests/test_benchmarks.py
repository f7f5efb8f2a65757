import math
import sys

import numpy as np
import pytest

from benchmarks import pruning, report, steps, workers


def test_the_benchmark_prints_its_ratios(monkeypatch, capsys, data_dir):
    monkeypatch.setattr(steps, "COUNT", 3)
    monkeypatch.setattr(
        sys, "argv", ["steps", "--rounds=1", f"--data_dir={data_dir}"]
    )
    steps.main()
    out = capsys.readouterr().out
    for name, *_ in steps.RATIOS:
        [line] = [row for row in out.splitlines() if row.startswith(name)]
        assert float(line.split(": ")[1]) > 0


def numbers(out):
    lines = [line.split(": ") for line in out.splitlines()]
    return {name: float(value.replace(",", "")) for name, value in lines}


@pytest.mark.parametrize("installed", [True, False])
def test_the_benchmark_of_pruning(monkeypatch, capsys, installed):
    arguments = ["--weights=4000", "--rounds=1"]
    monkeypatch.setattr(sys, "argv", ["pruning", *arguments])
    # Processes of their own are tested once, below.
    monkeypatch.setattr(pruning, "_peak", lambda name, shapes: 8000)
    there = pruning.has_torch() and installed
    monkeypatch.setattr(pruning, "has_torch", lambda: there)
    pruning.main()
    out, err = capsys.readouterr()
    found = numbers(out)
    assert found["weights"] == 4000
    assert found["numpy.argsort over prune"] > 0
    assert found["prune, peak memory over the weights'"] == 0.5
    assert ("torch global_unstructured over prune" in found) == there
    assert ("PyTorch is not installed" in err) != there


def test_what_the_benchmark_of_pruning_compares():
    shapes = pruning.resnet50()
    assert len(shapes) == 53
    assert sum(math.prod(shape) for shape in shapes.values()) == 23_454_912
    arrays = pruning.weights({"a": (40, 30), "b": (3, 3, 8, 10)})
    masked = pruning.ours(arrays)()
    total = sum(w.size for w in arrays.values())
    kept = sum((w != 0).sum() for w in masked.values())
    assert kept == total - int(pruning.RATE * total)
    if not pruning.has_torch():
        pytest.skip("PyTorch is not installed")
    theirs = pruning.torch(arrays)()
    for path, w in masked.items():
        assert np.array_equal(w, theirs[path])


@pytest.mark.slow  # starts a process
def test_the_memory_of_the_benchmark_of_pruning():
    assert pruning._peak("prune", {"a": (2000, 1000)}) >= 0


def test_the_benchmark_of_reports(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["report", "--folders=1", "--repeats=1"])
    report.main()
    found = numbers(capsys.readouterr().out)
    assert found["report of 1 folders, seconds"] > 0
    assert found["report over import tensorflow"] > 0


@pytest.mark.slow  # starts TensorFlow in a process
def test_the_benchmark_of_workers(monkeypatch, capsys, data_dir):
    arguments = ["--steps=20", "--workers=2", "--data=mnist_5k"]
    monkeypatch.setattr(
        sys, "argv", ["workers", *arguments, f"--data_dir={data_dir}"]
    )
    run, asked = workers._run, []

    def once(count, folder, options):
        # What two workers do is tested with the main command.
        asked.append(count)
        return run(count, folder, options) if count == 1 else 8

    monkeypatch.setattr(workers, "_run", once)
    workers.main()
    found = numbers(capsys.readouterr().out)
    assert asked == [1, 2]
    assert found["2 workers over one"] > 0
    assert found["workers 1, trainings an hour"] > 0
