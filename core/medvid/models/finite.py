"""Which tensors are finite: no figure, no prediction and no checkpoint comes from one that is not."""

from collections.abc import Mapping

import torch
from torch import Tensor


def names_of_non_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Those of the tensors that hold NaN or an infinity; waits once for the device."""
    floating = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point() and tensor.numel()}
    if not floating:
        return []
    finite = torch.stack([torch.isfinite(tensor).all() for tensor in floating.values()]).tolist()
    return [name for name, is_finite in zip(floating, finite, strict=True) if not is_finite]
