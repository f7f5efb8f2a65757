"""The peer: its schedule, its process, and what becomes of the two."""

import ast
import dataclasses
import json
import os
import re
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from absl.testing import flagsaver
from conftest import ROOT
from sources import MODULES, imports

import gin
from tf_lottery import main
from tf_lottery.experiments.arms import Rule
from tf_lottery.experiments.lottery import Lottery
from tf_lottery.experiments.running import counting
from tf_lottery.foundation import identity
from tf_lottery.foundation.checks import InvalidValue
from tf_lottery.foundation.records import Record
from tf_lottery.foundation.store import Store
from tf_lottery.masking.layers import MaskedConv2D, MaskedDense
from tf_lottery.masking.masks import fixed_mask
from tf_lottery.report.tables import summary
from tf_lottery.report.verdicts import read_runs, run_collection
from tf_lottery.rules import pruning
from tf_lottery.training.history import Diverged
from tf_lottery.training.peers import tfmot, tfmot_job, tfmot_schedule
from tf_lottery.training.peers.tfmot_schedule import (
    MaskSteps,
    PeerPruning,
    TfmotGradual,
)
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.request import Training
from tf_lottery.training.trainer import Trainer
from tf_lottery.workloads.classification import ImageClassification
from tf_lottery.workloads.images.image_sets import Images
from tf_lottery.workloads.models import seeded_layers
from tf_lottery.workloads.models.conv import Conv
from tf_lottery.workloads.models.lenet import LeNet
from tf_lottery.workloads.task import Shapes

LEAF = str(ROOT / "gin" / "baselines" / "tfmot_gradual.gin")
SMOKE = str(ROOT / "gin" / "smoke.gin")
ARM = "gradual pruning (tfmot)"


@dataclasses.dataclass(frozen=True)
class Small:
    """All kinds of layers that the peer knows."""

    def __call__(self, shapes, kernel_mask, seed):
        common = {"kernel_mask": kernel_mask, "seed": seed}
        images = keras.Input(shapes.inputs)
        x = seeded_layers.layer(
            MaskedConv2D,
            4,
            5,
            strides=2,
            padding="same",
            activation="relu",
            name="conv",
            **common,
        )(images)
        x = keras.layers.MaxPooling2D()(x)
        x = keras.layers.Flatten()(x)
        x = seeded_layers.layer(
            MaskedDense, 20, name="fc", use_bias=False, **common
        )(x)
        x = seeded_layers.layer(
            MaskedDense, shapes.outputs, name="output", **common
        )(x)
        return keras.Model(images, x)


RECIPE = Recipe(
    model=Small(),
    task=ImageClassification(Images("mnist_5k")),
    steps=10,
    eval_every=4,
    batch_size=20,
)
PRUNING = TfmotGradual(begin=0.5, end=0.8)
RATES = {"conv/kernel": None, "fc/kernel": 0.3, "output/kernel": 0.9}


def of_peer(ticket, seed):
    return Training(RECIPE, ticket, seed, PeerPruning(PRUNING, RATES))


@pytest.fixture
def new_trainer(tmp_path, source):
    """Makes trainers with stores of their own."""

    def new(name="one"):
        strategy = tf.distribute.get_strategy()
        return Trainer(
            Store(tmp_path / name),
            strategy,
            _sources={identity.digest(RECIPE.task): source},
        )

    return new


@pytest.fixture
def stub(monkeypatch):
    """Puts some lines of Python in the place of the peer's process."""

    def put(code):
        code = f"import json, os, sys\n{code}"
        monkeypatch.setattr(tfmot, "PROGRAM", [sys.executable, "-c", code])

    return put


@pytest.fixture
def command(tmp_path, data_dir, capsys, monkeypatch):
    """Runs the main command in this process; returns (status, out, err)."""
    monkeypatch.chdir(ROOT)
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["main"])

    def run(*bindings, **other):
        gin.clear_config(clear_constants=True)
        values = {
            "gin_file": [LEAF, SMOKE],
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
        gin.clear_config(clear_constants=True)
        return status, *capsys.readouterr()

    return run


def table(history):
    return {(row.where, row.metric, row.step): row.value for row in history}


@pytest.mark.slow  # two processes start TensorFlow
def test_the_peer_trains_as_we_do_until_it_prunes(new_trainer, monkeypatch):
    trainer = new_trainer()
    ticket = trainer.new_ticket(RECIPE, 3)
    peers_own = of_peer(ticket, 3)
    told = []
    peers = trainer.train(peers_own, report=told.append)
    ours = table(trainer.train(Training(RECIPE, ticket, 3)).history)
    theirs = table(peers.history)

    # The first mask is made in step 8: up to there it is the same training.
    early = {key: value for key, value in ours.items() if key[2] <= 4}
    assert len(early) == 4 + 6
    for key, value in early.items():
        assert theirs[key] == pytest.approx(value, abs=1e-5), key
    assert ours.keys() <= theirs.keys()
    assert {key[2] for key in theirs} == {0, 4, 8, 10}
    assert [report.step for report in told] == [0, 4, 8, 10]
    assert told[-1].means["accuracy"] == theirs["train", "accuracy", 10]

    # What it was asked for, up to one weight, and nothing of the rate None.
    sizes = {path: w.size for path, w in ticket.weights.items()}
    masks = {path: peers.state[f"{path}_mask/value"] for path in sizes}
    assert theirs["all", "remaining", 0] == 1
    for path, rate in RATES.items():
        kept = theirs[path, "remaining", 8]
        assert abs(kept - (1 - (rate or 0))) <= 1 / sizes[path]
        assert kept == masks[path].mean()
        assert (peers.state[path][~masks[path]] == 0).all()
    assert theirs["all", "remaining", 8] == pruning.remaining(masks)["all"]
    assert ("all", "remaining", 10) not in theirs  # no change
    assert peers.state.keys() == ticket.arrays().keys()
    # Its last weights are those that it evaluated.
    end = trainer.evaluate(Training(RECIPE, _ticket(ticket, peers.state), 3))
    for key, value in table(end).items():
        assert theirs[*key[:2], 10] == pytest.approx(value, abs=1e-5)

    # The same again, bit for bit; and out of the store without a process.
    again = new_trainer("two").train(peers_own)
    monkeypatch.setattr(tfmot, "PROGRAM", ["false"])
    for other in (again, trainer.train(peers_own)):
        assert other.history == peers.history
        for path, array in peers.state.items():
            assert np.array_equal(other.state[path], array)


def _ticket(like, state):
    return dataclasses.replace(
        like,
        weights={path: state[path] for path in like.weights},
        state={path: state[path] for path in like.state},
    )


@pytest.mark.slow  # the peer's process starts TensorFlow
def test_a_figure_has_tickets_and_peer(command, tmp_path, monkeypatch):
    rehearsed = []
    monkeypatch.setattr(
        tfmot, "estimate", lambda *args: rehearsed.append(args) or 0.0
    )
    status, out, err = command("ROUNDS = (3,)")
    assert status == 0, err
    assert len(rehearsed) == 1
    assert re.search(r"gradual pruning \(tfmot\) +1 ", out)
    [folder] = (tmp_path / "runs").iterdir()
    [figure], notes = run_collection.merge([read_runs.read(folder)])
    assert (figure.kind, figure.arms, notes) == (
        "rounds",
        ["winning ticket", ARM],
        [],
    )
    dense, ticket, same, pruned = figure.lines
    assert (same.arm, same.round, same.remaining) == (ARM, 0, 1)
    assert dense._replace(arm=ARM) == same
    assert (pruned.arm, pruned.round, pruned.steps) == (ARM, 3, 4)
    assert pruned.remaining == pytest.approx(ticket.remaining, abs=1e-4)
    assert pruned.stop_step == 4
    details = figure.runs[0].details()
    kept = {
        (x.arm, x.layer): x.remaining for x in details.layers if x.round == 3
    }
    assert kept[ARM, "fc1/kernel"] == pytest.approx(0.512, abs=1e-4)
    assert kept[ARM, "output/kernel"] == pytest.approx(0.729, abs=1e-3)
    assert {(x.arm, x.other) for x in details.overlaps} == {
        ("winning ticket", ARM)
    }

    # The second time, from the store: not even a rehearsal.
    monkeypatch.setattr(tfmot, "PROGRAM", ["false"])
    status, again, err = command("ROUNDS = (3,)")
    assert (status, len(rehearsed)) == (0, 1), err
    assert again[again.index("\n arm ") :] == out[out.index("\n arm ") :]
    _, out, _ = command("ROUNDS = (3,)", dry_run=True)
    assert "4 trainings, 3 of them different: 3 stored" in out
    assert len(rehearsed) == 1


def test_a_missing_package_is_named_before_anything_is_trained(
    command, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        tfmot_schedule, "PACKAGES", {"no_such_module": tfmot.NAME}
    )
    for other in ({}, {"workers": 2}, {"dry_run": True}):
        status, out, err = command(**other)
        assert status == 2
        assert f"expected {tfmot.NAME} to be installed" in err
        assert "pip install 'tf_lottery[tfmot]'" in err
        assert err.count("error:") == 1 and "Traceback" not in err + out
    assert not any((tmp_path / "store").glob("*/result.*"))
    assert not (tmp_path / "runs").exists()


def test_other_arms_need_no_package(new_trainer, monkeypatch):
    monkeypatch.setattr(
        tfmot_schedule, "PACKAGES", {"no_such_module": tfmot.NAME}
    )
    rules = {"winning ticket": {}, ARM: {"peer": PRUNING}}
    rates = (("conv", None), (".", 0.2))
    engine = counting.Counting(new_trainer())
    Lottery(RECIPE, rules, rates, ("winning ticket",)).rehearse(engine)
    with pytest.raises(tfmot.PeerError, match="to be installed"):
        Lottery(RECIPE, rules, rates).rehearse(engine)


@pytest.mark.parametrize(
    "binding, expected",
    [
        ("tfmot_schedule.TfmotGradual.bgin = 0.1", "bgin"),
        ("PRUNING_BGIN = 0.1", "PRUNING_BEGIN.* received PRUNING_BGIN"),
        ("PRUNING_BEGIN = 'a'", "TfmotGradual.begin .*number, received 'a'"),
        ("PRUNING_BEGIN = 0.8", "in this order, received 0.8 and 0.5"),
        ("PRUNING_END = 1.1", "fractions of the steps.* received 0.1 and 1.1"),
        ("PRUNING_FREQUENCY = 0", "TfmotGradual.frequency .*received 0"),
        ("RULES = {'a': {'peers': 1}}", "one of criterion.*peer, rec.*'peers'"),
        ("RULES = {'a': {'peer': 1}}", r"peer .*@TfmotGradual\(\), rec.* 1"),
        ("BATCH_SIZE = 99999", "BATCH_SIZE .*3600.*received 99999"),
        (
            "OPTIMIZER = {'class_name': 'Adam', 'config': {}}",
            "received OPTIMIZER",
        ),
    ],
)
def test_what_is_wrong_is_named(command, binding, expected):
    status, out, err = command(binding)
    assert status == 2
    assert re.search(expected, err), err
    assert err.count("error:") == 1 and "Traceback" not in err + out


def test_an_arm_of_a_peer_has_no_other_field():
    assert Rule(peer=PRUNING).peer is PRUNING
    with pytest.raises(InvalidValue, match="no other field beside peer"):
        Rule(peer=PRUNING, one_shot=True)


@pytest.mark.parametrize(
    "code, expected",
    [
        ("print('No room', file=sys.stderr); sys.exit(3)", "3 and 'No room'"),
        ("os.kill(os.getpid(), 9)", "status -9 and ''"),
        ("print('[1, [', end='')", "status 0 and ''"),
        ("print(json.dumps([0, [], [0, 0]]))", "status 0 and ''"),
    ],
)
def test_a_process_that_dies_is_one_clear_error(
    new_trainer, stub, code, expected
):
    stub(code)
    trainer = new_trainer()
    ticket = trainer.new_ticket(RECIPE, 0)
    message = f"expected the process of {tfmot.NAME} .*{expected} of it"
    with pytest.raises(tfmot.PeerError, match=message):
        trainer.train(of_peer(ticket, 0))
    key = trainer.key(of_peer(ticket, 0))
    assert trainer.store.find(key) is None


def test_a_process_that_dies_does_so_before_anything_is_trained(
    command, stub, tmp_path
):
    stub("raise ImportError('tf_keras is too old')")
    status, out, err = command()
    assert status == 2
    assert "received status 1 and 'ImportError: tf_keras is too old'" in err
    assert err.count("error:") == 1 and "Traceback" not in err + out
    assert not any((tmp_path / "store").glob("*/result.*"))


def test_a_loss_that_is_not_finite_ends_the_process(new_trainer, stub):
    # Were it not killed, this would take a minute.
    stub(
        "import time\n"
        "for loss in (2.3, float('nan')):\n"
        "    row = ['train', 'loss', loss]\n"
        "    print(json.dumps([4, [row], [0, 0]]), flush=True)\n"
        "time.sleep(60)"
    )
    trainer = new_trainer()
    ticket = trainer.new_ticket(RECIPE, 0)
    with pytest.raises(Diverged, match="at step 4 of 10, seed 7"):
        trainer.train(of_peer(ticket, 7))


def test_the_process_is_told_all_that_decides_the_training(
    new_trainer, stub, tmp_path
):
    copy = f"shutil.copytree(sys.argv[1], {os.fspath(tmp_path / 'job')!r})"
    stub(f"import shutil; {copy}")
    trainer = new_trainer()
    ticket = trainer.new_ticket(RECIPE, 5)
    with pytest.raises(tfmot.PeerError):
        trainer.train(of_peer(ticket, 5))
    told = json.loads((tmp_path / "job" / "job.json").read_text())
    assert told["schedule"] == {"begin": 5, "end": 8, "frequency": 3}
    assert told["rates"] == RATES
    assert [x["class_name"] for x in told["layers"]] == [
        *("Conv2D", "MaxPooling2D", "Flatten", "Dense", "Dense")
    ]
    assert told["optimizer"]["config"]["epsilon"] == 1e-7
    source = trainer.source(RECIPE.task)
    with np.load(tmp_path / "job" / "job.npz") as arrays:
        for path, array in ticket.arrays().items():
            assert np.array_equal(arrays[path], array)
        rows = arrays["rows"]
        assert np.array_equal(rows, source.rows(5, 20, 0, 10))
        batch = source.take(tf.constant(rows[7]))
        assert np.array_equal(arrays["images"][rows[7]], batch["inputs"])
        assert np.array_equal(arrays["labels"][rows[7]], batch["targets"])
        assert arrays["images"].dtype == np.uint8


def test_everything_that_decides_a_training_is_in_its_hash(
    new_trainer, monkeypatch
):
    trainer = new_trainer()
    ticket = trainer.new_ticket(RECIPE, 0)
    args = [RECIPE, ticket, 0, PRUNING, RATES]

    def key(recipe, ticket, seed, schedule, rates):
        peer = PeerPruning(schedule, rates)
        return trainer.key(Training(recipe, ticket, seed, peer))

    keys = [key(*args), trainer.key(Training(*args[:3]))]
    for place, other in (
        (0, dataclasses.replace(RECIPE, steps=11)),
        (1, trainer.new_ticket(RECIPE, 1)),
        (2, 1),
        (3, dataclasses.replace(PRUNING, frequency=50)),
        (4, {**RATES, "fc/kernel": 0.4}),
    ):
        keys.append(key(*args[:place], other, *args[place + 1 :]))
    monkeypatch.setattr(tfmot_schedule, "version", lambda: "0.9")
    keys.append(key(*args))
    assert len(set(keys)) == len(keys)


def residual(shapes, mask, seed):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, keras.layers.Add()([x, x]))


def parallel(*args):
    inputs = keras.Input((8,))
    x = MaskedDense(8, name="first")(inputs)
    y = MaskedDense(8, name="second")(inputs)
    return keras.Model(inputs, [x, y])


def decayed(*args):
    return keras.Sequential(
        [keras.Input((8,)), MaskedDense(8, name="fc", kernel_regularizer="l2")]
    )


@pytest.mark.parametrize(
    "build, expected",
    [
        (residual, "Add 'add"),
        (parallel, "MaskedDense 'second'"),
        (decayed, "MaskedDense 'fc' with kernel_regularizer"),
    ],
)
def test_networks_that_the_peer_has_not(build, expected):
    model = build(Shapes((8, 8, 1), 10), fixed_mask, 0)
    with pytest.raises(InvalidValue, match=f"one after.*received {expected}"):
        tfmot_job.describe(model)


@pytest.mark.parametrize("network", [LeNet(), Conv(1), Conv(3)])
def test_networks_that_the_peer_has(network):
    model = network(Shapes((32, 32, 3), 10), fixed_mask, 0)
    described = tfmot_job.describe(model)
    names = [layer["config"]["name"] for layer in described]
    assert names == [layer.name for layer in model.layers[1:]]


def test_a_gradual_training_makes_its_last_mask_where_it_ends():
    for steps, expected in {
        50_000: MaskSteps(5_000, 35_000, 100),
        15_000: MaskSteps(1_500, 10_500, 100),
        1_030: MaskSteps(121, 721, 100),  # not 103
        100: MaskSteps(10, 70, 60),
        2: MaskSteps(0, 1, 1),
        1: MaskSteps(0, 1, 1),
    }.items():
        assert TfmotGradual(0.1, 0.7).schedule(steps) == expected
    whole = TfmotGradual(0.0, 1.0, frequency=7).schedule(100)
    assert whole == MaskSteps(2, 100, 7)


def test_a_network_counts_from_where_it_has_lost_its_weights():
    def records(remaining):
        for step, loss in enumerate((3.0, 1.0, 2.0, 2.5)):
            yield Record(0, ARM, 1, step, "validation", "loss", loss)
            yield Record(0, ARM, 1, step, "test", "accuracy", loss / 10)
        for step, value in remaining.items():
            yield Record(0, ARM, 1, step, "all", "remaining", value)

    for remaining, stop in (
        ({0: 0.5}, 1),
        ({3: 0.5}, 1),  # of a learned mask, known at the end only
        ({0: 1.0, 1: 0.5}, 1),
        ({0: 1.0, 1: 0.6, 2: 0.5}, 2),
        ({0: 1.0, 1: 0.4, 3: 0.5}, 1),
        ({}, 1),
    ):
        [line] = summary.summarize(records(remaining))
        assert line.stop_step == stop
        assert line.test_accuracy_at_stop == (0.1 if stop == 1 else 0.2)


def test_this_process_never_imports_the_peer():
    for name in MODULES:
        assert "tf_lottery.training.peers.tfmot_process" not in imports(name)
        code = ast.parse(MODULES[name].read_text()).body
        for node in code:  # at the top
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert "tensorflow_model_opt" not in ast.unparse(node), name
                assert "tf_keras" not in ast.unparse(node), name


def test_a_ticket_that_is_pruned_is_none_of_the_peers(new_trainer):
    trainer = new_trainer()
    ticket = trainer.new_ticket(RECIPE, 0)
    masks = {p: np.zeros_like(m) for p, m in ticket.masks.items()}
    pruned = ticket.pruned(ticket.weights, masks, ticket.frozen)
    with pytest.raises(InvalidValue, match="dense network for a peer"):
        trainer.train(of_peer(pruned, 0))


def test_what_is_rehearsed_is_not_counted(command, stub):
    stub(
        "for i in range(3):\n"
        "    print(json.dumps([i, [], [100 * i, 0]]))\n"
        "open(os.path.join(sys.argv[1], 'result.npz'), 'w').close()"
    )
    bindings = f"ARMS = ({ARM!r},)", "STEPS = 60", "EVAL_EVERY = 10"
    status, out, err = command(*bindings, dry_run=True)
    assert status == 0, err
    assert "3 trainings, 3 of them different: 0 stored, 3 to do" in out
    # Trials of the peer take 100 seconds for 10 steps; the rest is ours.
    assert 20 <= float(re.search(r"about ([\d.]+) minutes", out)[1]) < 21
