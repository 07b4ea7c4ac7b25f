"""The encoder of Longformer (Beltagy et al., 2020) for a sequence that one global token, the first, stands before."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from medvid.models.vit import MLP

# Shapes: B batch, T frames, N = 1 + T tokens, n chunks of c frames, h heads, d width of a head.


class LongformerAttention(nn.Module):
    """Each frame attends to its neighbours and to the first token; the first token, by projections of its own, to all.

    Args:
        dim: width of a token, a multiple of num_heads.
        num_heads: attention heads.
        window: frames that a frame attends to, half of them on each side; even.
        dropout: drop probability of attention weights.
    """

    def __init__(self, dim: int, num_heads: int, window: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads, self.head_dim = num_heads, dim // num_heads
        self.reach, self.dropout = window // 2, dropout
        self.qkv = nn.Linear(dim, 3 * dim)
        self.q_global = nn.Linear(dim, dim)
        self.kv_global = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, D) to (B, N, D)."""
        dropout = self.dropout if self.training else 0.0
        query, key, value = self._heads(self.qkv(x))
        frames = window_attention(query[:, :, 1:], key, value, self.reach, dropout)  # B, h, T, d
        (query,) = self._heads(self.q_global(x[:, :1]))
        key, value = self._heads(self.kv_global(x))
        first = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout)  # B, h, 1, d
        return self.proj(torch.cat([first, frames], dim=2).transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, N, parts * D) to parts of (B, h, N, d)."""
        return x.view(*x.shape[:2], -1, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4).unbind()


def window_attention(query: Tensor, key: Tensor, value: Tensor, reach: int, dropout: float = 0.0) -> Tensor:
    """Attention of each frame to the frames at most `reach` away and to the token before them all.

    Frames are taken in chunks as long as `reach`, which see themselves and the chunks on both sides: time and memory
    grow linearly with the number of frames.

    Args:
        query: of the frames, (B, h, T, d).
        key: of the first token and the frames, (B, h, 1 + T, d).
        value: as key.
        reach: largest distance of two frames.
        dropout: drop probability of attention weights.

    Returns:
        (B, h, T, d).
    """
    batch, heads, frames, width = query.shape
    reach = min(reach, frames)
    count = math.ceil(frames / reach)
    fill = count * reach - frames  # frames that the last chunk lacks

    def neighbourhoods(x: Tensor) -> Tensor:
        """(B, h, 1 + T, d) to what each chunk sees, (B * h, n, 1 + 3c, d)."""
        first, rest = x[:, :, :1], functional.pad(x[:, :, 1:], (0, 0, reach, reach + fill))
        chunks = rest.unfold(2, 3 * reach, reach).transpose(3, 4)  # B, h, n, 3c, d
        return torch.cat([first.unsqueeze(2).expand(-1, -1, count, -1, -1), chunks], dim=3).flatten(0, 1)

    query = functional.pad(query, (0, 0, 0, fill)).reshape(batch * heads, count, reach, width)  # B * h, n, c, d
    mask = _visible(frames, reach, count, query.device)
    out = functional.scaled_dot_product_attention(
        query, neighbourhoods(key), neighbourhoods(value), attn_mask=mask, dropout_p=dropout
    )
    return out.reshape(batch, heads, count * reach, width)[:, :, :frames]


def _visible(frames: int, reach: int, count: int, device: torch.device) -> Tensor:
    """Which keys of its neighbourhood a query sees, (n, c, 1 + 3c); the first is the token before the frames."""
    start = torch.arange(count, device=device).mul(reach)[:, None, None]  # first frame of each chunk
    query = start + torch.arange(reach, device=device)[:, None]
    key = start - reach + torch.arange(3 * reach, device=device)
    near = (query - key).abs().le(reach) & key.ge(0) & key.lt(frames)
    return functional.pad(near, (1, 0), value=True)


class LongformerLayer(nn.Module):
    """norm(x + attention(x)), then norm(x + mlp(x)): the norms come after the residual branches, as in BERT.

    Args:
        dim: width of a token, a multiple of num_heads.
        mlp_dim: width inside the MLP.
        num_heads: attention heads.
        window: frames that a frame attends to, half of them on each side; even.
        dropout: drop probability of the branches' outputs.
        attention_dropout: drop probability of attention weights.
        eps: added to the variance by the norms.
    """

    def __init__(
        self,
        dim: int,
        mlp_dim: int,
        num_heads: int,
        window: int,
        *,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        eps: float = 1e-12,
    ) -> None:
        super().__init__()
        self.attn = LongformerAttention(dim, num_heads, window, dropout=attention_dropout)
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.mlp = MLP(dim, mlp_dim)
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, D) to (B, N, D)."""
        x = self.norm1(x + self.dropout(self.attn(x)))
        return self.norm2(x + self.dropout(self.mlp(x)))
