from tf_lottery.foundation.deviations import deviations

PAPER = {
    "data": "mnist",
    "steps": 440_000,
    "optimizer": {"config": {"learning_rate": 100.0}},
}


def test_the_same_protocol_has_no_deviations():
    actual = {
        "data": "mnist",
        "steps": 440_000,
        "eval_every": 4400,  # which the paper's numbers do not depend on
        "optimizer": {"class_name": "SGD", "config": {"learning_rate": 100.0}},
    }
    assert deviations(PAPER, actual) == []


def test_every_difference_is_said():
    actual = {"steps": 600, "optimizer": {"config": {"learning_rate": 1.0}}}
    assert deviations(PAPER, actual) == [
        "data None instead of mnist",
        "optimizer: config: learning rate 1.0 instead of 100.0",
        "steps 600 instead of 440,000",
    ]
