"""Multi-head pooling attention (MViT, section 3.1) with relative positions and a residual (MViTv2, section 4.1)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from medvid.models.resize import resize
from medvid_mvit.config import MViTOptions
from medvid_mvit.geometry import BlockSetting, Grid, Pooling
from medvid_mvit.pooling import FixedPool, TokenPool, split_tokens

MULTIPLE = 16
"""Fused attention is fastest where its channels are a multiple of this."""


class PoolingAttention(nn.Module):
    """Attention of pooled queries to pooled keys and values.

    Args:
        options: the backbone's options.
        setting: the block's.
        grid: patches along time, height and width.
        table_grid: the grid that the tables of relative positions are for.
    """

    def __init__(self, options: MViTOptions, setting: BlockSetting, grid: Grid, table_grid: Grid) -> None:
        super().__init__()
        dim, self.num_heads = options.attention_channels(setting), setting.num_heads
        self.scale = (dim // self.num_heads) ** -0.5
        self.qkv = nn.Linear(setting.input_channels, 3 * dim, bias=options.qkv_bias)
        self.pool_first = options.pool_first
        pooled = (setting.input_channels if options.pool_first else dim) // self.num_heads
        self.pool_q = _make_pool(options, pooled, setting.pool_q, grid)
        self.pool_k = _make_pool(options, pooled, setting.pool_kv, grid)
        self.pool_v = _make_pool(options, pooled, setting.pool_kv, grid)
        relative = options.rel_pos_spatial or options.rel_pos_temporal
        self.positions = RelativePositions(options, setting, grid, table_grid) if relative else None
        self.proj = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(options.dropout_rate)
        self.residual = options.residual_pooling
        self.class_tokens = int(options.cls_embed_on and not options.residual_with_cls_embed)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, D) to (B, N', D')."""
        query, key, value = self._pool_and_project(x) if self.pool_first else self._project_and_pool(x)
        out = self._attend(query, key, value)  # B, N', heads, C
        if self.residual:
            out = self._with_residual(out, query)
        return self.dropout(self.proj(out.flatten(2)))

    def _project_and_pool(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, N', heads, C), keys and values of tokens (B, N, D)."""
        query, key, value = torch.unflatten(self.qkv(x), -1, (3, self.num_heads, -1)).unbind(2)  # each B, N, heads, C
        return self.pool_q(query), self.pool_k(key), self.pool_v(value)

    def _pool_and_project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Likewise, the other way round."""
        x = torch.unflatten(x, -1, (self.num_heads, -1))
        pooled = [pool(x).flatten(2) for pool in (self.pool_q, self.pool_k, self.pool_v)]  # each B, N', D
        biases = self.qkv.bias.chunk(3) if self.qkv.bias is not None else (None,) * 3
        query, key, value = (
            torch.unflatten(functional.linear(*parts), -1, (self.num_heads, -1))
            for parts in zip(pooled, self.qkv.weight.chunk(3), biases, strict=True)
        )
        return query, key, value

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend without ever holding all logits, with relative positions too.

        These add q . (r_h + r_w + r_t) to a logit (equation 4). Since r_h depends on the key's row only, the sum is a
        scalar product as well: of what the query has to say to each row, column and instant, and of the key's
        place among them. So both become more channels of queries and keys; values get zeros, to have as many.
        """
        channels = value.shape[-1]
        if self.positions is not None:
            to_places, places = self.positions(query)
            query = torch.cat([query, (to_places / self.scale).to(query.dtype)], dim=-1)
            key = torch.cat([key, places.to(key.dtype).expand(*key.shape[:3], -1)], dim=-1)
            value = functional.pad(value, (0, places.shape[-1]))
        query, key, value = (x.transpose(1, 2) for x in (query, key, value))  # B, heads, N, C
        out = functional.scaled_dot_product_attention(query, key, value, scale=self.scale)
        return out.transpose(1, 2)[..., :channels]

    def _with_residual(self, out: Tensor, query: Tensor) -> Tensor:
        """Add the queries (equation 5), but as published not that of the class token."""
        if not self.class_tokens:
            return out + query
        patches = torch.ones_like(out[:1, :, :1, :1])
        patches[:, :1] = 0
        return torch.addcmul(out, query.to(out.dtype), patches)


class RelativePositions(nn.ModuleDict):
    """Relative positions along height, width and time, whichever the options ask for.

    Args:
        options: the backbone's options.
        setting: the block's.
        grid: patches along time, height and width before pooling.
        table_grid: the grid that the tables are for; they are interpolated where it is another one.
    """

    def __init__(self, options: MViTOptions, setting: BlockSetting, grid: Grid, table_grid: Grid) -> None:
        queries = setting.pool_q.pooled(grid) if setting.pool_q else grid
        keys = setting.pool_kv.pooled(grid) if setting.pool_kv else grid
        channels = options.attention_channels(setting) // setting.num_heads
        axes = ("hw" if options.rel_pos_spatial else "") + ("t" if options.rel_pos_temporal else "")
        lengths = {axis: _table_length(axis, setting, table_grid) for axis in axes}
        indices = {axis: "thw".index(axis) for axis in axes}
        super().__init__(
            {axis: AxisPositions(lengths[axis], channels, queries[at], keys[at]) for axis, at in indices.items()}
        )
        self.query_grid, self.class_tokens = queries, int(options.cls_embed_on)
        places = _places(keys, list(indices.values()), self.class_tokens)
        self.filler = -(channels + places.shape[-1]) % MULTIPLE
        self.register_buffer("places", functional.pad(places, (0, self.filler)), persistent=False)

    def forward(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """Map queries (B, N, heads, C) to what each adds to the logits of keys by their place.

        Returns:
            For each query, (B, N, heads, P), a summand for each row, column and instant; zero for the class token. And
            the places of each key among them, (1, N', 1, P), zeros and ones. Both are filled up with zeros.
        """
        _, patches = split_tokens(query, self.class_tokens)
        patches = patches.reshape(len(query), *self.query_grid, *query.shape[2:])  # B, t, h, w, heads, C
        summands = [
            torch.einsum(f"bthwnc,{axis}kc->bthwnk", patches, positions().to(patches.dtype))
            for axis, positions in self.items()
        ]
        to_places = torch.cat(summands, dim=-1).flatten(1, 3)
        return functional.pad(to_places, (0, self.filler, 0, 0, self.class_tokens, 0)), self.get_buffer("places")


class AxisPositions(nn.Module):
    """A learned vector for each distance of a key to a query along an axis.

    Args:
        length: number of distances.
        channels: length of a vector.
        queries: number of queries along the axis.
        keys: number of keys.
    """

    def __init__(self, length: int, channels: int, queries: int, keys: int) -> None:
        super().__init__()
        self.table = nn.Parameter(nn.init.trunc_normal_(torch.empty(length, channels), std=0.02))
        self.entries = 2 * max(queries, keys) - 1
        self.register_buffer("distances", distances(queries, keys), persistent=False)

    def forward(self) -> Tensor:
        """The vector for each query and key: (queries, keys, C)."""
        return resize_table(self.table, self.entries)[self.get_buffer("distances")]


def _places(keys: Grid, axes: Sequence[int], class_tokens: int) -> Tensor:
    """The index of each key along each axis as zeros and a one, (1, N, 1, sum of lengths); all zeros: a class token."""
    index = torch.cartesian_prod(*map(torch.arange, keys))  # N, 3
    places = torch.cat([functional.one_hot(index[:, axis], keys[axis]) for axis in axes], dim=-1)
    return functional.pad(places.to(torch.get_default_dtype()), (0, 0, class_tokens, 0))[None, :, None]


def _table_length(axis: str, setting: BlockSetting, grid: Grid) -> int:
    """As published: quotients are rounded down, and for height and width the longer side of a frame counts."""
    if axis == "t":
        return 2 * grid[0] - 1
    stride = min(pool.stride[1] if pool else 1 for pool in (setting.pool_q, setting.pool_kv))
    return 2 * max(max(grid[1:]) // stride, 1) - 1


def distances(queries: int, keys: int) -> Tensor:
    """For each query and key along an axis, which entry of a table for their distance applies: (queries, keys)."""
    key_step, query_step = max(queries / keys, 1.0), max(keys / queries, 1.0)
    query_places = torch.arange(queries)[:, None] * query_step
    return (query_places - (torch.arange(keys)[None] + (1.0 - keys)) * key_step).long()


def resize_table(table: Tensor, length: int) -> Tensor:
    """Interpolate a table (L, C) of positions along an axis linearly to another length."""
    if len(table) == length:
        return table
    return resize(table.T[None], [length])[0].T


def _make_pool(options: MViTOptions, head_dim: int, pooling: Pooling | None, grid: Grid) -> nn.Module:
    if pooling is None:
        return nn.Identity()
    if options.pool_mode == "conv":
        return TokenPool(head_dim, pooling, grid, class_token=options.cls_embed_on, eps=options.pool_norm_eps)
    return FixedPool(options.pool_mode, pooling, grid, class_token=options.cls_embed_on)
