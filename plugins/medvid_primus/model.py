"""The Primus encoder: a transformer over cubes of voxels."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medvid.models.backbone import Backbone
from medvid.models.convolution import initialise
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.vit import drop_path_rates
from medvid.plugin import InputInfo
from medvid_primus.blocks import Block
from medvid_primus.config import PATCH, PrimusOptions
from medvid_primus.rotary import axial_angles
from medvid_primus.stems import make_stem


class Primus(Backbone):
    """The encoder of Primus, versions 1 to 3 (Wald et al., 2025), for volumes.

    Its map is the normalised tokens after the last block, its embedding their mean.

    Args:
        options: the backbone's options.
        input_info: what it will be fed.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, options: PrimusOptions, input_info: InputInfo) -> None:
        super().__init__()
        dim, self.num_heads, self.weights = options.hidden_size, options.num_heads, options.weights
        self.grid = tuple(length // PATCH for length in options.img_size)
        self.stem = make_stem(options, input_info.channels)
        self.positions = nn.Parameter(torch.empty(1, math.prod(self.grid), dim))
        self.blocks = nn.ModuleList(
            Block(dim, options.num_heads, options.layer_scale, rate)
            for rate in drop_path_rates(options.drop_path, options.num_layers)
        )
        self.norm = nn.LayerNorm(dim)
        angles = axial_angles(self.grid, dim // options.num_heads)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self.feature_info = FeatureInfo((MapInfo(dim, (PATCH,) * 3),), embedding=dim)
        initialise(self.stem)
        nn.init.trunc_normal_(self.positions, std=0.02)
        for layer in self.blocks.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    @property
    def layers(self) -> Sequence[nn.Module]:
        return [*self.blocks]

    @property
    def no_weight_decay(self) -> Sequence[str]:
        return ("positions",)

    def forward(self, input: Tensor) -> Features:
        """Map (B, C, *img_size) to one map (B, hidden_size, *(img_size / 8)) and an embedding.

        Raises:
            ValueError: the input has another size.
        """
        size = tuple(length * PATCH for length in self.grid)
        if tuple(input.shape[2:]) != size:
            raise ValueError(f"this Primus was built for inputs of size {list(size)}, not {list(input.shape[2:])}")
        tokens = self.stem(input).flatten(2).transpose(1, 2) + self.positions  # B, N, D
        for block in self.blocks:
            tokens = block(tokens, self.cos, self.sin)
        tokens = self.norm(tokens)
        maps = tokens.unflatten(1, self.grid).movedim(-1, 1)
        return Features((maps,), embedding=tokens.mean(dim=1))
