"""A training in a process of its own that can be told where to die.

    python tests/killable.py WORKDIR DATA_DIR POINT

POINT is "none"; "chunk N", killed while the N-th compiled call runs; "write N",
killed before the N-th rename; "half N", killed when half of the N-th file is
written; or "slow N", not killed, with N seconds more a call. Prints what the
training gave, as a hash.
"""

import functools
import os
import signal
import sys
import threading
import time

import tensorflow as tf

from tf_lottery.foundation import files, identity
from tf_lottery.foundation import store as store_lib
from tf_lottery.foundation.store import Store
from tf_lottery.masking.masks import BernoulliMask
from tf_lottery.training import steps, train
from tf_lottery.training.recipes import Recipe
from tf_lottery.training.request import Training
from tf_lottery.training.trainer import Trainer
from tf_lottery.workloads.classification import ImageClassification
from tf_lottery.workloads.images.image_sets import Images
from tf_lottery.workloads.models.lenet import LeNet

RECIPE = Recipe(
    model=LeNet((100,)),
    task=ImageClassification(Images("mnist_5k")),
    optimizer={
        "class_name": "Adam",
        "config": {"learning_rate": 0.01},
    },
    steps=180,
    batch_size=100,
    eval_every=30,
    kernel_mask=functools.partial(BernoulliMask, rescale=True),
    mask_samples=2,
)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class HalfWriter:
    """A file that dies with its process, half written."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.file.close()

    def write(self, data):
        self.file.write(data[: len(data) // 2])
        die()


def arm(kind, number):
    """Replaces what is called at the point, counting calls."""
    calls = 0

    def at_point():
        nonlocal calls
        calls += 1
        return calls == number

    if kind == "write":
        rename = os.replace

        def replace(*args):
            if at_point():
                die()
            rename(*args)

        files.os.replace = replace
    elif kind == "half":

        def opened(path, mode):
            file = open(path, mode, buffering=0)
            return HalfWriter(file) if at_point() else file

        files.open = opened
    elif kind == "slow":
        rows = steps.Resident.rows

        def slow(*args):
            time.sleep(number)
            return rows(*args)

        steps.Resident.rows = slow
    elif kind == "chunk":
        rows = steps.Resident.rows

        def counted(*args):
            # The trial of the task looks at two steps at most.
            if args[-1] > 2 and at_point():
                # The rows go into the compiled call at once after this.
                threading.Timer(0.002, die).start()
            return rows(*args)

        steps.Resident.rows = counted


def main():
    workdir, data_dir, point = sys.argv[1:]
    kind, _, number = point.partition(" ")
    if kind != "none":
        arm(kind, int(number))
    store_lib.CHECKPOINT_SECONDS = 0.0
    steps.STEPS_PER_CALL = 20
    train.SECONDS_PER_CALL = 1e9  # however slow this machine is
    trainer = Trainer(Store(workdir), tf.distribute.get_strategy(), data_dir)
    result = trainer.train(
        Training(RECIPE, trainer.new_ticket(RECIPE, 0), 0),
        report=lambda r: print("step", r.step, flush=True),
        waiting=lambda: print("waiting", flush=True),
    )
    # Without the seconds, which differ.
    print("digest", identity.digest([result.state, result.history]), flush=True)


if __name__ == "__main__":
    main()
