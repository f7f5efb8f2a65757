from tf_lottery.experiments.published import Published

PAPER = Published(
    source="A paper, table 1",
    accuracy={"init": 95.3},
    protocol={
        "data": "mnist",
        "steps": 440_000,
        "optimizer": {"config": {"learning_rate": 100.0}},
    },
)


def test_the_same_protocol_has_no_deviations():
    actual = {
        "data": "mnist",
        "steps": 440_000,
        "eval_every": 4400,  # which the paper's numbers do not depend on
        "optimizer": {"class_name": "SGD", "config": {"learning_rate": 100.0}},
    }
    assert PAPER.deviations(actual) == []


def test_every_difference_is_said():
    actual = {"steps": 600, "optimizer": {"config": {"learning_rate": 1.0}}}
    assert PAPER.deviations(actual) == [
        "data None instead of mnist",
        "optimizer: config: learning rate 1.0 instead of 100.0",
        "steps 600 instead of 440,000",
    ]
