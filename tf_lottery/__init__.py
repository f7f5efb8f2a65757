"""Lottery tickets and supermasks, reproduced in TensorFlow and Keras 3.

Importing the package is quick: nothing below it is loaded until it is named.
Start with `tf_lottery.layers` and `tf_lottery.masks` to mask a model of your
own, or with `python -m tf_lottery.main --help` to reproduce a paper.
"""

__version__ = "0.1.0"
