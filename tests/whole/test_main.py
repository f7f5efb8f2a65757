import dataclasses
import json
import re
import shutil
import subprocess
import sys

import pytest
from absl import flags, logging
from absl.testing import flagsaver
from conftest import ROOT
from tensorflow.tsl.profiler.protobuf import xplane_pb2

import gin
from tf_lottery import configuration, main
from tf_lottery.experiments import lottery
from tf_lottery.foundation import records, run_folder
from tf_lottery.masking.kernels import masked_layers
from tf_lottery.report.claims.catalogue import (
    EXPERIMENTS,
    GIN_FILES,
    ITERATIONS,
)
from tf_lottery.report.tables import run_tables, summary
from tf_lottery.report.verdicts import read_runs, run_collection
from tf_lottery.rules import pruning
from tf_lottery.training import devices, steps
from tf_lottery.workloads.images import image_sets, opened_images
from tf_lottery.workloads.task import Shapes

# Of no paper's figure: tasks of their own, drawn as learning curves.
CURVES = [ROOT / "gin" / f"{n}.gin" for n in ("grokking", "next_character")]
MNIST1D = ROOT / "gin" / "greydanus2024" / "tickets.gin"
LEAVES = [
    path
    for path in sorted((ROOT / "gin").rglob("*.gin"))
    if 'name = "' in path.read_text() and path not in (*CURVES, MNIST1D)
]
# Of experiments with one network, those unlike the others; of arms, one of each
# kind.
ABLATED = {
    "continued": ("reset at the end",),
    "widths": ("25-9", "50-17"),
    "mask_ablations": ("logits 1", "plain, scale of He"),
    "edge_popup": ("signed constant, 30 %",),
}
# Of the convolutional networks, whose steps are slow, two are enough.
RUN = {
    **{path: () for path in LEAVES if path.parent == ROOT / "gin"},
    # Of its 34 arms, one of each kind.
    ROOT / "gin/heuristic_supermask.gin": (
        *("large_final", "snip", "random", "large_final_same_sign SC"),
    ),
    ROOT / "gin/frankle2019/conv2.gin": ("winning ticket",),
    ROOT / "gin/zhou2019/table1/conv2.gin": ("DWR init",),
    **{
        ROOT / path: arms
        for (network, name), path in GIN_FILES.items()
        if network == "LeNet" and (arms := ABLATED.get(name))
    },
}
TICKETS = str(ROOT / "gin" / "lottery_tickets.gin")
SUPERMASK = str(ROOT / "gin" / "supermask.gin")
SMOKE = str(ROOT / "gin" / "smoke.gin")


@pytest.fixture(autouse=True)
def clean():
    verbosity = logging.get_verbosity()
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["main"])
    with flagsaver.flagsaver():
        yield
    gin.clear_config(clear_constants=True)
    logging.set_verbosity(verbosity)


@pytest.fixture
def command(tmp_path, data_dir, capsys, monkeypatch):
    """Runs the main command in this process; returns (status, out, err)."""
    monkeypatch.chdir(ROOT)

    def run(*files, bindings=(), **other):
        gin.clear_config(clear_constants=True)
        values = {
            "gin_file": [str(file) for file in files],
            "gin_bindings": list(bindings),
            "workdir": str(tmp_path),
            "data_dir": data_dir,
            "strategy": "one",
            **other,
        }
        status = 0
        with flagsaver.flagsaver(**values):
            try:
                main.run_main(["main"])
            except SystemExit as end:
                status = end.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def only_run(tmp_path):
    [folder] = (tmp_path / "runs").iterdir()
    return folder


def name_of(leaf):
    return str(leaf.relative_to(ROOT / "gin").with_suffix(""))


@pytest.mark.parametrize("leaf", RUN, ids=name_of)
def test_gin_files_run(command, tmp_path, leaf):
    arms = RUN[leaf]
    bindings = [f"ARMS = {arms}"] if arms else []
    status, out, err = command(leaf, SMOKE, bindings=bindings)
    assert status == 0, err
    folder = only_run(tmp_path)
    assert f"Report: {folder}/report.html" in out
    left = {path.name for path in folder.iterdir()}
    assert left >= {
        *("config.gin", "env.json", "plan.json", "metrics.csv"),
        *("summary.csv", "report.html", "figures", "snapshots", "DONE"),
    }
    # A report of many runs finds all that it needs.
    [figure], notes = run_collection.merge([read_runs.read(folder)])
    assert not notes
    found = {path: key for key, path in GIN_FILES.items()}
    network, experiment = found[str(leaf.relative_to(ROOT))]
    assert figure.network == network
    assert figure.kind == EXPERIMENTS[experiment]
    assert [figure.arms, figure.seeds] == [list(arms or figure.arms), [0]]
    details = figure.runs[0].details()
    assert {x.layer for x in details.layers} > {"all"}
    if figure.kind != "supermask":
        assert {b.fate for b in details.bins} == {"kept", "pruned"}


@pytest.mark.parametrize("leaf", CURVES, ids=name_of)
def test_gin_files_of_other_tasks_run(command, tmp_path, leaf):
    lengths = ["STEPS = 4", "EVAL_EVERY = 2"]
    status, _, err = command(leaf, bindings=lengths)
    assert status == 0, err
    plan = json.loads((only_run(tmp_path) / "plan.json").read_text())
    assert plan["kind"] == "curves"
    records = run_folder.read_records(only_run(tmp_path))
    steps_of = {r.step for r in records if r.metric == "loss"}
    assert steps_of == {0, 2, 4}
    assert f"--gin_file={leaf.relative_to(ROOT)}" in leaf.read_text()


def test_tickets_of_signals_run(command, tmp_path):
    status, out, err = command(MNIST1D, SMOKE, dry_run=True)
    assert status == 0, err
    assert "17 of them different" in " ".join(out.split())
    status, _, err = command(MNIST1D, SMOKE)
    assert status == 0, err
    folder = only_run(tmp_path)
    plan = json.loads((folder / "plan.json").read_text())
    assert (plan["kind"], plan["data"]) == ("rounds", "mnist1d")
    lines = summary.summarize(run_folder.read_records(folder))
    dense = {x.arm: x for x in lines if x.round == 0}
    assert len(dense) == 7
    # Only what other data are for has a dense network of its own.
    losses = {
        (r.arm, r.value)
        for r in run_folder.read_records(folder)
        if (r.round, r.step, r.where, r.metric) == (0, 4, "test", "loss")
    }
    values = [value for _, value in losses]
    assert len(losses) == 7
    assert len(set(values)) == 3
    assert f"--gin_file={MNIST1D.relative_to(ROOT)}" in MNIST1D.read_text()


# Learning rate, steps, and rates a round of convolutions.
TICKETS_OF = {
    "lenet": (1.2e-3, 50_000, None),
    "conv2": (2e-4, 20_000, 0.1),
    "conv4": (3e-4, 25_000, 0.1),
    "conv6": (3e-4, 30_000, 0.15),
}
SUPERMASKS_OF = {"lenet": 100, "conv2": 100, "conv4": 50, "conv6": 20}


@pytest.mark.parametrize(
    "leaf",
    [ROOT / GIN_FILES[key] for key in GIN_FILES if key[0] in ITERATIONS],
    ids=name_of,
)
def test_every_gin_file_is_the_papers_protocol(leaf):
    plan, _ = configuration.read_plan([str(leaf)], [])
    gin.clear_config(clear_constants=True)
    experiment, recipe = plan.experiment, plan.experiment.recipe
    network = leaf.stem if leaf.stem.startswith("conv") else "lenet"
    model = recipe.new_model(Shapes((32, 32, 3), 10), seed=0)
    assert model.name == network
    assert recipe.task.name == ("mnist" if network == "lenet" else "cifar10")
    optimizer = recipe.optimizer["config"]
    if isinstance(experiment, lottery.Lottery):
        learning_rate, steps, rate = TICKETS_OF[network]
        assert optimizer == {"learning_rate": learning_rate}
        assert (recipe.steps, recipe.batch_size) == (steps, 60)
        assert recipe.eval_every == 100
        assert experiment.rounds == tuple(range(1, 25))
        paths = [layer.raw_kernel.path for layer in masked_layers(model)]
        for path, found in pruning.rates_by_path(
            experiment.rates, paths
        ).items():
            by_kind = {"conv": rate, "fc": 0.2, "output": 0.1}
            assert found == by_kind[path.split("/")[0].rstrip("123456")]
    else:
        if plan.published is None:  # an ablation
            assert experiment.arms == tuple(experiment.rules)
            return
        learning_rate = SUPERMASKS_OF[network]
        assert optimizer == {"learning_rate": learning_rate, "momentum": 0.9}
        assert plan.published.accuracy.keys() == set(experiment.arms)
        assert {"steps", "batch_size"} <= plan.published.protocol.keys()
    text = leaf.read_text()
    comments = " ".join(x for x in text.splitlines() if x[:1] == "#")
    assert f"--gin_file={leaf.relative_to(ROOT)}" in comments
    assert "_NUMBERS" not in text


def test_plans_have_names_of_their_own():
    names = []
    for leaf in (*LEAVES, MNIST1D):
        names.append(configuration.read_plan([str(leaf)], [])[0].name)
        gin.clear_config(clear_constants=True)
    assert len(set(names)) == len(names)


def test_a_run_its_repetition_and_its_config(command, tmp_path, monkeypatch):
    bindings = ["ARMS = ('init', 'DWR signed constant')"]
    status, out, err = command(SUPERMASK, SMOKE, bindings=bindings)
    assert status == 0, err
    for words in ("DWR signed constant", "95.3", "98.0", "Differences are no"):
        assert words in out
    folder = only_run(tmp_path)
    metrics = (folder / "metrics.csv").read_bytes()
    lines = summary.summarize(run_folder.read_records(folder))
    # Each is trained, and evaluated with its mask thresholded.
    found = [(line.arm, line.round, line.steps) for line in lines]
    arms = ("init", "DWR signed constant")
    assert found == [(a, n, 4 * (1 - n)) for a in arms for n in (0, 1)]
    environment = json.loads((folder / "env.json").read_text())
    assert environment["packages"].keys() >= {"tensorflow", "keras"}

    # The second time nothing is trained, nor is it from the run's own config.
    def refuse(*args):
        raise AssertionError("this must not be trained again")

    # It is made, as thresholded masks are evaluated again, and never called.
    monkeypatch.setattr(steps, "runner", lambda *args: refuse)
    table = out[out.index("\n arm ") :]
    for files in ((SUPERMASK, SMOKE), (folder / "config.gin",)):
        given = bindings if len(files) > 1 else ()
        status, again, err = command(*files, bindings=given)
        assert status == 0, err
        assert again[again.index("\n arm ") :] == table
        assert only_run(tmp_path) == folder
        assert (folder / "metrics.csv").read_bytes() == metrics
        assert json.loads((folder / "env.json").read_text()) == environment


def results_of(folder):
    """What a run came to: how long it took, and when, are no results."""
    rows = run_folder.read_records(folder)
    lines = run_tables.read_summary(folder, ["winning ticket"])
    names = ("config.gin", "plan.json", "layers.csv")
    return (
        [row for row in rows if row.metric != "seconds"],
        [line._replace(seconds=0) for line in lines],
        [(folder / name).read_bytes() for name in names],
        [path.read_bytes() for path in sorted(folder.glob("snapshots/*"))],
    )


def flipped(data):
    changed = bytearray(data or b" ")  # a lock is empty
    changed[len(data) // 2] ^= 1
    return bytes(changed)


DAMAGE = {
    "truncated": lambda data: data[: len(data) // 2],
    "flipped": flipped,
    "another type": lambda data: b"[1]\n",
    "NUL": lambda data: bytes(4096),
    "folder": None,
}


@pytest.mark.slow  # five commands, each after much damage
def test_whatever_is_damaged_is_made_again(command, tmp_path, caplog):
    bindings = ["ARMS = ('winning ticket',)"]
    command(TICKETS, SMOKE, bindings=bindings)
    folder, store = only_run(tmp_path), tmp_path / "store"
    before = results_of(folder)
    stored = [path for path in store.iterdir() if path.is_dir()]
    files = (
        *(folder / name for name in ("config.gin", "plan.json", "summary.csv")),
        *(folder / name for name in ("metrics.csv", "env.json", "DONE")),
        *(sorted(folder.glob("snapshots/*"))[0], folder / "report.html"),
        *(store / "format", *store.glob("images-*.npz")),
        *(stored[0] / "result.json", stored[1] / "result.npz"),
        stored[2] / ".lock",
    )
    for kind, damage in DAMAGE.items():
        for path in files:
            data = path.read_bytes()
            path.unlink()
            path.write_bytes(damage(data)) if damage else path.mkdir()
        caplog.clear()
        status, out, err = command(TICKETS, SMOKE, bindings=bindings)
        assert status == 0, (kind, err)
        assert "Traceback" not in out + err
        assert results_of(folder) == before, kind
        said = [r.getMessage() for r in caplog.records if r.name == "absl"]
        assert not any("\n" in line for line in said)
        for path in files:
            lines = [line for line in said if line.startswith(f"{path} ")]
            assert len(lines) <= 1, (kind, path)
        # Each record of the store, the images, the snapshot at the least.
        assert len(said) >= 4, (kind, said)
        assert read_runs.read(folder).complete


def test_rounds_that_were_exchanged_in_the_store_are_not_trusted(
    command, tmp_path, caplog
):
    bindings = ["ARMS = ('winning ticket',)"]
    command(TICKETS, SMOKE, bindings=bindings)
    before = results_of(only_run(tmp_path))
    one, other, _ = (p for p in (tmp_path / "store").iterdir() if p.is_dir())
    one.rename(tmp_path / "aside")
    other.rename(one)
    (tmp_path / "aside").rename(other)
    shutil.rmtree(tmp_path / "runs")
    status, _, err = command(TICKETS, SMOKE, bindings=bindings)
    assert status == 0, err
    assert results_of(only_run(tmp_path)) == before
    said = [r.getMessage() for r in caplog.records if r.name == "absl"]
    assert len(said) == 2
    assert all("expected a record of key" in line for line in said)


def test_a_run_of_other_data_has_another_folder(
    command, tmp_path, digits, monkeypatch
):
    bindings = ["ARMS = ('init',)"]
    command(SUPERMASK, SMOKE, bindings=bindings)
    first = only_run(tmp_path)
    pixels = digits.images.copy()
    pixels[0] += 1
    changed = dataclasses.replace(digits, images=pixels)
    monkeypatch.setattr(opened_images.image_sets, "load", lambda *args: changed)
    command(SUPERMASK, SMOKE, bindings=bindings)
    folders = list((tmp_path / "runs").iterdir())
    assert len(folders) == 2
    assert first in folders


def test_adding_a_seed_keeps_what_is_there(command, tmp_path):
    bindings = ["ARMS = ('init',)"]
    command(SUPERMASK, SMOKE, bindings=bindings)
    first = run_folder.read_records(only_run(tmp_path))
    command(SUPERMASK, SMOKE, bindings=[*bindings, "SEEDS = 2"])
    stored = [p for p in (tmp_path / "store").iterdir() if p.is_dir()]
    assert len(stored) == 2
    assert len(list((tmp_path / "store").glob("images-*.npz"))) == 1
    both = [
        run_folder.read_records(folder)
        for folder in (tmp_path / "runs").iterdir()
    ]
    longer = max(both, key=len)
    assert [r for r in longer if r.seed == 0] == first
    assert {r.seed for r in longer} == {0, 1}


def test_dry_run_lists_and_trains_nothing(command, tmp_path):
    done = "ARMS = ('init',)"
    command(SUPERMASK, SMOKE, bindings=[done])
    before = sorted(tmp_path.rglob("*"))
    status, out, err = command(
        SUPERMASK,
        SMOKE,
        bindings=["ARMS = ('init', 'DWR init')", "SEEDS = 2"],
        dry_run=True,
    )
    assert status == 0, err
    rows = [line.split() for line in out.splitlines() if "init" in line]
    # Arm, seed, trainings, of which to do.
    assert rows == [
        ["init", "0", "1", "0"],
        ["DWR", "init", "0", "1", "1"],
        ["init", "1", "1", "1"],
        ["DWR", "init", "1", "1", "1"],
    ]
    assert "4 trainings, 4 of them different: 1 stored, 3 to do: about" in out
    assert sorted(tmp_path.rglob("*")) == before


def count_of(out):
    return re.search(r"(\d+) trainings, (\d+) of them .* (\d+) stored", out)


def test_the_trainings_that_are_counted_are_those_that_are_run(
    command, tmp_path
):
    arms = ("winning ticket", "random reinit #1", "one-shot")
    bindings = [f"ARMS = {arms}"]
    _, out, _ = command(TICKETS, SMOKE, bindings=bindings, dry_run=True)
    # A dense round; two tickets; two reinits; the other one-shot ticket.
    assert count_of(out).groups() == ("10", "6", "0")
    status, _, err = command(TICKETS, SMOKE, bindings=bindings)
    assert status == 0, err
    assert len([p for p in (tmp_path / "store").iterdir() if p.is_dir()]) == 6
    _, out, _ = command(TICKETS, SMOKE, bindings=bindings, dry_run=True)
    assert count_of(out).groups() == ("10", "6", "6")
    assert "0 to do: about 0.0 minutes" in out


def test_a_profile_of_some_steps(command, tmp_path):
    bindings = ["ARMS = ('winning ticket',)"]
    plain = tmp_path / "plain"
    command(TICKETS, SMOKE, bindings=bindings, workdir=str(plain))
    status, out, err = command(TICKETS, SMOKE, bindings=bindings, profile=True)
    assert status == 0, err
    folder = tmp_path / "runs" / only_run(plain).name
    assert f"Profile: tensorboard --logdir={folder}/profile" in out

    # One training of several, where it was warm, and an evaluation.
    [trace] = folder.glob("profile/plugins/profile/*/*.xplane.pb")
    space = xplane_pb2.XSpace.FromString(trace.read_bytes())
    names = [
        plane.event_metadata[event.metadata_id].name
        for plane in space.planes
        for line in plane.lines
        for event in line.events
    ]
    assert names.count("program") == 3  # training, validation, test
    assert any("MatMul" in name for name in names)
    assert not any("compile" in name.lower() for name in names)

    def measured(run):
        records = run_folder.read_records(run)
        return [r for r in records if r.metric != "seconds"]

    assert measured(folder) == measured(only_run(plain))

    # The second time, all is stored.
    _, out, _ = command(TICKETS, SMOKE, bindings=bindings, profile=True)
    assert "No profile: nothing was trained" in out
    assert list(folder.glob("profile/plugins/profile/*/*.xplane.pb")) == [trace]


def test_where_there_is_nothing_to_profile(command, tmp_path):
    bindings = ["ARMS = ('init',)", "STEPS = 1"]
    status, out, err = command(
        SUPERMASK, SMOKE, bindings=bindings, profile=True
    )
    assert status == 0, err
    assert "No profile: expected a training of three steps" in out
    assert not (only_run(tmp_path) / "profile").exists()
    status, _, err = command(SUPERMASK, SMOKE, profile=True, workers=2)
    assert status == 2
    assert "expected --workers=1 with --profile, received 2" in err


@pytest.mark.slow  # each worker starts TensorFlow
def test_workers_give_what_one_process_gives(command, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    arms = ("winning ticket", "random masks", "one-shot")
    bindings = [f"ARMS = {arms}", "SEEDS = 2"]
    status, out, err = command(TICKETS, SMOKE, bindings=bindings, workers=2)
    assert status == 0, err
    assert "[6/6]" in out
    alone = tmp_path / "alone"
    command(TICKETS, SMOKE, bindings=bindings, workdir=str(alone))
    several, one = (
        run_folder.read_records(only_run(folder))
        for folder in (tmp_path, alone)
    )
    # In the same order, whoever came first.
    assert [r[:-1] for r in several] == [r[:-1] for r in one]
    for a, b in zip(several, one, strict=True):
        if a.metric != "seconds":
            assert a.value == pytest.approx(b.value, abs=0.01), a
    for name in ("summary.csv", "layers.csv"):
        tables = [
            (only_run(folder) / name).read_text().splitlines()
            for folder in (tmp_path, alone)
        ]
        for a, b in zip(*tables, strict=True):
            assert a.split(",")[:4] == b.split(",")[:4]


@pytest.mark.slow  # each worker starts TensorFlow
def test_a_chain_that_fails_in_a_worker_is_named(
    command, tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    bindings = ["LEARNING_RATE = 1e39", "ARMS = ('DWR init',)", "STEPS = 9"]
    status, _, err = command(SUPERMASK, SMOKE, bindings=bindings, workers=2)
    assert status == 2
    assert "1 of 1 arms and seeds did not finish: DWR init, seed 0: " in err
    assert "of 9, seed 0" in err
    assert not (only_run(tmp_path) / "DONE").exists()


WRONG = {
    "parameter": ("supermask.Supermask.amrs = ('init',)", "amrs"),
    "function": ("supermask.Supermaks.arms = ('init',)", "Supermaks"),
    "macro": ("STPES = 5", r"STEPS.*received STPES"),
    "syntax": ("STEPS = = 5", "STEPS to be a literal.*received '= 5'"),
    "type of SEEDS": ("SEEDS = 'three'", r"SEEDS .*whole.*received 'three'"),
    "type of STEPS": ("STEPS = 0.5", r"STEPS .*whole.*received 0.5"),
    "type of DATA": ("DATA = 5", r"DATA .*received 5"),
    "type of ARMS": ("ARMS = 'init'", r"ARMS .*list.*received 'init'"),
    "arm": ("ARMS = ('innit',)", r"ARMS .*DWR init.*received 'innit'"),
    "logit": ("INITIAL_LOGIT = 'a'", r"INITIAL_LOGIT .*received 'a'"),
    "policy": ("DTYPE_POLICY = 'f8'", r"DTYPE_POLICY .*received 'f8'"),
    "rate": ("LEARNING_RATE = 'high'", r"OPTIMIZER .*'high'"),
    "recipe": ("supermask.Supermask.recipe = 5", r"@Recipe\(\), received 5"),
    "model": ("recipes.Recipe.model = @lenet.LeNet", r"@lenet.LeNet\(\), rec"),
    "mask": ("recipes.Recipe.kernel_mask = 3", r"build a mask .* received 3"),
    "published": ("plan.Plan.published = 5", r"@Published\(\), received 5"),
    "paper": ("published.Published.accuracy = 95.3", r"a dict, received 95.3"),
    "cell": ("published.Published.accuracy = {'init': 'a'}", r"received 'a'"),
    "name": ("plan.Plan.name = '../../x'", r"letters.*received '../../x'"),
    "macro of another file": (
        "ROUNDS = (1,)",
        r"MASK_SAMPLES.*received ROUNDS",
    ),
    "number of arms": ("ARMS = 5", r"ARMS .*list.*received 5"),
    "batch": ("BATCH_SIZE = 99999", r"BATCH_SIZE .*3600.*received 99999"),
}


@pytest.mark.parametrize(
    "binding, expected",
    [
        ("RULES = {'a': {'criterion': 'large_final'}}", "criterion .*'large_f"),
        ("RULES = {'a': {'criteria': 3}}", "one of criterion, .*'criteria'"),
        ("RATES = (('fc', 2.0), ('output', 0.1))", r"\(0, 1\).*received 2.0"),
        ("RATES = (('fc', 0.2),)", "every layer.* none for output/kernel"),
        ("RATES = (('.', 0.2), ('conv', 0.1))", "'conv', which matches none"),
        ("ROUNDS = (3, 2)", r"ROUNDS to ascend, received \(3, 2\)"),
        ("REWIND_STEP = 4", "REWIND_STEP .* STEPS, 4, received 4"),
        ("ARMS = ('reinit',)", "ARMS .*winning ticket.* received 'reinit'"),
    ],
)
def test_what_is_wrong_in_rounds_is_named(command, tmp_path, binding, expected):
    # Whoever would run the chains, it is found before them, and said once.
    status, out, err = command(TICKETS, SMOKE, bindings=[binding], workers=2)
    assert status == 2
    assert re.search(expected, err), err
    assert not (tmp_path / "runs").exists()
    assert err.count("error:") == 1
    assert "Traceback" not in err + out
    assert not any((tmp_path / "store").glob("*/result.*"))


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_in_gin_is_named(command, tmp_path, case):
    binding, expected = WRONG[case]
    status, out, err = command(SUPERMASK, SMOKE, bindings=[binding])
    assert status == 2
    assert re.search(expected, err), err
    assert err.count("error:") == 1
    assert "Traceback" not in err + out


def test_a_missing_gin_file_is_named(command):
    status, _, err = command("gin/supermaks.gin")
    assert status == 2
    assert "gin/supermaks.gin" in err
    status, _, err = command()
    assert status == 2
    assert "--gin_file=gin/supermask.gin" in err


def test_a_module_that_is_not_there_is_named(command):
    status, _, err = command(SUPERMASK, SMOKE, import_module=["not_there"])
    assert status == 2
    assert "not_there" in err


def test_a_data_set_that_cannot_be_had(command, tmp_path, monkeypatch):
    monkeypatch.setattr(image_sets, "_online", lambda: False)
    status, _, err = command(
        SUPERMASK, SMOKE, bindings=["DATA = 'mnist'"], data_dir=str(tmp_path)
    )
    assert status == 2
    assert "--data_dir" in err
    assert "DATA = 'mnist_5k'" in err


def test_a_workdir_that_cannot_be_written(command, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    blocked = str(tmp_path / "file")
    status, _, err = command(SUPERMASK, SMOKE, workdir=blocked)
    assert status == 2
    assert "expected to write" in err
    assert "--workdir" in err


def test_a_tpu_that_is_not_there(command):
    status, _, err = command(SUPERMASK, SMOKE, strategy="tpu")
    assert status == 2
    assert "expected a TPU for --strategy=tpu" in err


def test_a_training_that_diverges_names_arm_seed_and_step(command, tmp_path):
    status, _, err = command(
        SUPERMASK,
        SMOKE,
        bindings=["LEARNING_RATE = 1e39", "ARMS = ('DWR init',)", "STEPS = 9"],
    )
    assert status == 2
    assert "arm 'DWR init'" in err
    assert "of 9, seed 0" in err
    assert run_folder.read_records(only_run(tmp_path))[0].step == 0


def test_mirrored_gives_what_one_device_gives(
    command, tmp_path, monkeypatch, two_devices
):
    def mirrored(devices):
        assert [d[-5:] for d in devices] == ["CPU:0", "CPU:1"]
        return two_devices

    monkeypatch.setattr(devices.tf.distribute, "MirroredStrategy", mirrored)
    command(SUPERMASK, SMOKE, bindings=["ARMS = ('init',)"])
    one = run_folder.read_records(only_run(tmp_path))
    other = tmp_path / "other"
    status, _, err = command(
        SUPERMASK,
        SMOKE,
        bindings=["ARMS = ('init',)"],
        strategy="mirrored",
        workdir=str(other),
    )
    assert status == 0, err
    two = run_folder.read_records(only_run(other))
    assert [r[:-1] for r in one] == [r[:-1] for r in two]
    for a, b in zip(one, two, strict=True):
        if a.metric != "seconds":
            assert a.value == pytest.approx(b.value, abs=1e-4)


def test_help_does_not_load_tensorflow():
    code = (
        "import sys; sys.argv = ['main', '--help']\n"
        "import runpy\n"
        "try: runpy.run_module('tf_lottery.main', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'numpy'} & sys.modules.keys()\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for flag in ("gin_file", "gin_bindings", "workdir", "dry_run", "profile"):
        assert f"--{flag}" in done.stdout.replace("[no]", "")


def test_records_have_the_columns_that_the_design_names():
    assert records.Record._fields == (
        *("seed", "arm", "round", "step", "where", "metric", "value"),
    )


def test_a_store_of_an_older_format_is_left_alone_and_said(command, tmp_path):
    old = tmp_path / "store" / ("0" * 64)
    old.mkdir(parents=True)
    (old / "result.json").write_text("of version 0.1")
    bindings = ["ARMS = ('init',)"]
    status, out, err = command(SUPERMASK, SMOKE, bindings=bindings)
    assert status == 0, err
    assert "holds 1 trainings of an older format: they are left alone" in out
    assert (old / "result.json").read_text() == "of version 0.1"
    _, again, _ = command(SUPERMASK, SMOKE, bindings=bindings)
    assert "older format" not in again


def test_a_table_that_is_too_wide_lies_on_its_side():
    rows = [("arm", "loss"), ("a", "0.25"), ("b", "0.5")]
    assert main.fitting(rows, 11) == rows
    lying = [("arm", "a", "b"), ("loss", "0.25", "0.5")]
    assert main.fitting(rows, 10) == rows  # which is less wide
    assert main.fitting(lying, 16) == rows
    assert main.fitting(lying, 17) == lying
