import sys

from benchmarks import steps


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
