"""Each wrong value gets one line that names it, and the exit status 2."""

import os
import re
import subprocess
import sys

import commands
import numpy as np
import pytest
from absl import flags
from conftest import ROOT
from folders import write_folder

import tf_lottery.report.__main__ as report
from tf_lottery.training import start_up
from tf_lottery.workloads.images import image_sets

SUPERMASK = ("--gin_file=gin/supermask.gin", "--gin_file=gin/smoke.gin")
TICKETS = ("--gin_file=gin/lottery_tickets.gin", "--gin_file=gin/smoke.gin")
CRITERIA = """
include "gin/mask_criteria.gin"
include "gin/smoke.gin"
from __gin__ import dynamic_registration
from tf_lottery.experiments import lottery
from tf_lottery.experiments import plan
from tf_lottery.rules import criteria
from tf_lottery.training import recipes
"""


def bind(*lines):
    return [f"--gin_bindings={line}" for line in lines]


@pytest.fixture
def told(capfd, monkeypatch, tmp_path, data_dir):
    """What a command that cannot be done says."""
    monkeypatch.chdir(ROOT)

    def run(*argv, dry=True):
        folders = [f"--workdir={tmp_path}", f"--data_dir={data_dir}"]
        if any(arg.startswith("--data_dir") for arg in argv):
            folders.pop()
        dry_run = ["--dry_run"] if dry else []
        capfd.readouterr()
        assert commands.run(*folders, *dry_run, *argv) == 2
        out, err = capfd.readouterr()
        assert not out
        assert commands.is_one_line(err), err
        assert not (tmp_path / "runs").exists()
        return err

    return run


@pytest.fixture
def early(told, monkeypatch):
    """The same, of what is said before TensorFlow is imported."""

    def refuse():
        raise AssertionError("it was to be said without TensorFlow")

    monkeypatch.setattr(start_up, "import_tensorflow", refuse)
    return told


FILES = {
    "empty": ("", r"experiment.*FILE without one"),
    "bytes": (b"A = 1\n\xff", r"FILE to be text in UTF-8.* 0xff at 6"),
    "bracket": ("A = 1\nSTEPS = (1,\nB = 2\n", r"STEPS.*closed.*FILE, line 2"),
    "bracket in a block": (
        "plan.Plan:\n  name = {1: 2\n",
        r"plan.Plan.name .*closed.*FILE, line 2",
    ),
    "text": ("some words\n", r"line such as STEPS.*'some words'.*line 1"),
    "itself": ('include "FILE"\n', r"without themselves.*FILE, which .*FILE"),
    "include": ('include "gin/supermaks.gin"', "gin/supermask.gin.*supermaks"),
    "module": (
        "from __gin__ import dynamic_registration\n"
        "from tf_lottery.rules import criterai",
        r"such as tf_lottery.rules.criteria.*criterai",
    ),
    "module of nobody": ("import not_there", "sys.path"),
    "two experiments": (
        'include "gin/supermask.gin"\ninclude "gin/lottery_tickets.gin"',
        r"one experiment, received two: gin/supermask.* and gin/lottery_t",
    ),
    "class": (
        f"{CRITERIA}\nplan.Plan.experiment = @lottery.Lotery()",
        r"such as Lottery, received Lotery .*FILE, line 10",
    ),
    "parameter": (
        f"{CRITERIA}\nplan.Plan.sedes = 3",
        r"parameters name, .*seeds.*of plan.Plan, received sedes.*line 10",
    ),
    "circle": (
        f"{CRITERIA}\nplan.Plan.experiment = @plan.Plan()",
        r"plan.Plan, received plan.Plan, which refers to itself",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_what_is_wrong_in_a_file_is_said_before_tensorflow(
    early, tmp_path, case
):
    text, expected = FILES[case]
    path = str(tmp_path / "my.gin")
    if isinstance(text, str):
        text = text.replace("FILE", path).encode()
    (tmp_path / "my.gin").write_bytes(text)
    expected = expected.replace("FILE", re.escape(path)[:40] + ".*")
    assert re.search(expected, early(f"--gin_file={path}"))


EARLY = {
    "length alone": (SUPERMASK[1:], "names an experiment.*gin/smoke.gin w"),
    "no file": ((), "expected --gin_file"),
    "missing file": (["--gin_file=gin/supermaks.gin"], "'gin/supermaks.gin'"),
    "sum": (bind("STEPS = 10**12"), r"STEPS to be a literal.*'10\*\*12'"),
    "call": (bind("SEEDS = float('nan')"), "SEEDS to be a lit.*float"),
    "infinite": (bind("LEARNING_RATE = 1e400"), "LEARNING_RATE, received inf"),
    "itself": (bind("STEPS = %STEPS"), "STEPS, received %STEPS, which"),
    "circle": (bind("STEPS = %B", "B = (%STEPS, 1)"), "%B = %STEPS, which"),
    "undefined": (bind("STEPS = %STPE"), "macro STPE.*STEPS refers, such as S"),
    "unused": (bind("STPES = 3"), "macros ARMS.*received STPES, which nothing"),
    "parameter": (
        bind("supermask.Supermask.amrs = ()"),
        "recipe, arms, initial_logit, rules of .*Supermask, received amrs",
    ),
    "class": (bind("supermask.Supermaks.arms = ()"), "such as supermask.Super"),
    "reference": (
        bind("recipes.Recipe.model = @lenet.LeNte()"),
        "such as lenet.LeNet, received lenet.LeNte",
    ),
    "other's reference": (
        bind("recipes.Recipe.model = @no.such()"),
        "what the gin files name, received no.such",
    ),
    "two experiments": (
        ["--gin_file=gin/lottery_tickets.gin"],
        "received two: gin/supermask.gin and gin/lottery_tickets.gin",
    ),
    "rate": (bind("LEARNING_RATE = -1.0"), r"\(LEARNING_RATE\) to be at le"),
    "argument of an optimizer": (
        bind("recipes.Recipe.optimizer = {'config': {'clipnorm': -1}}"),
        "clipnorm of OPTIMIZER to be more than 0, received -1",
    ),
    "steps": (bind("STEPS = 1000000000000"), "STEPS to be at most 2,147,483"),
    "batch": (bind("recipes.Recipe.batch_size = 'x'"), "batch_size to be a wh"),
    "import_module": (["--import_module=not_there"], "received 'not_there'"),
    "no module": (["--import_module="], "can be imported, received ''"),
    "unknown flag": (["--gin_fiel=x"], "such as --gin_file.*--gin_fiel"),
    "choice": (["--strategy=two"], "--strategy=two: .*auto|one"),
    "workers": (["--workers=0"], "--workers=0: "),
    "workers of text": (["--workers=x"], "--workers=x: "),
    "data_dir": (["--data_dir="], "--data_dir=: expected a folder"),
    "workdir": (["--workdir="], "--workdir=: expected a folder"),
    "argument": (["supermask"], r"only flags, received \['supermask'\]"),
    "flag of absl": (["--stderrthreshold=x"], "stderrthreshold"),
    "profile": (["--profile", "--workers=2"], "--workers=1 with --profile"),
}


@pytest.mark.parametrize("case", EARLY)
def test_what_is_typed_wrongly_is_said_before_tensorflow(early, case):
    argv, expected = EARLY[case]
    if case not in ("length alone", "no file", "missing file"):
        argv = (*SUPERMASK, *argv)
    assert re.search(expected, early(*argv))


@pytest.mark.parametrize(
    "files",
    [
        ("gin/supermask.gin", "gin/quick.gin"),
        ("gin/lottery_tickets.gin", "gin/lengths/short.gin"),
        ("gin/frankle2019/conv2.gin", "gin/smoke.gin"),
    ],
)
def test_files_that_belong_together_pass(files, monkeypatch):
    monkeypatch.chdir(ROOT)
    commands.main.check(list(files), ["SEEDS = 3"])


def test_another_library_for_keras(told, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert "KERAS_BACKEND to be tensorflow" in told(*SUPERMASK)


LATE = {
    "model": ("recipes.Recipe.model = @lenet.LeNet", r"such as @lenet.LeNet\("),
    "brackets": (
        "plan.Plan.experiment = @supermask.Supermask",
        "Plan.experiment to be an experiment",
    ),
    "twice": ("ARMS = ('init', 'init')", "ARMS to name each.*'init' 2 times"),
    "seeds": ("SEEDS = 1000000000", "SEEDS to be at most 1,000,000"),
    "hidden": ("lenet.LeNet.hidden = (1000000000,)", "794,000,000,000 weights"),
    "no list": ("lenet.LeNet.hidden = 3", "LeNet.hidden to be a list, rec.* 3"),
    "data": ("DATA = 'cifar1'", "such as cifar10 .*received 'cifar1'"),
    "path": ("DATA = '../../etc/passwd'", "such as .*'../../etc/passwd'"),
    "blank": ("DATA = 'a b'", "received 'a b'"),
    "star": ("DATA = '*'", r"such as mnist or .*received '\*'"),
    "script": ("DATA = 'данные'", "received 'данные'"),
}


@pytest.mark.parametrize("case", LATE)
def test_a_wrong_value_is_named(told, case):
    binding, expected = LATE[case]
    assert re.search(expected, told(*SUPERMASK, *bind(binding)))


@pytest.mark.parametrize(
    "line, expected",
    [
        ("LEARNING_RATE = -1.0", r"\(LEARNING_RATE\) to be at least 0"),
        (
            "recipes.Recipe.model = @criteria.random",
            r"Recipe.model to take \(shapes, kernel_mask, seed\).*random",
        ),
        (
            "recipes.Recipe.kernel_mask = @criteria.random",
            r"Recipe.kernel_mask to build a mask .* seed=0, received .*random",
        ),
        ("plan.Plan.experiment = @lottery.Lottery", "Plan.experiment to be an"),
        (
            f"RULES = {{'{'a' * 300}': {{}}}}",
            "at most 180 characters, received 300",
        ),
    ],
)
def test_a_wrong_value_of_rounds_is_named(told, tmp_path, line, expected):
    (tmp_path / "my.gin").write_text(f"{CRITERIA}\n{line}\n")
    err = told(f"--gin_file={tmp_path / 'my.gin'}", dry=False)
    assert re.search(expected, err)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("raise SystemExit(3)", r"'my_exits': SystemExit: 3"),
        ("1 / 0", r"'my_exits': ZeroDivisionError: "),
    ],
)
def test_a_module_that_cannot_be_imported(
    told, tmp_path, monkeypatch, text, expected
):
    (tmp_path / "my_exits.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    err = told(*SUPERMASK, "--import_module=my_exits")
    assert re.search(f"--import_module, received {expected}", err)


def test_a_tpu_that_is_not_there(told, monkeypatch):
    monkeypatch.setenv("TPU_NAME", "x")
    assert "TPU_NAME at 'x', found none" in told(*SUPERMASK)


def test_what_image_folders_lack(told, tmp_path):
    write_folder(tmp_path, [(8, 6, 1)])
    root = tmp_path / "animals"
    images = [*SUPERMASK, *bind("DATA = 'animals'"), f"--data_dir={tmp_path}"]

    for path in root.glob("train/*/*.png"):
        if path.stem != "0":
            path.unlink()
    err = told(*images)
    assert "at least 10 training images in animals" in err
    assert "received 2" in err
    (root / "train/cat/0.png").unlink()
    assert f"in {root / 'train/cat'}, as of every class" in told(*images)
    (root / "test").rename(tmp_path / "other")
    assert f"in {root}/t" in told(*images)


def test_a_damaged_data_set_is_named(told, tmp_path):
    image_sets.prepared_builder("mnist_5k", str(tmp_path))
    [file] = tmp_path.rglob("*test.tfrecord*")
    data = np.frombuffer(file.read_bytes(), np.uint8).copy()
    data[len(data) // 2] ^= 255
    file.write_bytes(data.tobytes())
    err = told(*SUPERMASK, f"--data_dir={tmp_path}")
    assert re.search(rf"expected {file} to be whole.*remove its folder", err)


def test_a_million_seeds_are_counted_in_seconds(capfd, tmp_path, data_dir):
    status = commands.run(
        *SUPERMASK,
        *bind("SEEDS = 1000000", "ARMS = ('init',)"),
        *("--dry_run", f"--workdir={tmp_path}", f"--data_dir={data_dir}"),
    )
    out, _ = capfd.readouterr()
    assert status == 0
    assert "1000000 trainings, 1000000 of them different: 0 stored" in out
    assert "from a trial of some steps and a count of 20 of 1000000 " in out


def test_a_report_of_no_folder(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["main"])
    with pytest.raises(SystemExit) as end:
        report.run_main(["report", "nofolder"])
    assert end.value.code == 2
    err = capfd.readouterr().err
    assert commands.is_one_line(err)
    assert "a folder of runs, received 'nofolder'" in err
    assert not (tmp_path / "report").exists()


def process(*argv):
    return subprocess.run(
        [sys.executable, "-m", *argv],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"},
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_nothing_of_tensorflows_start_is_shown(tmp_path):
    done = process(
        *("tf_lottery.main", *SUPERMASK, *bind("ARMS = 5")),
        f"--workdir={tmp_path}",
    )
    assert done.returncode == 2
    assert commands.is_one_line(done.stderr), done.stderr


@pytest.mark.parametrize(
    "module", ["tf_lottery", "tf_lottery.main", "tf_lottery.report"]
)
def test_help_is_no_error(module):
    done = process(module, "--help")
    assert done.returncode == 0
    assert not done.stderr
    assert "--" in done.stdout


def test_a_wrong_flag_of_a_report():
    done = process("tf_lottery.report", "--otu=x")
    assert done.returncode == 2
    assert commands.is_one_line(done.stderr)
    assert "such as --out, received --otu" in done.stderr


def test_what_is_held_back_is_shown_if_the_start_fails(capfd):
    with start_up._stderr_held_back():
        os.write(2, b"of no interest")
    assert not capfd.readouterr().err
    with pytest.raises(ImportError), start_up._stderr_held_back():
        os.write(2, b"why it fails")
        raise ImportError
    assert capfd.readouterr().err == "why it fails"
