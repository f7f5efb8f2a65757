"""Hashes that must not change: they are what results are found by.

A change of one of them means that the same recipe, ticket or plan is another
one from now on: stored trainings are not found, and are trained again. So a
change of these literals is a change of results. If the results themselves
changed, raise `request.FORMAT` and say so in the changelog; if they did not,
the change is a fault (a field without a default of None, a fixed name that was
edited, another canonical form).
"""

import functools

import numpy as np
import pytest
from absl import flags, logging
from conftest import ROOT

import gin
from tf_lottery import configuration
from tf_lottery.experiments.arms import Rule
from tf_lottery.foundation import identity
from tf_lottery.masking.masks import BernoulliMask
from tf_lottery.rules import criteria, sensitivity
from tf_lottery.rules.forgetting import Forgetting
from tf_lottery.rules.n_of_m import n_of_m
from tf_lottery.rules.tickets import Ticket
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.request import Training
from tf_lottery.workloads.algorithms import ModularAddition
from tf_lottery.workloads.classification import ImageClassification
from tf_lottery.workloads.images.image_sets import Images
from tf_lottery.workloads.language import NextCharacter
from tf_lottery.workloads.models.conv import Conv
from tf_lottery.workloads.models.lenet import LeNet
from tf_lottery.workloads.models.token_mlp import TokenMlp

SUPERMASK = Recipe(
    model=LeNet(use_bias=False),
    optimizer={
        "class_name": "SGD",
        "config": {"learning_rate": 100.0, "momentum": 0.9},
    },
    batch_size=250,
    kernel_mask=functools.partial(BernoulliMask, rescale=True),
)
CONV = Recipe(
    model=Conv(2), task=ImageClassification(Images("cifar10")), first_step=500
)
WEIGHTS = np.arange(6, dtype=np.float32).reshape(2, 3)
TICKET = Ticket(
    {"fc1/kernel": WEIGHTS},
    {
        "fc1/kernel_mask/value": WEIGHTS > 2,
        "fc1/kernel_mask/frozen": np.zeros_like(WEIGHTS),
        "fc1/bias": np.zeros(3, np.float32),
    },
)
TRAINING = Training(Recipe(steps=100), TICKET, 7)
PINNED = {
    "default recipe": (Recipe(), "ddfec17c9de938a0"),
    "supermask recipe": (SUPERMASK, "0ba532e9d589277f"),
    "conv recipe": (CONV, "505f082cb8390ed2"),
    "addition": (
        Recipe(model=TokenMlp(), task=ModularAddition()),
        "70540147ef0ac672",
    ),
    "text": (
        Recipe(model=TokenMlp(24, (256,)), task=NextCharacter()),
        "80b7ef0ff9894de0",
    ),
    "default forgetting": (Forgetting(), "ee81645d05c820cb"),
    "forgetting by snip": (Forgetting(sensitivity.snip), "dd0b6f187b01bac6"),
    "default rule": (Rule(), "112c43cc74fb822a"),
    "one-shot rule": (
        Rule(criteria.movement, one_shot=True),
        "01afd8b83435dec5",
    ),
    "2 of 4": (n_of_m(2, 4, criteria.large_init), "cda7d6b92955c713"),
    "ticket": (TICKET.arrays(), "02d2e18c16ff2473"),
    "training": (TRAINING.key("images"), "b500d65d417b4037"),
    "training of a supermask": (
        Training(SUPERMASK, TICKET, 0).key("images"),
        "2759d0938879b8fd",
    ),
}


@pytest.mark.parametrize("name", PINNED)
def test_a_hash_is_the_one_that_results_are_found_by(name):
    value, pinned = PINNED[name]
    found = value if isinstance(value, str) else identity.digest(value)
    assert found[:16] == pinned


PLANS = {
    "supermask.gin": "1bfcb6d77faddb54",
    "lottery_tickets.gin": "b75d1cadfe8cf55e",
    "mask_criteria.gin": "b2814cbe896485fe",
    "heuristic_supermask.gin": "567d502feb43c1fe",
    "grokking.gin": "32fb7a5c405021ac",
    "next_character.gin": "4db85be52b7481d7",
    "zhou2019/init_variants/conv4.gin": "4fc1c9824af1bd09",
}


@pytest.mark.parametrize("name", PLANS)
def test_the_plan_of_a_gin_file_is_the_one_it_was(name):
    verbosity = logging.get_verbosity()
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["main"])
    plan, _ = configuration.read_plan([str(ROOT / "gin" / name)], [])
    gin.clear_config(clear_constants=True)
    logging.set_verbosity(verbosity)
    assert identity.digest(plan)[:16] == PLANS[name]
