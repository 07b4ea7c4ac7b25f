"""V-JEPA 2's attentive pooler: what a learned query finds in all tokens."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from medvid.models.vit import MLP, Block
from medvid_vjepa.initialisation import initialise


class CrossAttention(nn.Module):
    """Multi-head attention of queries to tokens, without a last projection.

    Args:
        dim: width of a token, a multiple of num_heads.
        num_heads: attention heads.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Map (B, M, D) and tokens (B, N, D) to (B, M, D)."""
        query = self.q(queries).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # B, heads, M, D / heads
        key, value = self.kv(tokens).unflatten(-1, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


class AttentivePooler(nn.Module):
    """Blocks of self-attention, then cross-attention of one learned query and an MLP (V-JEPA 2, section 5).

    Args:
        dim: width of a token, a multiple of num_heads.
        num_heads: attention heads.
        num_layers: blocks of self-attention, without positions.
    """

    def __init__(self, dim: int, num_heads: int, num_layers: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.empty(1, 1, dim))
        self.blocks = nn.ModuleList(Block(dim, 4 * dim, num_heads) for _ in range(num_layers))
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = CrossAttention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLP(dim, 4 * dim)
        nn.init.trunc_normal_(self.query, std=0.02)
        initialise(self)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, N, D) to (B, D)."""
        for block in self.blocks:
            tokens = block(tokens)
        query = self.query.expand(len(tokens), -1, -1)
        query = query + self.attn(query, self.norm1(tokens))
        return (query + self.mlp(self.norm2(query))).squeeze(1)
