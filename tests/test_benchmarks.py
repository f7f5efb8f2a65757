import sys

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


def test_the_benchmark_of_pruning(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["pruning", "--weights=4000"])
    pruning.main()
    found = numbers(capsys.readouterr().out)
    assert found["weights"] == 4000
    assert found["numpy.argsort over prune"] > 0
    assert 0 < found["peak memory over the weights'"] < 100


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
