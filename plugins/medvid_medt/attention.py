"""Axial attention (MedT, sections 2.2 and 2.3): self-attention along the lines of an image, with relative positions.

In einsum equations: n lines, g heads, c channels of a head, i and j pixels of a line.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from medvid_medt.similarity import SimilarityNorm

CPU_SLICE, SLICE = 2**20, 2**25
"""Similarities to work on at once: on a CPU 4 MB in float32, which its cache holds from one operation to the next, on
other devices 128 MB, to bound the memory that large images take."""


class AxialAttention(nn.Module):
    """Multi-head self-attention along the last axis, without positions: that of MedT's branch over patches.

    For pixels i and j of a line, y_i = sum_j softmax_j(q_i . k_j) v_j; queries and keys of a head are half as wide as
    its values. Queries, keys and values, similarities, and y are each followed by BatchNorm.

    Args:
        dim: channels, twice a multiple of groups.
        groups: heads.
        terms: summands of a similarity.
        outputs: summands of y.
    """

    def __init__(self, dim: int, groups: int, *, terms: int = 1, outputs: int = 1) -> None:
        super().__init__()
        self.groups, self.outputs = groups, outputs
        self.qkv = nn.Conv1d(dim, 2 * dim, 1, bias=False)
        self.norm_qkv = nn.BatchNorm1d(2 * dim)
        self.norm_similarity = SimilarityNorm(terms, groups)
        self.norm_output = nn.BatchNorm1d(dim * outputs)
        nn.init.normal_(self.qkv.weight, std=dim**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, S, L), S lines of L pixels, to the same shape."""
        lines = x.transpose(1, 2).flatten(0, 1)  # N, C, L with N = B * S
        heads = self.norm_qkv(self.qkv(lines)).unflatten(1, (self.groups, -1))  # N, G, 2D, L
        query, key, value = _split(heads, dim=2)
        y = self.norm_output(self.attend(query, key, value).flatten(1, 3))
        y = torch.unflatten(y, 1, (-1, self.outputs)).sum(2)  # N, C, L
        return y.reshape(len(x), -1, *y.shape[1:]).transpose(1, 2)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """The summands of y (N, G, D, outputs, L) from queries and keys (N, G, D / 2, L) and values (N, G, D, L)."""
        (factor,) = self.norm_similarity([(query, key)])

        def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            attention = torch.einsum("ngci,ngcj->ngij", query, key).softmax(-1)
            return torch.einsum("ngij,ngcj->ngci", attention, value).unsqueeze(3)

        return in_slices(attend, query * factor, key, value)


class PositionalAxialAttention(AxialAttention):
    """Axial attention with relative positions r, which learned gates f let through or hold back (MedT, equation 2).

    y_i = sum_j softmax_j(q_i . k_j + f_qr q_i . r^q_ij + f_kr k_j . r^k_ij) (f_sv v_j + f_sve r^v_ij), where each term
    has BatchNorm channels of its own. In training these undo a gate but for their eps; in evaluation it tells.

    Args:
        dim: channels, twice a multiple of groups.
        length: pixels of a line.
        groups: heads.
        gated: have gates; without them, it is the axial attention of Wang et al. (ECCV 2020).
    """

    f_qr: Tensor | float
    f_kr: Tensor | float
    f_sve: Tensor | float
    f_sv: Tensor | float

    def __init__(self, dim: int, length: int, groups: int, *, gated: bool) -> None:
        super().__init__(dim, groups, terms=3, outputs=2)
        self.length, head_dim = length, dim // groups
        self.relative = nn.Parameter(torch.randn(2 * head_dim, 2 * length - 1) * head_dim**-0.5)
        for gate, initial in {"f_qr": 0.1, "f_kr": 0.1, "f_sve": 0.1, "f_sv": 1.0}.items():
            setattr(self, gate, nn.Parameter(torch.tensor(initial)) if gated else 1.0)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """As in `AxialAttention`."""
        r_query, r_key, r_value = self._gated_positions()
        content, of_query, of_key = self.norm_similarity([(query, key), (query, r_query), (key, r_key)])

        def attend(query: Tensor, located_query: Tensor, key: Tensor, located_key: Tensor, value: Tensor) -> Tensor:
            similarity = torch.einsum("ngci,ngcj->ngij", query, key)
            similarity = similarity + torch.einsum("ngci,cij->ngij", located_query, r_query)
            similarity = similarity + torch.einsum("ngcj,cji->ngij", located_key, r_key)
            attention = similarity.softmax(-1)
            y_value = torch.einsum("ngij,ngcj->ngci", attention, value)
            y_position = torch.einsum("ngij,cij->ngci", attention, r_value)
            return torch.stack([y_value, y_position], dim=3)

        return in_slices(attend, query * content, query * of_query, key, key * of_key, value * self.f_sv)

    def _gated_positions(self) -> tuple[Tensor, Tensor, Tensor]:
        """f_qr r^q, f_kr r^k (D / 2, L, L) and f_sve r^v (D, L, L); [:, i, j] is for the distance i - j."""
        table = self.relative.flip(1).unfold(1, self.length, 1).flip(1)
        r_query, r_key, r_value = _split(table, dim=0)
        return self.f_qr * r_query, self.f_kr * r_key, self.f_sve * r_value


def in_slices(attend: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Apply `attend` to a few lines of its inputs (N, G, *, L) at a time, so that a slice of similarities stays small.

    That is possible because the statistics of all similarities are known beforehand, see `SimilarityNorm`.
    """
    _, groups, _, length = inputs[0].shape
    similarities = CPU_SLICE if inputs[0].device.type == "cpu" else SLICE
    lines = max(1, similarities // (groups * length**2))
    if len(inputs[0]) <= lines:  # a split and a cat of one piece would copy it, there and back
        return attend(*inputs)
    slices = zip(*(torch.split(tensor, lines) for tensor in inputs), strict=True)
    return torch.cat([attend(*tensors) for tensors in slices])


def _split(x: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """A quarter for queries, a quarter for keys and a half for values."""
    quarter = x.shape[dim] // 4
    query, key, value = torch.split(x, [quarter, quarter, 2 * quarter], dim)
    return query, key, value
