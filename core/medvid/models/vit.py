"""The pre-norm transformer block of ViT (Dosovitskiy et al., ICLR 2021), on torch's fused attention."""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import StochasticDepth

GeluKind = Literal["none", "tanh"]
"""Exact, or approximated with tanh as flax does by default."""


class Attention(nn.Module):
    """Multi-head self-attention over all tokens.

    Args:
        dim: width of a token, a multiple of num_heads.
        num_heads: attention heads.
        qkv_bias: add a bias to queries, keys and values.
        dropout: drop probability of attention weights and of the output.
    """

    def __init__(self, dim: int, num_heads: int, *, qkv_bias: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, D) to (B, N, D)."""
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))  # B, N, 3, heads, D / heads
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each B, heads, N, D / heads
        dropout = self.dropout if self.training else 0.0
        x = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return functional.dropout(self.proj(x.transpose(1, 2).flatten(2)), dropout)


class MLP(nn.Module):
    """Two linear layers around a GELU.

    Args:
        dim: width of a token.
        mlp_dim: width between the layers.
        out_dim: width of the result, if it differs from `dim`.
        dropout: drop probability after each layer.
        gelu: exact, or approximated.
    """

    def __init__(
        self, dim: int, mlp_dim: int, out_dim: int | None = None, *, dropout: float = 0.0, gelu: GeluKind = "none"
    ) -> None:
        super().__init__()
        self.gelu = gelu
        self.fc1 = nn.Linear(dim, mlp_dim)
        self.fc2 = nn.Linear(mlp_dim, out_dim or dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., dim) to (..., out_dim)."""
        return self.dropout(self.fc2(self.dropout(functional.gelu(self.fc1(x), approximate=self.gelu))))


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)).

    Args:
        dim: width of a token, a multiple of num_heads.
        mlp_dim: width inside the MLP.
        num_heads: attention heads.
        qkv_bias: add a bias to queries, keys and values.
        dropout: drop probability of the output of every layer.
        attention_dropout: that of the attention's weights and output, if it differs.
        drop_path: probability of skipping a residual branch for an example (Huang et al., ECCV 2016).
        eps: added to the variance by the norms.
        gelu: exact, or approximated.
    """

    def __init__(
        self,
        dim: int,
        mlp_dim: int,
        num_heads: int,
        *,
        qkv_bias: bool = True,
        dropout: float = 0.0,
        attention_dropout: float | None = None,
        drop_path: float = 0.0,
        eps: float = 1e-6,
        gelu: GeluKind = "none",
    ) -> None:
        super().__init__()
        if attention_dropout is None:
            attention_dropout = dropout
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = Attention(dim, num_heads, qkv_bias=qkv_bias, dropout=attention_dropout)
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = MLP(dim, mlp_dim, dropout=dropout, gelu=gelu)
        self.drop_path = StochasticDepth(drop_path, mode="row")

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, D) to (B, N, D)."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


def drop_path_rates(last: float, depth: int) -> list[float]:
    """Drop probability of each block: from 0 in the first, growing linearly, to `last` in the last one."""
    return [last * index / max(1, depth - 1) for index in range(depth)]
