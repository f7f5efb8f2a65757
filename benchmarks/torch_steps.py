"""PyTorch: the same networks with masks in its eager mode, the optimizer fused.

Convolutions have the memory format "channels_last", bfloat16 is that of
`torch.autocast`, images lie in memory as bytes.
"""

import functools
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.measuring import Work
from benchmarks.nets import new_model
from tf_lottery.masking.masks import BernoulliMask, KernelMask
from tf_lottery.training.recipes import Recipe
from tf_lottery.workloads.examples import Resident


def torch_loop(recipe: Recipe, source: Resident, count: int) -> Work:
    """Returns what trains for `count` steps in PyTorch."""
    # The shapes are those of the recipe's network.
    model = new_model(recipe, source.shapes)
    mask = recipe.kernel_mask(seed=0)
    net = Net(list(model.layers), mask)
    net = net.to(memory_format=torch.channels_last)
    held = source.arrays()
    images, labels = held["inputs"], held["targets"]
    x = torch.from_numpy(np.moveaxis(images, -1, 1))  # bytes, channels last
    y = torch.from_numpy(labels.astype(np.int64))
    optimizer = _optimizer(recipe, net)
    low = recipe.dtype_policy == "mixed_bfloat16"
    rows = torch.from_numpy(
        source.rows(0, recipe.batch_size, 0, count).astype(np.int64)
    )

    def train() -> None:
        for row in rows:
            batch = x[row].to(torch.float32).div_(255)
            with torch.autocast("cpu", torch.bfloat16, enabled=low):
                logits = net(batch)
            loss = functional.cross_entropy(logits.float(), y[row])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return train


def _optimizer(recipe: Recipe, net: nn.Module) -> torch.optim.Optimizer:
    trained = [p for p in net.parameters() if p.requires_grad]
    config: dict[str, Any] = dict(recipe.optimizer["config"])
    kind = getattr(torch.optim, recipe.optimizer["class_name"])
    return kind(
        trained,
        lr=config["learning_rate"],
        fused=True,
        **{k: v for k, v in config.items() if k == "momentum"},
    )


class Net(nn.Module):
    """A network with the layers of a Keras one, and masks."""

    def __init__(self, layers: list[Any], mask: KernelMask) -> None:
        super().__init__()
        self.calls = nn.ModuleList()
        kinds = [type(layer).__name__ for layer in layers]
        last = len(kinds) - 1 - kinds[::-1].index("MaskedDense")
        for i, (kind, layer) in enumerate(zip(kinds, layers, strict=True)):
            if kind in ("MaskedDense", "MaskedConv2D"):
                self.calls.append(Masked(layer, mask, relu=i != last))
            elif kind == "MaxPooling2D":
                self.calls.append(nn.MaxPool2d(2))
            elif kind == "Flatten":
                self.calls.append(nn.Flatten())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns logits."""
        for call in self.calls:
            x = call(x)
        return x


class Masked(nn.Module):
    """A dense or convolutional layer whose weights pass through a mask."""

    def __init__(self, layer: Any, mask: KernelMask, relu: bool) -> None:
        super().__init__()
        shape = tuple(layer.raw_kernel.shape)
        if len(shape) == 2:
            self.inner: Any = nn.Linear(*shape, bias=layer.use_bias)
            self.product = functional.linear
        else:
            self.inner = nn.Conv2d(*shape[2:], 3, bias=layer.use_bias)
            self.product = functools.partial(functional.conv2d, padding=1)
        self.relu = relu
        self.learned = isinstance(mask, BernoulliMask)
        w = self.inner.weight
        if self.learned:
            w.requires_grad = False
            self.logits = nn.Parameter(torch.zeros_like(w))
        else:
            self.register_buffer("kept", (torch.rand_like(w) < 0.5).float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns what the layer does of a batch."""
        x = self.product(x, self.inner.weight * self.mask(), self.inner.bias)
        return functional.relu(x) if self.relu else x

    def mask(self) -> torch.Tensor:
        """Returns the mask; of a learned one a draw, scaled by its size."""
        if not self.learned:
            return self.kept
        p = torch.sigmoid(self.logits)
        z = (torch.rand_like(p) < p).float()
        z = z.detach() + (p - p.detach())
        return z * (z.numel() / z.sum())
