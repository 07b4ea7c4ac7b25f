"""VideoMAE's encoder: a ViT over tubelets with fixed positions, without a class token."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.tubelets import Grid, TubeletEmbedding, as_map
from medvid.models.vit import Block, drop_path_rates
from medvid.models.weights import resize_positions
from medvid.plugin import InputInfo
from medvid_videomae.config import VideoMAEOptions


class QueryKeyValue(nn.Linear):
    """Project tokens (B, N, D) to queries, keys and values (B, N, 3 * D); keys have no bias, it would cancel out.

    Args:
        dim: width of a token.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim, 3 * dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))

    def forward(self, input: Tensor) -> Tensor:
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        return functional.linear(input, self.weight, bias)


class VideoMAE(Backbone):
    """The encoder of VideoMAE (Tong et al., NeurIPS 2022, section 3).

    Its maps are the tokens after the blocks ``options.taps`` and the final ones, at the resolution of the tubelets.

    Args:
        options: the backbone's options.
        input_info: what it will be fed.
    """

    positions: Tensor
    """Fixed, (1, N, D)."""

    def __init__(self, options: VideoMAEOptions, input_info: InputInfo) -> None:
        super().__init__()
        self.grid, self.taps = options.grid, options.taps
        dim = options.embed_dim
        self.tubelet_embedding = TubeletEmbedding(input_info.channels, dim, options.tubelet)
        self.register_buffer("positions", sinusoids(math.prod(options.grid), dim), persistent=False)
        rates = drop_path_rates(options.drop_path_rate, options.depth)
        blocks = [Block(dim, options.mlp_dim, options.num_heads, drop_path=rate) for rate in rates]
        for block in blocks:
            block.attn.qkv = QueryKeyValue(dim)
        self.blocks = nn.ModuleList(blocks)
        self.norm = None if options.use_mean_pooling else nn.LayerNorm(dim, eps=1e-6)
        self.fc_norm = nn.LayerNorm(dim, eps=1e-6) if options.use_mean_pooling else None
        self.blocks.apply(_initialise)
        map_info = MapInfo(dim, options.tubelet)
        self.feature_info = FeatureInfo((map_info,) * (len(options.taps) + 1), embedding=dim)

    def forward(self, input: Tensor) -> Features:
        """Map (B, C, T, H, W) to maps (B, D, *grid) and an embedding (B, D).

        Raises:
            ValueError: the clip does not divide into tubelets.
        """
        grid = self.tubelet_embedding.grid_of(input)
        tokens = self.tubelet_embedding(input) + self.positions_of(grid)  # B, N, D
        tapped = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in self.taps:
                tapped.append(tokens)
        if self.norm is not None:
            tokens = self.norm(tokens)
        embedding = tokens.mean(dim=1)
        if self.fc_norm is not None:
            embedding = self.fc_norm(embedding)
        return Features(maps=tuple(as_map(each, grid) for each in (*tapped, tokens)), embedding=embedding)

    def positions_of(self, grid: Grid) -> Tensor:
        """The position table (1, N, D) of a grid."""
        return resize_positions(self.positions, self.grid, grid, "linear")

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """The transformer blocks."""
        return tuple(self.blocks)


def sinusoids(count: int, dim: int) -> Tensor:
    """Positions (1, count, dim) of tokens in a row (Vaswani et al., 2017, section 3.5), as the clip's are taken here.

    Sines and cosines alternate. They are computed in float64: angles are as large as `count`.
    """
    exponents = torch.arange(dim, dtype=torch.float64) // 2 * (2 / dim)
    angles = torch.arange(count, dtype=torch.float64).unsqueeze(1) * 10000.0**-exponents
    table = torch.where(torch.arange(dim) % 2 == 0, angles.sin(), angles.cos())
    return table.float().unsqueeze(0)


def _initialise(module: nn.Module) -> None:
    """As the authors' code for fine-tuning."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
