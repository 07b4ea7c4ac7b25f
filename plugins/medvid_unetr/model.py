"""The UNETR encoder: a ViT over non-overlapping patches, tapped at several depths."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.vit import Block
from medvid.plugin import InputInfo
from medvid_unetr.config import UNETROptions


class PatchEmbedding(nn.Module):
    """Cut the input into patches, project each to a token and add its learned position (UNETR, equation 1).

    Args:
        options: the backbone's options.
        channels: channels of the input.
    """

    def __init__(self, options: UNETROptions, channels: int) -> None:
        super().__init__()
        self.patch_size = options.patch_size
        self.grid = tuple(size // options.patch_size for size in options.img_size)
        voxels = options.patch_size ** len(self.grid)
        self.projection = nn.Linear(voxels * channels, options.hidden_size)
        self.positions = nn.Parameter(torch.empty(1, math.prod(self.grid), options.hidden_size))
        self.dropout = nn.Dropout(options.dropout_rate)
        nn.init.trunc_normal_(self.positions, std=0.02)
        if options.proj_type == "perceptron":  # a convolution is initialised as nn.Linear is
            nn.init.trunc_normal_(self.projection.weight, std=0.02)
            nn.init.zeros_(self.projection.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, *S) to tokens (B, N, D), last axis of the grid fastest.

        Raises:
            ValueError: *S is not the img_size that the positions are for.
        """
        size = tuple(length * self.patch_size for length in self.grid)
        if input.shape[2:] != size:
            raise ValueError(f"this UNETR was built for inputs of size {list(size)}, not {list(input.shape[2:])}")
        return self.dropout(self.projection(self._patches(input)) + self.positions)

    def _patches(self, input: Tensor) -> Tensor:
        """(B, C, *S) to (B, N, patch voxels * C), channels fastest."""
        rank = len(self.grid)
        cells = [length for count in self.grid for length in (count, self.patch_size)]
        x = input.movedim(1, -1).reshape(len(input), *cells, -1)  # B, grid[0], patch, grid[1], patch, ..., C
        order = [0, *range(1, 2 * rank, 2), *range(2, 2 * rank + 1, 2), 2 * rank + 1]
        return x.permute(order).flatten(1 + rank).flatten(1, rank)


class UNETR(Backbone):
    """The encoder of UNETR (Hatamizadeh et al., WACV 2022, section 3.1), for volumes and for images.

    Its maps are the tokens after the blocks ``options.taps`` (not normalised) and the normalised final tokens, all at
    the resolution of the patches; its embedding is the mean of the final tokens.

    Args:
        options: the backbone's options.
        input_info: what it will be fed.
    """

    def __init__(self, options: UNETROptions, input_info: InputInfo) -> None:
        super().__init__()
        self.taps = options.taps
        self.patch_embedding = PatchEmbedding(options, input_info.channels)
        self.blocks = nn.ModuleList(
            Block(
                options.hidden_size,
                options.mlp_dim,
                options.num_heads,
                qkv_bias=options.qkv_bias,
                dropout=options.dropout_rate,
                eps=1e-5,
            )
            for _ in range(options.num_layers)
        )
        self.norm = nn.LayerNorm(options.hidden_size, eps=1e-5)
        map_info = MapInfo(options.hidden_size, (options.patch_size,) * len(options.img_size))
        self.feature_info = FeatureInfo(maps=(map_info,) * (len(options.taps) + 1), embedding=options.hidden_size)

    @property
    def layers(self) -> Sequence[nn.Module]:
        return [*self.blocks]

    def forward(self, input: Tensor) -> Features:
        """Map (B, C, *img_size) to maps (B, hidden_size, *(img_size / patch_size)) and an embedding.

        Raises:
            ValueError: the input has another size.
        """
        tokens = self.patch_embedding(input)  # B, N, D
        tapped = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in self.taps:
                tapped.append(tokens)
        tokens = self.norm(tokens)
        return Features(maps=tuple(map(self._as_map, [*tapped, tokens])), embedding=tokens.mean(dim=1))

    def _as_map(self, tokens: Tensor) -> Tensor:
        """(B, N, D) to (B, D, *grid), a view with channels last in memory."""
        return tokens.reshape(len(tokens), *self.patch_embedding.grid, -1).movedim(-1, 1)
