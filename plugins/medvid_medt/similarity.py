"""BatchNorm of the similarities of queries and keys, without normalising them one by one.

A similarity is a sum of terms, q . k and q . r and k . r with positions r, and MedT has a BatchNorm channel for each
term and head. For lines of 64 pixels these terms are by far the largest tensors of the network. But BatchNorm is one
factor and one shift per channel. The shift is the same for all keys of a query, so softmax ignores it; and the factor
needs the variance of a product, for which the Gram matrices of its two sides are enough.

Axes: n lines of pixels, g heads, c and d channels of a head, i pixels of one side, j of the other.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from medvid.devices.whole_batch import whole_batch_moments

Term = tuple[Tensor, Tensor]
"""x (n, g, c, i) with either y (n, g, c, j) or positions (c, i, j); their product over c is (n, g, i, j)."""


class SimilarityNorm(nn.Module):
    """BatchNorm (Ioffe and Szegedy, ICML 2015) of terms, as the factors to multiply them by.

    It has no bias and no running mean, which softmax would ignore. ``synchronised`` as `synchronise_norms` sets it: the
    variance in training is that over the batches of all processes.

    Args:
        terms: terms of a similarity.
        groups: heads.
        eps: added to the variance.
        momentum: weight of a batch's variance in the running one.
    """

    running_var: Tensor

    def __init__(self, terms: int, groups: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.groups, self.eps, self.momentum, self.synchronised = groups, eps, momentum, False
        self.weight = nn.Parameter(torch.ones(terms * groups))
        self.register_buffer("running_var", torch.ones(terms * groups))

    def forward(self, terms: Sequence[Term]) -> Tensor:
        """Factors (terms, groups, 1, 1), in float32 or better."""
        variance = self._batch_variance(terms) if self.training else self.running_var
        return (self.weight * (variance + self.eps).rsqrt()).view(-1, self.groups, 1, 1)

    def _batch_variance(self, terms: Sequence[Term]) -> Tensor:
        lines, _, _, length = terms[0][0].shape
        count: int | Tensor = lines * length**2
        with without_autocast(self.weight.device):
            moments = [product_moments(*term) for term in terms]
            variance = torch.cat([variance for _, variance in moments])
            if self.synchronised:
                mean = torch.cat([mean for mean, _ in moments])
                _, variance, count = whole_batch_moments(mean, variance, lines * length**2)
            with torch.no_grad():
                self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        return variance


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """A block in which no operation casts its inputs, on any device: also on one that has no autocast, as meta."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def product_moments(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (g) and biased variance (g) of the product of a `Term` over all n, i, j, in float32 or better."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    mean, square = (_moments_of_pixels if y.ndim == 4 else _moments_of_positions)(x.to(dtype), y.to(dtype))
    return mean, (square - mean.square()).clamp_min(0)


def _moments_of_pixels(x: Tensor, y: Tensor) -> Term:
    count = len(x) * x.shape[-1] * y.shape[-1]
    mean = (x.sum(-1) * y.sum(-1)).sum((0, 2)) / count
    square = ((x @ x.mT) * (y @ y.mT)).sum((0, 2, 3)) / count
    return mean, square


def _moments_of_positions(x: Tensor, positions: Tensor) -> Term:
    count = len(x) * x.shape[-1] * positions.shape[-1]
    mean = torch.einsum("gci,ci->g", x.sum(0), positions.sum(2)) / count
    gram = torch.einsum("ngci,ngdi->gicd", x, x)
    square = torch.einsum("gicd,icd->g", gram, torch.einsum("cij,dij->icd", positions, positions)) / count
    return mean, square
