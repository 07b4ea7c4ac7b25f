"""MViT v1 and v2: resolution falls and width grows from stage to stage, by pooling in the attention.

One network of our own for both, since no library's builder does both, gives a pyramid of features, or attends with
torch's fused kernels; the tests build pytorchvideo's and torchvision's and compare.
"""

import math

import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.resize import resize
from medvid.models.vit import MLP, drop_path_rates
from medvid.plugin import InputInfo
from medvid_mvit.attention import PoolingAttention
from medvid_mvit.config import MViTOptions
from medvid_mvit.geometry import BlockSetting, Grid
from medvid_mvit.pooling import FixedPool, as_map, as_tokens, split_tokens

EPS = 1e-6


class PatchEmbedding(nn.Module):
    """Make tokens of a clip by a convolution, and add their learned positions (MViT, section 3.2).

    Args:
        options: the backbone's options.
        channels: channels of the clip.
        grid: patches along time, height and width.
        table_grid: the grid that the tables of positions are for.
    """

    def __init__(self, options: MViTOptions, channels: int, grid: Grid, table_grid: Grid) -> None:
        super().__init__()
        self.grid, self.table_grid = grid, table_grid
        dim, class_tokens = options.blocks[0].input_channels, int(options.cls_embed_on)
        separate = options.use_abs_pos and options.sep_pos_embed
        joint = options.use_abs_pos and not options.sep_pos_embed
        self.projection = nn.Conv3d(channels, dim, options.patch_kernel, options.patch_stride, options.patch_padding)
        self.class_token = _table(class_tokens, dim)
        self.class_position = _table(class_tokens if separate else 0, dim)
        self.temporal_positions = _table(table_grid[0] if separate else 0, dim)
        self.spatial_positions = _table(table_grid[1] * table_grid[2] if separate else 0, dim)
        self.positions = _table(class_tokens + math.prod(table_grid) if joint else 0, dim)
        self.dropout = nn.Dropout(options.dropout_rate)
        self.norm = nn.LayerNorm(dim, eps=EPS) if options.norm_stem else nn.Identity()

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, T, H, W) to tokens (B, N, D): the class token, if any, then patches, width fastest."""
        tokens = self.projection(input).flatten(2).transpose(1, 2)
        if self.class_token is not None:
            tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], dim=1)
        positions = self._positions()
        if positions is not None:
            tokens = tokens + positions
        return self.norm(self.dropout(tokens))

    def _positions(self) -> Tensor | None:
        """Of all tokens, (1, N, D)."""
        if self.positions is not None:
            first, patches = split_tokens(self.positions, 0 if self.class_token is None else 1)
            return torch.cat([first, self._resized(patches)], dim=1)
        if self.temporal_positions is None or self.spatial_positions is None:
            return None
        patches = self._resized((self.temporal_positions[:, :, None] + self.spatial_positions[:, None]).flatten(1, 2))
        return patches if self.class_position is None else torch.cat([self.class_position, patches], dim=1)

    def _resized(self, patches: Tensor) -> Tensor:
        """The positions (1, N, D) of the tables' grid, interpolated to that of the clips."""
        if self.grid == self.table_grid:
            return patches
        table = resize(as_map(patches, self.table_grid), self.grid)
        return as_tokens(table)


class Block(nn.Module):
    """Pooling attention and an MLP, each with a norm before it and a residual connection around it.

    Where a block widens its tokens, a projection of what was normalised stands for the residual connection.

    Args:
        options: the backbone's options.
        setting: the block's.
        grid: patches along time, height and width.
        table_grid: the grid that the tables of relative positions are for.
        drop_path: probability of skipping a residual branch for an example.
    """

    def __init__(
        self, options: MViTOptions, setting: BlockSetting, grid: Grid, table_grid: Grid, drop_path: float
    ) -> None:
        super().__init__()
        dim, dim_out, attended = setting.input_channels, setting.output_channels, options.attention_channels(setting)
        self.norm1 = nn.LayerNorm(dim, eps=EPS)
        self.attn = PoolingAttention(options, setting, grid, table_grid)
        self.pool_skip: nn.Module = nn.Identity()
        if setting.pool_q and math.prod(setting.pool_q.stride) > 1:
            self.pool_skip = FixedPool("max", setting.pool_q.skip, grid, class_token=options.cls_embed_on)
        self.norm2 = nn.LayerNorm(attended, eps=EPS)
        self.mlp = MLP(attended, int(attended * options.mlp_ratio), dim_out, dropout=options.dropout_rate)
        self.proj = nn.Linear(dim, dim_out) if dim != dim_out else None
        self.dim_mul_in_att = options.dim_mul_in_att
        self.gamma_1 = _scale(options, attended)
        self.gamma_2 = _scale(options, dim_out)
        self.drop_path = StochasticDepth(drop_path, mode="row")

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, D) to (B, N', D')."""
        normed = self.norm1(x)
        if self.proj is not None and self.dim_mul_in_att:
            x = self.proj(normed)
        x = self.pool_skip(x) + self.drop_path(_scaled(self.attn(normed), self.gamma_1))
        normed = self.norm2(x)
        if self.proj is not None and not self.dim_mul_in_att:
            x = self.proj(normed)
        return x + self.drop_path(_scaled(self.mlp(normed), self.gamma_2))


class MViT(Backbone):
    """Multiscale vision transformer, v1 (Fan et al., ICCV 2021) and v2 (Li et al., CVPR 2022), for clips of one size.

    Its maps are the patches behind the last block of each stage, before the next one pools them; the last map is
    normalised, the others are not. Its embedding is the normalised class token, or the mean of the last map, or with
    ``use_mean_pooling`` the norm of a mean.

    Args:
        options: the backbone's options.
        input_info: what it will be fed.

    Raises:
        ValueError: clips of this size cannot be pooled as the options say.
    """

    def __init__(self, options: MViTOptions, input_info: InputInfo) -> None:
        super().__init__()
        self.size, self.class_tokens = input_info.size, int(options.cls_embed_on)
        self.mean_first = options.use_mean_pooling
        settings, self.grids = options.blocks, options.grids(input_info.size)
        rates = drop_path_rates(options.droppath_rate, len(settings))
        table_grids = _table_grids(options, options.table_size or self.size)
        self.patch_embedding = PatchEmbedding(options, input_info.channels, self.grids[0], table_grids[0])
        self.blocks = nn.ModuleList(
            Block(options, setting, grid, table_grid, rate)
            for setting, grid, table_grid, rate in zip(settings, self.grids[:-1], table_grids, rates, strict=True)
        )
        width = settings[-1].output_channels
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.stage_ends = [
            index - 1 for index, setting in enumerate(settings) if index and math.prod(_stride(setting)) > 1
        ]
        self.apply(_initialise)
        maps = [
            MapInfo(settings[index].output_channels, _total_stride(options, index))
            for index in [*self.stage_ends, len(settings) - 1]
        ]
        self.feature_info = FeatureInfo(maps=tuple(maps), embedding=width)

    def forward(self, input: Tensor) -> Features:
        """Map (B, C, T, H, W) to a pyramid of maps (B, C_i, T_i, H_i, W_i) and an embedding.

        Raises:
            ValueError: the input has another size than the model was built for.
        """
        if input.shape[2:] != self.size:
            raise ValueError(f"this MViT was built for clips of size {list(self.size)}, not {list(input.shape[2:])}")
        tokens = self.patch_embedding(input)  # B, N, D
        maps = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in self.stage_ends:
                maps.append(self._as_map(tokens, index))
        normed = self.norm(tokens)
        maps.append(self._as_map(normed, len(self.blocks) - 1))
        if self.mean_first:
            embedding = self.norm(tokens[:, self.class_tokens :].mean(dim=1))
        else:
            embedding = normed[:, 0] if self.class_tokens else normed.mean(dim=1)
        return Features(maps=tuple(maps), embedding=embedding)

    def _as_map(self, tokens: Tensor, index: int) -> Tensor:
        """The patches behind a block as a map: a view, with channels last in memory."""
        return as_map(tokens[:, self.class_tokens :], self.grids[index + 1])

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """The transformer blocks."""
        return tuple(self.blocks)

    @property
    def no_weight_decay(self) -> tuple[str, ...]:
        """The class token and all tables of positions."""
        return tuple(name for name, _ in self.named_parameters() if "class_token" in name or "position" in name)


def _stride(setting: BlockSetting) -> tuple[int, int, int]:
    return setting.pool_q.stride if setting.pool_q else (1, 1, 1)


def _total_stride(options: MViTOptions, last: int) -> tuple[int, ...]:
    """Voxels of the input per token behind a block, on each axis."""
    strides = [options.patch_stride, *map(_stride, options.blocks[: last + 1])]
    return tuple(math.prod(axis) for axis in zip(*strides, strict=True))


def _table_grids(options: MViTOptions, size: Grid) -> list[Grid]:
    """The grids, one per block, that the tables of positions are for: as published, quotients rounded down."""
    strides = [_total_stride(options, index - 1) for index in range(len(options.blocks))]
    return [tuple(max(1, length // step) for length, step in zip(size, stride, strict=True)) for stride in strides]


def _table(length: int, dim: int) -> nn.Parameter | None:
    """A learned table (1, length, dim), or None where it would be empty."""
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(1, length, dim), std=0.02)) if length else None


def _scale(options: MViTOptions, channels: int) -> nn.Parameter | None:
    """Of a residual branch; None where there is none."""
    start = options.layer_scale_init_value
    return nn.Parameter(torch.full((channels,), start)) if start else None


def _scaled(branch: Tensor, scale: Tensor | None) -> Tensor:
    return branch if scale is None else branch * scale


def _initialise(module: nn.Module) -> None:
    """Narrow normal weights of linear layers, and no biases; convolutions and norms as torch has them."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
