"""The transformer block of Primus: that of EVA-02 (Fang et al., Image and Vision Computing 2024)."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import StochasticDepth

from medvid_primus.rotary import rotate


class Attention(nn.Module):
    """Self-attention with rotated queries and keys, and a norm before its last projection.

    Args:
        dim: width of a token.
        num_heads: attention heads.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Map (B, N, D) to (B, N, D), at the places that cosines and sines stand for, see `rotate`."""
        query, key, value = (
            layer(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )  # each B, heads, N, D / heads
        query, key = rotate(query, cos, sin), rotate(key, cos, sin)
        x = functional.scaled_dot_product_attention(query, key, value)
        return self.proj(self.norm(x.transpose(1, 2).flatten(2)))


class SwiGLU(nn.Module):
    """Two linear layers, the first of which is gated (Shazeer, 2020), and a norm between them.

    Args:
        dim: width of a token.
        hidden_dim: width between the layers.
    """

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.gate = nn.Linear(dim, hidden_dim)
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.norm = nn.LayerNorm(hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., dim) to (..., dim)."""
        return self.fc2(self.norm(functional.silu(self.gate(x)) * self.fc1(x)))


class Block(nn.Module):
    """x + s1 * attention(norm(x)), then x + s2 * swiglu(norm(x)), s1 and s2 learned for each channel.

    Args:
        dim: width of a token.
        num_heads: attention heads.
        layer_scale: initial value of s1 and s2.
        drop_path: probability of skipping a branch for an example.
    """

    def __init__(self, dim: int, num_heads: int, layer_scale: float, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, num_heads)
        self.scale1 = nn.Parameter(torch.full((dim,), layer_scale))
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = SwiGLU(dim, dim * 8 // 3)
        self.scale2 = nn.Parameter(torch.full((dim,), layer_scale))
        self.drop_path = StochasticDepth(drop_path, mode="row")

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Map (B, N, D) to (B, N, D)."""
        x = x + self.drop_path(self.scale1 * self.attn(self.norm1(x), cos, sin))
        return x + self.drop_path(self.scale2 * self.mlp(self.norm2(x)))
