"""Keras layers with masks, and any model taken over by them.

Whoever imports one of its files has imported the classes that are registered
with Keras, so that files of masked models can be read from then on.
"""

from tf_lottery.masking import composites, layers, masks

__all__ = ["composites", "layers", "masks"]
