"""Transformer blocks whose attention is factorised over space and time (ViViT, models 3 and 4)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from medvid.models.vit import MLP, Attention, Block, drop_path_rates
from medvid_vivit.config import ViViTOptions


class FactorisedSelfAttentionBlock(Block):
    """A block that attends within each time index and along time at each place, one after the other (figure 5).

    Args:
        dim: width of a token.
        frames: time indices, the slowest axis of the tokens.
        time_first: attend along time first.
        arguments: the other arguments of `medvid.models.vit.Block`.
    """

    def __init__(self, dim: int, *, frames: int, time_first: bool, **arguments: Any) -> None:
        super().__init__(dim, **arguments)
        self.frames, self.time_first = frames, time_first
        self.norm_time = nn.LayerNorm(dim, eps=self.norm1.eps)
        bias = self.attn.qkv.bias is not None
        self.attn_time = Attention(dim, self.attn.num_heads, qkv_bias=bias, dropout=self.attn.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T * S, D) to (B, T * S, D)."""
        x = torch.unflatten(x, 1, (self.frames, -1))  # B, T, S, D
        x = self._over_space(self._over_time(x)) if self.time_first else self._over_time(self._over_space(x))
        x = x.flatten(1, 2)
        return x + self.drop_path(self.mlp(self.norm2(x)))

    def _over_space(self, x: Tensor) -> Tensor:
        attended = self.attn(self.norm1(x).flatten(0, 1))  # B * T, S, D
        return x + self.drop_path(torch.unflatten(attended, 0, x.shape[:2]))

    def _over_time(self, x: Tensor) -> Tensor:
        y = self.norm_time(x).transpose(1, 2)  # B, S, T, D
        attended = self.attn_time(y.flatten(0, 1))  # B * S, T, D
        return x + self.drop_path(torch.unflatten(attended, 0, y.shape[:2]).transpose(1, 2))


class FactorisedDotProductAttention(Attention):
    """Attention whose first half of heads looks along time, the second half within each time index (figure 6).

    Args:
        dim: width of a token.
        num_heads: attention heads, an even number.
        frames: time indices, the slowest axis of the tokens.
        arguments: the other arguments of `medvid.models.vit.Attention`.
    """

    def __init__(self, dim: int, num_heads: int, *, frames: int, **arguments: Any) -> None:
        super().__init__(dim, num_heads, **arguments)
        self.frames = frames

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T * S, D) to (B, T * S, D)."""
        qkv = self.qkv(x).unflatten(1, (self.frames, -1)).unflatten(-1, (3, 2, self.num_heads // 2, -1))
        time, space = qkv.unbind(4)  # each B, T, S, 3, heads / 2, D / heads
        halves = [self._attend(time.transpose(1, 2)).transpose(1, 2), self._attend(space)]
        out = self.proj(torch.stack(halves, dim=3).flatten(3).flatten(1, 2))
        return functional.dropout(out, self.dropout, self.training)

    def _attend(self, qkv: Tensor) -> Tensor:
        """Attention among N: (B, M, N, 3, heads, d) to (B, M, N, heads, d)."""
        query, key, value = qkv.permute(3, 0, 1, 4, 2, 5).flatten(1, 2)  # each B * M, heads, N, d
        dropout = self.dropout if self.training else 0.0
        out = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return torch.unflatten(out, 0, qkv.shape[:2]).transpose(2, 3)


class FactorisedDotProductBlock(Block):
    """A block with factorised dot-product attention.

    Args:
        dim: width of a token.
        frames: time indices, the slowest axis of the tokens.
        arguments: the other arguments of `medvid.models.vit.Block`.
    """

    def __init__(self, dim: int, *, frames: int, **arguments: Any) -> None:
        super().__init__(dim, **arguments)
        bias = self.attn.qkv.bias is not None
        self.attn = FactorisedDotProductAttention(
            dim, self.attn.num_heads, frames=frames, qkv_bias=bias, dropout=self.attn.dropout
        )


def make_blocks(options: ViViTOptions, depth: int, num_heads: int, mlp_dim: int) -> list[Block]:
    """The blocks of an encoder, initialised as the published code does."""
    shared: dict[str, Any] = {
        "mlp_dim": mlp_dim,
        "num_heads": num_heads,
        "qkv_bias": options.qkv_bias,
        "dropout": options.dropout_rate,
        "attention_dropout": options.attention_dropout_rate,
        "eps": options.layer_norm_eps,
        "gelu": options.gelu,
    }
    kind: type[Block] = Block
    if options.model == "factorised_self_attention":
        kind = FactorisedSelfAttentionBlock
        shared |= {"frames": options.grid[0], "time_first": options.attention_order == "time_space"}
    elif options.model == "factorised_dot_product":
        kind = FactorisedDotProductBlock
        shared |= {"frames": options.grid[0]}
    rates = drop_path_rates(options.stochastic_droplayer_rate, depth)
    blocks = [kind(options.hidden_size, drop_path=rate, **shared) for rate in rates]
    for block in blocks:
        block.apply(_initialise)
    return blocks


@torch.no_grad()
def _initialise(module: nn.Module) -> None:
    if isinstance(module, Attention):
        for weight in (*module.qkv.weight.chunk(3), module.proj.weight):  # queries, keys and values on their own
            nn.init.xavier_uniform_(weight)
        for bias in (module.qkv.bias, module.proj.bias):
            if bias is not None:
                nn.init.zeros_(bias)
    elif isinstance(module, MLP):
        for layer in (module.fc1, module.fc2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.normal_(layer.bias, std=1e-6)
