"""Commands that were right but for one thing: none ends in a traceback.

A command is put together from the shipped files and right values, and one
thing in it is made wrong. It then either is accepted, where that may be, or
gets one line and the exit status 2. It is run up to where training starts.

    FUZZED_COMMANDS=3000 python -m pytest tests/whole/test_fuzzed_commands.py
"""

import contextlib
import io
import os
import re
import time
import tokenize
from dataclasses import dataclass, field

import commands
import pytest
from conftest import ROOT
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tf_lottery.experiments.running.counting import Counting
from tf_lottery.workloads.images import image_sets

CASES = int(os.environ.get("FUZZED_COMMANDS", "300"))
SECONDS = 10
"""In which a command is to answer, on a busy machine."""

BAD_WHOLE = (
    *("0", "-1", "0.5", "'three'", "None", "True", "(1,)", "{}", "2147483648"),
    *("1e400", "%UNDEFINED", "@nobody", "@no.body()", "10 ** 2", "[]", "5 6"),
)
BAD_OPTIONAL = tuple(text for text in BAD_WHOLE if text != "None")
BAD_NUMBER = ("'high'", "True", "1e400", "-1e400", "()", "{}", "1 / 2", "(")
BAD_SWITCH = ("'yes'", "1", "0", "0.0", "()")
ODD_NAMES = ("''", "'../x'", "'a b'", "'*'", "'данные'", "'a\\x00b'", "5", "()")


@dataclass
class Base:
    """A file of experiments with what makes it small, and values for it.

    Args:
        file: In gin/.
        small: Lines that make it small and need no download.
        good: Right values, by macro or parameter.
        bad: Wrong ones.
    """

    file: str
    small: str
    good: dict[str, tuple] = field(default_factory=dict)
    bad: dict[str, tuple] = field(default_factory=dict)


COMMON_GOOD = {
    "SEEDS": ("1", "3"),
    "STEPS": ("2", "60"),
    "EVAL_EVERY": ("1", "100"),
    "BATCH_SIZE": ("1", "20"),
    "LEARNING_RATE": ("0.1", "1e-3", "0.0"),
    "DTYPE_POLICY": ("'float32'", "'mixed_bfloat16'"),
}
COMMON_BAD = {
    "SEEDS": (*BAD_WHOLE, "1000001"),
    "STEPS": BAD_WHOLE,
    "EVAL_EVERY": BAD_WHOLE,
    "BATCH_SIZE": (*BAD_WHOLE, "9999999"),
    "LEARNING_RATE": (*BAD_NUMBER, "-0.1", "-1", "None"),
    "DTYPE_POLICY": ("'float8'", "32", "None", "('float32',)"),
    "ARMS": ("'init'", "('innit',)", "(5,)", "5", "((),)", "('',)", "{'a': 1}"),
    "plan.Plan.name": (*ODD_NAMES[:4], *ODD_NAMES[5:], f"'{'a' * 300}'"),
    "plan.Plan.experiment": ("5", "'x'", "None", "()", "@plan.Plan()"),
    "plan.Plan.published": ("5", "'x'", "{}"),
    "recipes.Recipe.model": ("5", "None", "'LeNet'", "@recipes.Recipe"),
    "recipes.Recipe.task": ("5", "None", "'mnist'", "@recipes.Recipe()"),
    "recipes.Recipe.kernel_mask": ("5", "'x'", "@plan.Plan", "None"),
    "recipes.Recipe.first_step": (*BAD_OPTIONAL, "99999"),
    "recipes.Recipe.optimizer": (
        *("5", "None", "{}", "'Adam'", "{'class_name': 'Adam'}"),
        "{'class_name': 'Adma', 'config': {}}",
        "{'class_name': 5, 'config': {}}",
        "{'class_name': 'Adam', 'config': 5}",
        *(
            f"{{'class_name': '{kind}', 'config': {{'learning_rate': 0.1, "
            f"'{argument}': {value}}}}}"
            for kind, arguments in {
                "Adam": ("beta_1", "beta_2", "epsilon", "weight_decay"),
                "SGD": ("momentum", "clipnorm", "clipvalue", "ema_momentum"),
                "RMSprop": ("rho", "global_clipnorm", "loss_scale_factor"),
            }.items()
            for argument in arguments
            for value in ("-1", "-0.5", "'x'", "1e400", "True")
        ),
        *(
            "{'class_name': 'SGD', 'config': {'learning_rate': {'class_name': "
            f"'CosineDecay', 'config': {{{config}}}}}}}"
            for config in (
                "'initial_learning_rate': -0.1, 'decay_steps': 10",
                "'initial_learning_rate': 0.1, 'decay_steps': 0",
                "'initial_learning_rate': 0.1, 'decay_steps': 9, 'alpha': 2.0",
                "",
            )
        ),
    ),
}
IMAGES_BAD = {
    "DATA": (*ODD_NAMES, "'mnits'", "None"),
    "image_sets.Images.validation": (*BAD_OPTIONAL, "4000", "99999"),
    "image_sets.Images.stream": BAD_SWITCH,
    "lenet.LeNet.hidden": (
        *("5", "('a',)", "(0,)", "(-3,)", "(2.5,)", "'ab'", "None"),
        "(1000000000,)",
    ),
    "lenet.LeNet.use_bias": BAD_SWITCH,
    "classification.ImageClassification.images": ("5", "None", "@plan.Plan"),
}
SMALL = (ROOT / "gin" / "smoke.gin").read_text()
ROUNDS = {
    "ROUNDS": (
        *("()", "3", "(0,)", "(3, 2)", "(2, 2)", "('a',)", "(1.5,)", "None"),
        *("'12'", "{1: 2}", "(True,)", "(2147483648,)"),
    ),
    "SCOPE": ("'all'", "3", "None", "()", "('layer',)"),
    "REWIND_STEP": ("0", "-1", "'a'", "0.5", "True", "99999", "()"),
    "TEST_AT_STOP": ("False", "1", "'yes'", "()"),
    "RATES": (
        *("2.0", "'x'", "()", "(('fc', 0.2),)", "((5, 0.2), ('output', 0.1))"),
        *("(('(', 0.2), ('output', 0.1))", "(('fc', -1), ('output', 0.1))"),
        *("(('fc', 1.0), ('output', 0.1))", "(('fc', 'a'), ('output', 0.1))"),
        *("('fc', 'output')", "None", "{'fc': 0.2}"),
    ),
    "RULES": (
        *("{}", "5", "None", "{'a': 5}", "{'a': {'criteria': 3}}", "{5: {}}"),
        *("{'a': {'criterion': 'large_final'}}", "{'a': {'one_shot': 'yes'}}"),
        *("{'a': {'draw': 0}}", "{'': {}}", "{'a': {'mask1': @plan.Plan}}"),
        *("{'a': {'peer': 5}}", "{'a': {'untrained': 1}}", "{'a': None}"),
        f"{{'{'a' * 300}': {{}}}}",
    ),
    "lottery.Lottery.gradient_examples": BAD_WHOLE,
    "lottery.Lottery.recipe": ("5", "None", "@recipes.Recipe", "'x'"),
}
BASES = [
    Base(
        "supermask.gin",
        SMALL,
        {
            **COMMON_GOOD,
            "ARMS": ("('init',)", "('DWR init', 'init')"),
            "INITIAL_LOGIT": ("None", "0.5", "-2"),
            "MASK_SAMPLES": ("1", "3"),
        },
        {
            **COMMON_BAD,
            **IMAGES_BAD,
            "ARMS": (*COMMON_BAD["ARMS"], "('init', 'init')", "()", "None"),
            "INITIAL_LOGIT": BAD_NUMBER,
            "MASK_SAMPLES": BAD_WHOLE,
            "supermask.Supermask.recipe": ("5", "None", "@recipes.Recipe"),
            "published.Published.accuracy": ("5", "{'init': 'a'}", "None"),
            "published.Published.protocol": ("5", "None", "()"),
            "published.Published.source": ("5", "''", "None"),
        },
    ),
    *(
        Base(
            file,
            SMALL,
            {
                **COMMON_GOOD,
                "ROUNDS": ("(1,)", "[2, 5]"),
                "REWIND_STEP": ("None", "1"),
                "TEST_AT_STOP": ("True", "None"),
                "RATES": ("(('.', 0.5),)", "(('fc', 0.2), ('output', None))"),
                "SCOPE": ("'layer'",),
                "ARMS": ("()", "None"),
            },
            {**COMMON_BAD, **IMAGES_BAD, **ROUNDS},
        )
        for file in ("lottery_tickets.gin", "mask0_actions.gin")
    ),
    Base(
        "grokking.gin",
        "MODULUS = 11\nBATCH_SIZE = 20\nSTEPS = 4\nEVAL_EVERY = 2\n",
        {
            **COMMON_GOOD,
            "MODULUS": ("13", "31"),
            "FRACTION": ("0.3", "0.75"),
            "WEIGHT_DECAY": ("0.0", "0.1"),
            "ARMS": ("()", "('weight decay',)"),
        },
        {
            **COMMON_BAD,
            "MODULUS": (*BAD_WHOLE, "1", "1000000000"),
            "FRACTION": (*BAD_NUMBER, "0", "1.5", "-1", "None"),
            "WEIGHT_DECAY": (*BAD_NUMBER, "-0.5"),
            "VARIANTS": (
                *("{}", "5", "{'a': 5}", "{'a': {'stepz': 3}}", "None"),
                *("{'a': {'steps': 0}}", "{5: {}}", "{'a': {'model': 3}}"),
            ),
            "token_mlp.TokenMlp.width": (*BAD_WHOLE, "1000000000"),
            "token_mlp.TokenMlp.hidden": IMAGES_BAD["lenet.LeNet.hidden"],
        },
    ),
    Base(
        "next_character.gin",
        "BATCH_SIZE = 20\nSTEPS = 4\nEVAL_EVERY = 2\n",
        {**COMMON_GOOD, "CONTEXT": ("1", "8")},
        {
            **COMMON_BAD,
            "TEXT": ("5", "''", "'no/such/file.txt'", "None", "'gin'", "()"),
            "CONTEXT": (*BAD_WHOLE, "1000000000"),
            "language.NextCharacter.stream": BAD_SWITCH,
        },
    ),
]
BAD_FLAGS = [
    *(["--workers=0"], ["--workers=x"], ["--workers="], ["--strategy=x"]),
    *(["--dry_run=maybe"], ["--gin_fiel=x"], ["--gin_file"], ["--x"]),
    *(["--data_dir="], ["--workdir="], ["stray"], ["--", "--stray"]),
    *(["--profile", "--workers=2"], ["--gin_file=gin/none.gin"]),
    *(["--gin_file="], ["--gin_file=gin"], ["--gin_bindings"]),
    *(["--import_module=no_such"], ["--import_module="], ["--strategy="]),
    *(["--gin_file=gin/mask_criteria.gin"], ["--gin_bindings=\x00"]),
    *(["--gin_file=gin/heuristic_supermask.gin"], ["--profile=2"]),
    *(["--verbosity=x"], ["--stderrthreshold=x"], ["--flagfile=none"]),
]


@dataclass
class Command:
    """A command with one wrong thing.

    Args:
        data: Of its gin file.
        flags: Beside that file.
        wrong: Whether it must be refused; None if it may be.
    """

    data: bytes
    flags: list[str]
    wrong: bool | None


def names_in(text):
    """Where the names of a gin file are, as pairs of (begin, end)."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [
        (starts[t.start[0] - 1] + t.start[1], starts[t.end[0] - 1] + t.end[1])
        for t in tokens
        if t.type == tokenize.NAME and len(t.string) > 3
    ]


@st.composite
def mutated(draw):
    base = draw(st.sampled_from(BASES))
    text = f"{(ROOT / 'gin' / base.file).read_text()}\n{base.small}"
    names = draw(st.sets(st.sampled_from(sorted(base.good)), max_size=3))
    lines = [
        f"{n} = {draw(st.sampled_from(base.good[n]))}" for n in sorted(names)
    ]
    kind = draw(
        st.sampled_from(
            [
                *("none", "value", "value", "value", "value", "name", "macro"),
                *("token", "cut", "bytes", "twice", "without", "flag", "line"),
            ]
        )
    )
    flags, data, wrong = [], None, None
    if kind == "value":
        name = draw(st.sampled_from(sorted(base.bad)))
        lines = [line for line in lines if not line.startswith(f"{name} =")]
        lines.append(f"{name} = {draw(st.sampled_from(base.bad[name]))}")
        wrong = True
    elif kind == "macro":
        name = draw(st.sampled_from(sorted(base.good)))
        place = draw(st.integers(1, len(name)))
        lines.append(f"{name[:place]}Q{name[place:]} = 3")
        wrong = True
    elif kind == "name":
        begin, end = draw(st.sampled_from(names_in(text)))
        place = draw(st.integers(begin + 1, end))
        text = f"{text[:place]}q{text[place:]}"
        wrong = True
    elif kind == "flag":
        flags = draw(st.sampled_from(BAD_FLAGS))
        wrong = True
    elif kind == "token":
        place = draw(st.integers(0, len(text)))
        less = draw(st.integers(0, 3))
        more = draw(st.text("()[]{}=@%:,.\"'\\\n\t #+-*/a0é\x00", max_size=3))
        text = text[:place] + more + text[place + less :]
    elif kind == "cut":
        text = text[: draw(st.integers(0, len(text)))]
    elif kind == "bytes":
        place = draw(st.integers(0, len(text)))
        more = draw(st.binary(min_size=1, max_size=8))
        data = text[:place].encode() + more + text[place:].encode()
    elif kind in ("twice", "without"):
        every = text.splitlines(keepends=True)
        place = draw(st.integers(0, len(every) - 1))
        every[place : place + 1] = [every[place]] * 2 * (kind == "twice")
        text = "".join(every)
    elif kind == "line":
        lines.append(draw(st.text(max_size=30)))
    else:
        wrong = False
    if draw(st.booleans()):
        flags = [*(f"--gin_bindings={line}" for line in lines), *flags]
    elif data is None and kind not in ("name", "cut", "value", "line"):
        text += "\n".join(["", *lines, ""])
    else:
        flags = [*(f"--gin_bindings={line}" for line in lines), *flags]
    return Command(text.encode() if data is None else data, flags, wrong)


@pytest.fixture(scope="module")
def place(tmp_path_factory, data_dir):
    """Where commands are run, without a network and up to the training."""
    folder = tmp_path_factory.mktemp("fuzzed")

    def rehearse(plan, trainer, console):
        plan.experiment.rehearse(Counting(trainer))
        assert trainer.source(plan.experiment.recipe.task).sizes["train"]

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(image_sets, "_online", lambda: False)
        patch.setattr(commands.main, "print_count", rehearse)
        yield folder


@settings(
    max_examples=CASES,
    derandomize="FUZZED_COMMANDS" not in os.environ,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(command=mutated())
def test_one_wrong_thing_gets_one_line(place, data_dir, command):
    file = place / "fuzzed.gin"
    file.write_bytes(command.data)
    began = time.monotonic()
    with contextlib.redirect_stderr(io.StringIO()) as err:
        status = commands.run(
            *("--dry_run", f"--workdir={place}", f"--data_dir={data_dir}"),
            *(f"--gin_file={file}", *command.flags),
        )
    said = err.getvalue()
    event("refused" if said else "accepted")
    assert time.monotonic() - began < SECONDS
    assert status == 2 if said else status == 0, said
    assert not said or commands.is_one_line(said), said
    assert command.wrong is None or command.wrong == bool(said), said
    assert not re.search("Traceback| at 0x", said), said
