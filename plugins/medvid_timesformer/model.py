"""TimeSformer: a ViT over the patches of all frames, with attention over time and over space in turn."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import StochasticDepth

from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.vit import MLP, drop_path_rates
from medvid.plugin import InputInfo
from medvid_timesformer.config import TimeSformerOptions


class Embedding(nn.Module):
    """Patches of all frames as tokens, with their learned positions in space and time, behind a class token.

    Args:
        options: the backbone's options.
        channels: channels of the input.
    """

    def __init__(self, options: TimeSformerOptions, channels: int) -> None:
        super().__init__()
        self.patch, self.grid = options.patch, options.grid
        dim = options.embed_dim
        self.projection = nn.Linear(channels * math.prod(self.patch), dim)
        self.class_token = nn.Parameter(torch.empty(1, 1, dim))
        self.positions = nn.Parameter(torch.empty(1, 1 + math.prod(self.grid), dim))
        self.time_positions: nn.Parameter | None = None
        self.dropout = nn.Dropout(options.drop_rate)
        nn.init.trunc_normal_(self.class_token, std=0.02)
        nn.init.trunc_normal_(self.positions, std=0.02)
        if options.attention_type != "space_only":
            self.time_positions = nn.Parameter(torch.zeros(1, options.num_frames, dim))
            if options.time_embed_std:
                nn.init.normal_(self.time_positions, std=options.time_embed_std)

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, T, H, W) to (B, 1 + T * N, D), or without a time table to (B * T, 1 + N, D).

        Raises:
            ValueError: frames do not divide into patches.
        """
        clips, frames = len(input), input.shape[2]
        positions = self.positions_of(*self.grid_of(input))
        cls = (self.class_token + positions[:, :1]).expand(clips, -1, -1)  # B, 1, D
        patches = self.projection(self._patches(input)) + positions[:, 1:]  # B, T, N, D
        if self.time_positions is None:
            cls = cls.unsqueeze(1).expand(-1, frames, -1, -1)
            return self.dropout(torch.cat([cls, patches], dim=2)).flatten(0, 1)
        patches = self.dropout(self.dropout(patches) + self.times_of(self.time_positions, frames).unsqueeze(2))
        return torch.cat([self.dropout(cls), patches.flatten(1, 2)], dim=1)

    def grid_of(self, input: Tensor) -> tuple[int, int]:
        """Patches in a column and in a row of a frame; raises as `forward`."""
        (height, width), patch = input.shape[-2:], self.patch
        if height % patch[0] or width % patch[1]:
            raise ValueError(f"frames of {height} x {width} do not divide into patches of {patch[0]} x {patch[1]}")
        return height // patch[0], width // patch[1]

    def positions_of(self, rows: int, columns: int) -> Tensor:
        """The position table (1, 1 + rows * columns, D) of a grid, by nearest neighbours; the class token's is first.

        As in the authors' code, a grid of as many patches as the table has gets the table as it is, whatever its shape.
        """
        if rows * columns == self.positions.shape[1] - 1:
            return self.positions
        table = self.positions[:, 1:].transpose(1, 2).reshape(1, -1, *self.grid)  # 1, D, rows, columns
        table = functional.interpolate(table, (rows, columns), mode="nearest").flatten(2).transpose(1, 2)
        return torch.cat([self.positions[:, :1], table], dim=1)

    def times_of(self, table: Tensor, frames: int) -> Tensor:
        """The time table (1, frames, D), by nearest neighbours."""
        if frames == table.shape[1]:
            return table
        return functional.interpolate(table.transpose(1, 2), frames, mode="nearest").transpose(1, 2)

    def _patches(self, input: Tensor) -> Tensor:
        """(B, C, T, H, W) to (B, T, N, patch pixels * C), channels fastest."""
        (rows, columns), (height, width) = self.grid_of(input), self.patch
        x = input.reshape(*input.shape[:3], rows, height, columns, width)
        return x.permute(0, 2, 3, 5, 4, 6, 1).flatten(4).flatten(2, 3)


class Attention(nn.Module):
    """Multi-head self-attention along either axis of the tokens.

    Args:
        options: the backbone's options.
    """

    def __init__(self, options: TimeSformerOptions) -> None:
        super().__init__()
        self.num_heads, self.scale = options.num_heads, options.qk_scale
        self.attn_drop_rate = options.attn_drop_rate
        self.qkv = nn.Linear(options.embed_dim, 3 * options.embed_dim, bias=options.qkv_bias)
        self.proj = nn.Linear(options.embed_dim, options.embed_dim)
        self.proj_drop = nn.Dropout(options.drop_rate)

    def forward(self, x: Tensor, axis: int = 1) -> Tensor:
        """Map (M, L, D), or with axis 0 (L, M, D), to the same shape: attention among the L tokens along the axis."""
        parts = self.qkv(x).chunk(3, dim=-1)
        query, key, value = (part.unflatten(-1, (self.num_heads, -1)).movedim(axis, 2) for part in parts)
        dropout = self.attn_drop_rate if self.training else 0.0
        x = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout, scale=self.scale)
        return self.proj_drop(self.proj(x.movedim(2, axis).flatten(2)))  # from M, heads, L, D / heads


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): joint space-time attention, or frames on their own.

    Args:
        options: the backbone's options.
        drop_path: probability of skipping a residual branch.
    """

    def __init__(self, options: TimeSformerOptions, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(options.embed_dim, eps=options.norm_eps)
        self.attn = Attention(options)
        self.norm2 = nn.LayerNorm(options.embed_dim, eps=options.norm_eps)
        self.mlp = MLP(options.embed_dim, options.mlp_dim, dropout=options.drop_rate)
        self.drop_path = StochasticDepth(drop_path, mode="row")

    def forward(self, x: Tensor, frames: int) -> Tensor:  # noqa: ARG002 (divided attention needs it)
        """Map (M, L, D) to the same shape; a branch is skipped for all L tokens at once."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class DividedBlock(Block):
    """Attention over time, then over space, then the MLP (section 3, "divided space-time attention").

    Args:
        options: the backbone's options.
        drop_path: probability of skipping a residual branch.
    """

    def __init__(self, options: TimeSformerOptions, drop_path: float) -> None:
        super().__init__(options, drop_path)
        self.temporal_norm1 = nn.LayerNorm(options.embed_dim, eps=options.norm_eps)
        self.temporal_attn = Attention(options)
        self.temporal_fc = nn.Linear(options.embed_dim, options.embed_dim)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """Map (B, 1 + T * N, D) to the same shape.

        In memory the tokens of a position lie side by side for all clips, from the first of these blocks to the last:
        then each frame, and each position in all frames, is a view, and attention over time copies nothing.
        """
        x = x.transpose(0, 1).contiguous()  # 1 + T * N, B, D; it is contiguous behind such a block
        cls, patches = torch.split(x, [1, len(x) - 1])  # split, as the gradient of slices is padded and added up
        patches = patches.reshape(frames, -1, *x.shape[1:])  # T, N, B, D
        patches = patches + self._over_time(patches)
        residual = self._over_space(cls, patches)  # T, 1 + N, B, D
        to_cls, to_patches = torch.split(residual, [1, residual.shape[1] - 1], dim=1)
        cls = cls + to_cls.mean(dim=0)  # what each frame says to the one class token of the clip
        x = torch.cat([cls, (patches + to_patches).flatten(0, 1)])
        branch = self.mlp(self.norm2(x)).transpose(0, 1)  # B, 1 + T * N, D
        return x.transpose(0, 1) + self.drop_path(branch)

    def _over_time(self, patches: Tensor) -> Tensor:
        """The residual of (T, N, B, D): each place attends to itself in all frames, and is skipped on its own."""
        places = patches.flatten(1, 2)  # T, N * B, D
        residual = self.temporal_attn(self.temporal_norm1(places), axis=0)
        residual = self.drop_path(residual.transpose(0, 1)).transpose(0, 1)
        return self.temporal_fc(residual).view_as(patches)

    def _over_space(self, cls: Tensor, patches: Tensor) -> Tensor:
        """The residual (T, 1 + N, B, D) of each frame with a copy of the class token, skipped frame by frame."""
        frames, _, clips, _ = patches.shape
        copies = cls.transpose(0, 1).expand(frames, -1, -1, -1)  # T, B, 1, D
        tokens = torch.cat([copies, patches.transpose(1, 2)], dim=2).flatten(0, 1)  # T * B, 1 + N, D
        residual = self.drop_path(self.attn(self.norm1(tokens)))
        return residual.view(frames, clips, *residual.shape[1:]).transpose(1, 2)


class TimeSformer(Backbone):
    """TimeSformer (Bertasius et al., ICML 2021), for clips of any length and of any size that divides into patches.

    Its maps are the tokens after the blocks ``options.taps`` (not normalised) and the normalised final tokens, all at
    the resolution of the patches and at that of the frames; its embedding is the normalised class token, with
    attention_type space_only that of the mean over frames.

    Args:
        options: the backbone's options.
        input_info: what it will be fed.
    """

    def __init__(self, options: TimeSformerOptions, input_info: InputInfo) -> None:
        super().__init__()
        self.taps = options.taps
        kind = DividedBlock if options.attention_type == "divided_space_time" else Block
        rates = drop_path_rates(options.drop_path_rate, options.depth)
        self.embedding = Embedding(options, input_info.channels)
        self.blocks = nn.ModuleList(kind(options, rate) for rate in rates)
        self.norm = nn.LayerNorm(options.embed_dim, eps=options.norm_eps)
        self.blocks.apply(_initialise)
        map_info = MapInfo(options.embed_dim, (1, *options.patch))
        self.feature_info = FeatureInfo(maps=(map_info,) * (len(options.taps) + 1), embedding=options.embed_dim)

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """The transformer blocks."""
        return tuple(self.blocks)

    @property
    def no_weight_decay(self) -> tuple[str, ...]:
        """Class token, position table and time table, as in the authors' code."""
        names = ("class_token", "positions", "time_positions")
        return tuple(f"embedding.{name}" for name in names if getattr(self.embedding, name) is not None)

    def forward(self, input: Tensor) -> Features:
        """Map (B, C, T, H, W) to maps (B, D, T, H / patch, W / patch) and an embedding (B, D).

        Raises:
            ValueError: frames do not divide into patches.
        """
        clips, frames = len(input), input.shape[2]
        tokens = self.embedding(input)  # B, 1 + T * N, D, or B * T, 1 + N, D
        tapped = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens, frames)
            if index in self.taps:
                tapped.append(tokens)
        embedding = self.norm(tokens[:, 0].unflatten(0, (clips, -1)).mean(dim=1))
        tapped.append(self.norm(tokens))
        grid = (frames, *self.embedding.grid_of(input))
        maps = tuple(tokens[:, 1:].reshape(clips, *grid, -1).movedim(-1, 1) for tokens in tapped)  # views
        return Features(maps=maps, embedding=embedding)


def _initialise(module: nn.Module) -> None:
    """As the authors' code, in whose blocks attention over time adds nothing at first."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(module, DividedBlock):  # after its parts
        nn.init.zeros_(module.temporal_fc.weight)
        nn.init.zeros_(module.temporal_fc.bias)
