import argparse
import io
import json
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import types
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import __main__ as everything
from benchmarks import (
    checkout,
    checkouts,
    measuring,
    nets,
    pruning,
    report,
    shares,
    start,
    steps,
    storing,
    workers,
)
from benchmarks import limit as limits
from benchmarks.nets import NETS
from tf_lottery.masking.kernels import masked_layers
from tf_lottery.workloads.images.image_sets import DataError, ImageArrays
from tf_lottery.workloads.images.opened_images import resident
from tf_lottery.workloads.task import Shapes


@pytest.mark.parametrize("name", ["LeNet", "supermask"])
def test_the_benchmark_of_steps(monkeypatch, capsys, tmp_path, name):
    # Images that are not to be had: noise of their shape.
    monkeypatch.setattr(steps, "open_source", not_to_be_had)
    file = tmp_path / "values.json"
    arguments = ["--rounds=1", "--steps=3", f"--json={file}", "--nets", name]
    monkeypatch.setattr(sys, "argv", ["steps", *arguments])
    steps.main()
    found = json.loads(file.read_text())
    *lines, head, row = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [*found]
    assert "our loop" in head
    assert row.split()[0] == name
    ours = found[f"{name}, our loop, ms"]
    for peer in ("model.fit", "limit"):
        ratio = found[f"{name}, {peer}, ms"] / ours
        assert found[f"{name}, our loop over {peer}"] == ratio > 0
    period = NETS[name].recipe.eval_every * ours
    both = found[f"{name}, validation, ms"] + found[f"{name}, test, ms"]
    share = found[f"{name}, share of evaluation"]
    assert share == pytest.approx(both / (both + period))


def not_to_be_had(images, strategy, data_dir):
    raise DataError("not here")


@pytest.mark.parametrize("name", ["LeNet", "supermask", "Conv2 bf16"])
def test_the_limit_updates_every_kernel_of_the_network(name):
    recipe = NETS[name].recipe
    bare = limits.bare_layers(recipe, Shapes((32, 32, 3), 10))
    masked = nets.new_model(recipe, Shapes((32, 32, 3), 10))
    assert [tuple(layer.kernel.shape) for layer in bare if layer.weights] == [
        tuple(layer.raw_kernel.shape) for layer in masked_layers(masked)
    ]


def test_the_limit_does_its_work(source):
    limits.limit(NETS["LeNet"].recipe, source, 2)()


def test_ratios_of_half_precision_are_to_fit_in_float32():
    ms = {
        f"{name}, {what}, ms": value
        for name, ours in (("Conv2 f32", 40.0), ("Conv2 bf16", 20.0))
        for what, value in {
            "our loop": ours,
            "no masks": ours,
            "model.fit": 2 * ours,
            "validation": 1.0,
            "test": 2.0,
        }.items()
    }
    found = steps.ratios("Conv2 bf16", ms)
    assert found["Conv2 bf16, our loop over model.fit"] == 2
    assert found["Conv2 bf16, our loop over model.fit in f32"] == 4
    assert "Conv2 bf16, our loop over PyTorch" not in found
    found = steps.ratios("Conv2 f32", ms)
    assert "Conv2 f32, our loop over model.fit in f32" not in found


@pytest.mark.parametrize("name", ["LeNet", "supermask", "Conv2 bf16"])
def test_the_peer_in_torch_has_the_same_network(name):
    torch_steps = pytest.importorskip("benchmarks.torch_steps")
    shape = (32, 32, 3) if "Conv" in name else (28, 28, 1)
    noise = np.random.default_rng(0).integers(0, 256, (400, *shape), np.uint8)
    labels = np.zeros(400, np.int32)
    sizes = {"train": 300, "validation": 50, "test": 50}
    source = resident(
        ImageArrays(noise, labels, sizes, 10), tf.distribute.get_strategy()
    )
    recipe = NETS[name].recipe
    model = nets.new_model(recipe, Shapes(shape, 10))
    net = torch_steps.Net(model.layers, recipe.kernel_mask(seed=0))
    assert sum(w.numel() for w in net.parameters() if w.requires_grad) == sum(
        math.prod(variable.shape) for variable in model.trainable_variables
    )
    torch_steps.torch_loop(recipe, source, 1)()


def test_the_benchmark_of_the_store(monkeypatch, capsys):
    monkeypatch.setattr(storing, "SIZES", {"tiny": 100})
    monkeypatch.setattr(sys, "argv", ["storing", "--rounds=1"])
    storing.main()
    found = numbers(capsys.readouterr().out)
    assert found["tiny, write over numpy.savez"] > 0
    assert found["tiny, read over numpy.load"] > 0


@pytest.mark.slow  # starts the main command twice
def test_the_benchmark_of_the_start(monkeypatch, capsys, data_dir):
    arguments = ["--rounds=1", "--data=mnist_5k", f"--data_dir={data_dir}"]
    monkeypatch.setattr(sys, "argv", ["start", *arguments])
    start.main()
    found = numbers(capsys.readouterr().out)
    assert found["first step, images decoded, seconds"] > 1
    assert found["first step, images decoded, peak MiB"] > 100
    assert found["import tensorflow, seconds"] > 0


def test_all_benchmarks_in_one_run(monkeypatch, capfd, tmp_path):
    file = tmp_path / "all.json"
    parts = {"storing": everything.Part(0.1, ["--rounds=1"])}
    monkeypatch.setattr(everything, "PARTS", parts)
    monkeypatch.setattr(sys, "argv", ["benchmarks", f"--json={file}"])
    assert everything.main() == 0
    found = json.loads(file.read_text())
    assert found["machine"]["cores"] >= 1
    assert found["storing"]["LeNet, read, ms"] > 0
    assert "missing" not in found
    assert "LeNet, read, ms: " in capfd.readouterr().out


def test_the_whole_run_says_beforehand_how_long_it_takes(monkeypatch, capfd):
    parts = {"storing": 0.2, "steps": 6, "start": 1.3}
    parts = {name: everything.Part(m) for name, m in parts.items()}
    monkeypatch.setattr(everything, "PARTS", parts)
    monkeypatch.setattr(everything, "run", lambda *_: 0)
    monkeypatch.setattr(everything, "has_torch", lambda: False)
    monkeypatch.setattr(sys, "argv", ["benchmarks"])
    everything.main()
    first, second, *_ = capfd.readouterr().out.splitlines()
    assert first == (
        "Takes about 8 min on two cores of a server: "
        "storing 0.2, steps 6, start 1.3."
    )
    assert second == "== storing"
    monkeypatch.setattr(everything, "has_torch", lambda: True)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--only", "start"])
    everything.main()
    assert capfd.readouterr().out.splitlines()[0] == (
        "Takes about 2 min on two cores of a server, and more with PyTorch: "
        "start 1.3."
    )


FAKE = """
import subprocess, sys, tempfile, time
from benchmarks.measuring import measure_each, parser

def second():
    tempfile.mkdtemp()
    {second}

options = parser("Measures nothing.").parse_args()
{first}
measure_each(
    {{"one": lambda: {{"one, ms": 1.5}}, "two": second, "three": dict}},
    options.json,
)
"""
FOREVER = 'subprocess.run(["sleep", "1000"])'


@pytest.fixture
def fake(tmp_path):
    """Gives what starts the benchmarks with a part that measures nothing."""
    package = tmp_path / "benchmarks"
    package.mkdir()
    for module in (everything, measuring):
        shutil.copy(module.__file__, package)
    shutil.copy(
        pathlib.Path(measuring.__file__).with_name("__init__.py"), package
    )
    (tmp_path / "temporary").mkdir()

    def begin(module, *words, first="", second=FOREVER):
        text = FAKE.format(first=first, second=second)
        (package / "storing.py").write_text(text)
        (package / "masking.py").write_text(
            FAKE.format(first="", second="return {}")
        )
        return subprocess.Popen(
            [sys.executable, "-m", module, *words],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(tmp_path),
                "TMPDIR": str(tmp_path / "temporary"),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


def interrupted(process, when):
    """Returns what a process printed that was interrupted at some time."""
    until = time.monotonic() + 60
    while not when():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    # Not while the file is being written.
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    # It ends when all that inherited its output have ended.
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    return out, err


def test_ctrl_c_keeps_what_was_measured(fake, tmp_path):
    file, temporary = tmp_path / "all.json", tmp_path / "temporary"
    words = ["--only", "storing", "masking", "--json=all.json"]
    process = fake("benchmarks", *words)
    out, err = interrupted(
        process,
        lambda: (
            file.exists()
            and json.loads(file.read_text()).get("storing")
            and len([*temporary.rglob("*/tmp*")]) == 1
        ),
    )
    assert "one, ms: 1.5" in out
    assert err == (
        "all.json has storing; missing: storing (two), storing (three), "
        "masking.\n"
    )
    found = json.loads(file.read_text())
    assert found["storing"] == {"one, ms": 1.5}
    assert found["missing"] == ["storing (two)", "storing (three)", "masking"]
    assert not [*temporary.iterdir()]


def test_ctrl_c_of_a_part_alone(fake, tmp_path):
    file, temporary = tmp_path / "part.json", tmp_path / "temporary"
    process = fake("benchmarks.storing", "--json=part.json")
    _, err = interrupted(process, lambda: any(temporary.iterdir()))
    assert err == "This part has one; missing: two, three.\n"
    assert json.loads(file.read_text()) == {
        "one, ms": 1.5,
        "missing": ["two", "three"],
    }


def test_ctrl_c_while_a_part_imports(fake, tmp_path):
    first = f"tempfile.mkdtemp()\n{FOREVER}"
    process = fake("benchmarks.storing", first=first)
    _, err = interrupted(process, lambda: any(tmp_path.glob("temporary/*")))
    assert err == ""


def test_a_part_that_fails_loses_nothing_and_stops_no_other(fake, tmp_path):
    words = ["--only", "storing", "masking", "--json=all.json"]
    process = fake("benchmarks", *words, second="sys.exit('broken')")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == (
        "This part has one; missing: two, three.\n"
        "broken\n"
        "all.json has storing, masking; missing: storing (two), "
        "storing (three).\n"
        "failed: storing\n"
    )
    found = json.loads((tmp_path / "all.json").read_text())
    assert found["storing"] == {"one, ms": 1.5}
    assert found["missing"] == ["storing (two)", "storing (three)"]
    assert found["masking"] == {"one, ms": 1.5}


def test_a_file_is_there_after_each_network(tmp_path, capsys):
    file, seen = tmp_path / "values.json", []

    def second():
        seen.append(json.loads(file.read_text()))
        seen.append(capsys.readouterr().out)
        return {"two, ms": 2345.6}

    measures = {"one": lambda: {"one, ms": 0.12345}, "two": second}
    values = measuring.measure_each(measures, file)
    assert seen == [
        {"one, ms": 0.12345, "missing": ["two"]},
        "one, ms: 0.123\n",
    ]
    assert capsys.readouterr().out == "two, ms: 2,346\n"
    assert values == json.loads(file.read_text())
    assert [*values] == ["one, ms", "two, ms"]


def test_a_file_is_never_half_written(tmp_path, monkeypatch):
    file = tmp_path / "values.json"
    measuring.write({"a": 1.0}, [], file)

    def full(path, text):
        path.open("w").write(text[:3])
        raise OSError("no space left")

    monkeypatch.setattr(pathlib.Path, "write_text", full)
    with pytest.raises(OSError, match="no space"):
        measuring.write({"a": 2.0}, [], file)
    assert json.loads(file.read_text()) == {"a": 1.0}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_on_a_terminal_is_one_line(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "10")
    progress = measuring._Progress()
    progress("first")
    progress("a line that is too long")
    progress()
    assert sys.stderr.getvalue() == "\r\x1b[Kfirst\r\x1b[Ka line th\r\x1b[K"


def test_progress_in_a_log_is_a_line_now_and_then(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    clock = iter(range(100))  # a second passes with every look at it
    monkeypatch.setattr(measuring.time, "monotonic", lambda: next(clock))
    progress = measuring._Progress()
    for number in range(60):
        progress(f"{number}")
        progress()
    assert sys.stderr.getvalue().splitlines() == ["19", "39", "59"]


def test_progress_says_whose_turn_it_is_and_the_median_so_far(monkeypatch):
    lines = []
    monkeypatch.setattr(measuring, "progress", lines.append)
    took = iter([1.0, 5.0, 2.0])
    monkeypatch.setattr(measuring, "seconds", lambda do: next(took))
    found = measuring.median_seconds("LeNet", {"fit": lambda: None}, 3)
    assert found == {"fit": 2}
    assert lines == [
        "LeNet, fit: first call, not counted",
        "LeNet, fit: turn 1 of 3",
        "LeNet, fit: turn 2 of 3, median so far 1 s",
        "LeNet, fit: turn 3 of 3, median so far 3 s",
    ]


LENET_AND_CONV2 = ["LeNet", "Conv2 f32", "Conv2 bf16"]


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16", "bf16"])
def test_bfloat16_is_measured_by_processors_with_units(
    monkeypatch, capsys, tmp_path, flag
):
    processor(monkeypatch, tmp_path, f"flags : avx2 {flag} sse")
    assert nets.measurable(LENET_AND_CONV2) == LENET_AND_CONV2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("flags", ["flags : avx512f svebf16", None])
def test_bfloat16_is_skipped_without_units(
    monkeypatch, capsys, tmp_path, flags
):
    processor(monkeypatch, tmp_path, flags)
    assert nets.measurable(LENET_AND_CONV2) == ["LeNet", "Conv2 f32"]
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("Skipped Conv2 bf16: ")
    assert ("cannot be known" if flags is None else "no units") in line
    assert nets.measurable(["LeNet"]) == ["LeNet"]
    assert capsys.readouterr().out == ""
    device = ["GPU:0"]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: device)
    assert nets.measurable(LENET_AND_CONV2) == LENET_AND_CONV2


@pytest.mark.parametrize("part", [steps, shares])
def test_parts_have_no_numbers_of_bfloat16_without_units(
    monkeypatch, capsys, tmp_path, part
):
    processor(monkeypatch, tmp_path, "flags : avx512f")
    file = tmp_path / "values.json"
    arguments = ["--nets", "Conv2 bf16", f"--json={file}"]
    monkeypatch.setattr(sys, "argv", ["a part", *arguments])
    part.main()
    assert json.loads(file.read_text()) == {}
    assert "Skipped Conv2 bf16" in capsys.readouterr().out


def processor(monkeypatch, tmp_path, flags):
    file = tmp_path / "cpuinfo"
    if flags is not None:
        file.write_text(f"model name : some\n{flags}\n")
    monkeypatch.setattr(nets, "CPUINFO", file)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: [])


WORKER = """
import pathlib, sys
assert sys.argv[1:] == ["LeNet", "5", ""]
name = pathlib.Path.cwd().name
times = iter([9, 1, 2, 4] if name == "other" else [9, 1, 1, 1])
for _ in sys.stdin:
    with open("{log}", "a") as log:
        print(name, file=log)
    print(next(times), flush=True)
"""


def test_two_checkouts_take_turns(monkeypatch, capsys, tmp_path):
    this, other = tmp_path / "this", tmp_path / "other"
    this.mkdir(), other.mkdir()
    script, log = tmp_path / "worker.py", tmp_path / "log"
    script.write_text(WORKER.format(log=log))
    monkeypatch.setattr(checkouts, "WORKER", script)
    monkeypatch.setattr(checkouts, "HERE", this)
    file = tmp_path / "values.json"
    arguments = [f"--other={other}", "--nets=LeNet", "--steps=5", "--rounds=3"]
    monkeypatch.setattr(
        sys, "argv", ["checkouts", *arguments, f"--json={file}"]
    )
    checkouts.main()
    # The first ones compile; then each is first in its turn.
    assert log.read_text().split() == [
        *("this", "other") * 2,
        *("other", "this"),
        *("this", "other"),
    ]
    found = json.loads(file.read_text())
    assert found == {
        "LeNet, this, ms": 1,
        "LeNet, other, ms": 2,
        "LeNet, other over this": 2,
        "LeNet, other over this, lowest": 1,
        "LeNet, other over this, median of turns": 2,
        "LeNet, other over this, highest": 4,
    }
    line = capsys.readouterr().out.splitlines()[0]
    assert line.endswith("each turn: 1.000 2.000 4.000")


def test_no_process_of_a_checkout_is_left(monkeypatch, tmp_path):
    script = tmp_path / "worker.py"
    script.write_text("import os, sys; input(); print(os.getpid(), flush=True)")
    monkeypatch.setattr(checkouts, "WORKER", script)
    with (
        pytest.raises(SystemExit),
        checkouts.worker(tmp_path, []) as do,
    ):
        pid = int(do())
        sys.exit(130)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@dataclass
class Old:
    """What version 0.1 has, as far as it is asked."""

    recipe: Any = None
    steps: int = 4
    images: Any = None
    name: str = "cifar10"
    eval_every: int = 100


@pytest.mark.parametrize(
    "data_dir, opened", [("", "mnist_5k"), ("here", "cifar10")]
)
def test_the_other_checkout_may_be_version_0_1(monkeypatch, data_dir, opened):
    ran = []

    class Programs:
        def __init__(self, recipe, source, strategy, seed):
            assert (recipe.images.name, source) == (opened, opened)
            assert recipe.eval_every == 4

        def run(self, step, count):
            ran.append((step, count))

    monkeypatch.setattr(
        checkout.tf_lottery.training, "Programs", Programs, raising=False
    )
    monkeypatch.setattr(checkout, "open_images", lambda images, _: images.name)
    old = types.SimpleNamespace(
        NETS={"Conv2 f32": Old(Old(images=Old()))},
    )
    monkeypatch.setattr(checkout, "nets", old)
    assert checkout.trainer("Conv2 f32", 0, data_dir)() >= 0
    assert ran == [(0, 4)]


def test_this_checkout_trains():
    assert checkout.trainer("LeNet", 3, "")() > 0


def test_a_checkout_that_fails_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(checkouts, "WORKER", tmp_path / "no_such_script.py")
    arguments = [f"--other={tmp_path}", "--nets=LeNet"]
    monkeypatch.setattr(sys, "argv", ["checkouts", *arguments])
    with pytest.raises(SystemExit, match="expected a time of"):
        checkouts.main()


@pytest.mark.slow  # starts TensorFlow in two processes
def test_a_checkout_against_itself(monkeypatch, capsys):
    arguments = [f"--other={checkouts.HERE}", "--nets=LeNet"]
    arguments += ["--rounds=1", "--steps=3"]
    monkeypatch.setattr(sys, "argv", ["checkouts", *arguments])
    checkouts.main()
    _, *lines = capsys.readouterr().out.splitlines()
    assert numbers("\n".join(lines))["LeNet, other over this"] > 0


def test_all_parts_are_modules_with_the_arguments_they_are_called_with():
    for part in everything.PARTS:
        path = pathlib.Path(everything.__file__).with_name(f"{part}.py")
        text = path.read_text()
        for word in everything.arguments(part, "there"):
            if word.startswith("--"):
                assert word.partition("=")[0] in text


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
    of = "4,000 weights, "
    assert found[f"{of}numpy.argsort over prune"] > 0
    assert found[f"{of}prune, peak memory over the weights'"] == 0.5
    assert (f"{of}torch global_unstructured over prune" in found) == there
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


def test_ctrl_c_does_not_come_to_who_measures_memory(monkeypatch):
    monkeypatch.setattr(pruning, "_growth", signal.pthread_sigmask)
    assert signal.SIGINT in pruning._peak(signal.SIG_BLOCK, [])
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert signal.SIGINT not in mask


@pytest.mark.slow  # starts a process
def test_the_memory_of_the_benchmark_of_pruning():
    assert pruning._peak("prune", {"a": (2000, 1000)}) >= 0


def test_the_benchmark_of_reports(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["report", "--folders=1", "--rounds=1"])
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


def test_ctrl_c_ends_what_the_benchmark_of_workers_runs(monkeypatch, tmp_path):
    text = """
import os, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(open("told", "w").close()))
with open("began", "w") as file:
    file.write(str(os.getpid()))
time.sleep(1000)
"""
    began, told = tmp_path / "began", tmp_path / "told"

    def progress(line):
        if began.exists():
            sys.exit(130)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        workers,
        "winning_tickets",
        lambda *_, **macros: [sys.executable, "-c", text],
    )
    monkeypatch.setattr(workers, "progress", progress)
    monkeypatch.setattr(workers, "PATIENCE", 1)
    options = argparse.Namespace(data_dir=None, data="mnist", steps=1)
    with pytest.raises(SystemExit):
        workers._run(1, str(tmp_path), options)
    assert told.exists()


def test_ctrl_c_ends_what_the_benchmark_of_the_start_runs(monkeypatch):
    pids = []

    def interrupted(pid, options):
        pids.append(pid)
        sys.exit(130)

    monkeypatch.setattr(start.os, "wait4", interrupted)
    with pytest.raises(SystemExit):
        start.run(["sleep", "1000"])
    with pytest.raises(ProcessLookupError):
        os.kill(*pids, 0)


# As traces of our loop have them: path, what it does, where it belongs.
OPERATIONS = [
    ("while/lenet_1/fc1_1/MatMul", "MatMul", "forward"),
    ("while/conv2_1/fc1_1/Relu", "_MklNativeFusedMatMul", "forward"),
    ("while/conv2_1/conv1_1/Relu", "_MklNativeFusedConv2D", "forward"),
    ("gradient_tape/while/lenet_1/fc2_1/MatMul/MatMul_1", "", "backward"),
    (
        "while/body/_1/gradient_tape/while/conv2_1/conv2_1/convolution/"
        "Conv2DBackpropFilter",
        "_MklNativeConv2DBackpropFilterWithBias",
        "backward",
    ),
    ("adam_2/AssignAddVariableOp_1", "", "update"),
    ("sgd_2/Sub", "", "update"),
    ("SelectV2_3", "", "update"),
    ("while/adam/truediv", "", "update"),
    ("while/lenet_1/fc1_1/kernel_mask_1/Sigmoid", "", "masks"),
    ("gradient_tape/while/lenet_1/fc1_1/kernel_mask_1/mul/Mul_1", "", "masks"),
    ("stateless_random_uniform/StatelessRandomUniformV2", "", "masks"),
    ("while/Gather_1", "", "images"),
    ("while/truediv", "", "images"),
    ("while/body/_1/while/Cast", "Cast", "images"),
    ("while/conv2_1/conv1_1/convolution/ReadVariableOp", "", "layers"),
    ("while/body/_1/while/conv2_1/fc1_1/Cast", "Cast", "layers"),
    ("gradient_tape/while/conv2_1/pool1_1/MaxPool2d/MaxPoolGrad", "", "layers"),
    ("while/truediv_1", "", "layers"),
    ("", "", "other"),
]


@pytest.mark.parametrize("path, kind, category", OPERATIONS)
def test_where_an_operation_belongs(path, kind, category):
    assert shares.classify(path, kind or path.split("/")[-1]) == category


def test_shares_of_threads_add_up():
    ran = [(10, 16, "forward"), (14, 18, "update"), (15, 15, "layers")]
    found = shares.shares(ran, 10 / shares.PICOSECONDS)
    expected = {"forward": 50, "update": 30, "overhead": 20}
    assert found == pytest.approx({**dict.fromkeys(found, 0), **expected})


def test_shares_of_a_network(source):
    found = shares.measure(shares.NETS["LeNet"].recipe, source, 5)
    assert found.pop("ms") > 0
    assert sum(found.values()) == pytest.approx(100)
    for name in ("forward", "backward", "update", "images", "layers"):
        assert found[name] > 0
    assert found["masks"] == 0
    assert 0 <= found["other"] < 15


@pytest.mark.slow  # starts TensorFlow in a process
def test_the_benchmark_of_shares(monkeypatch, capsys, data_dir):
    # Nothing is downloaded for it: noise takes as long.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    arguments = ["--nets", "LeNet", "--steps=5", f"--data_dir={data_dir}"]
    monkeypatch.setattr(sys, "argv", ["shares", *arguments])
    shares.main()
    *lines, head, row = capsys.readouterr().out.splitlines()
    assert len(numbers("\n".join(lines))) == 1 + len(shares.CATEGORIES)
    assert head.split() == ["per", "cent", "ms", *shares.CATEGORIES]
    name, ms, *cells = row.split()
    assert (name, float(ms) > 0) == ("LeNet", True)
    assert sum(map(float, cells)) == pytest.approx(100, abs=1)
