"""The authors' initialisation of encoder and pooler."""

import re

import torch
from torch import nn


@torch.no_grad()
def initialise(module: nn.Module) -> None:
    """Narrow normal weights, narrower in the last layers of deeper residual branches, two in each of `blocks`."""
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
            if match := re.fullmatch(r"blocks\.(\d+)\.(attn\.proj|mlp\.fc2)", name):
                layer.weight /= (2 * (int(match[1]) + 1)) ** 0.5
