"""Where the windows over a case lie, and how much each of their voxels weighs: MONAI's rules, or nnU-Net's."""

import math
from collections.abc import Sequence
from itertools import product
from typing import Literal

import torch
from torch import Tensor

Window = tuple[slice, ...]
Blending = Literal["gaussian", "constant"]
Layout = Literal["monai", "nnunet"]

SIGMA_SCALE = 0.125
"""Standard deviation of the Gaussian weight as a fraction of the window, in both."""
SMALLEST_WEIGHT = 1e-3
"""As in MONAI: no voxel is left without a weight."""
REACH = 4.0
"""In standard deviations, where nnU-Net's Gaussian ends."""
PEAK = 10.0
"""Of nnU-Net's weights."""


def find_windows(shape: Sequence[int], size: Sequence[int], overlap: float, layout: Layout = "monai") -> list[Window]:
    """The windows over an array, sorted by their position on the last axis.

    Args:
        shape: of the array, at least size.
        size: of a window.
        overlap: of neighbouring windows, as a fraction of the window, in [0, 1); at least that in nnU-Net's layout.
        layout: see `window_starts`.
    """
    axes = [
        [slice(start, start + window) for start in window_starts(length, window, overlap, layout)]
        for length, window in zip(shape, size, strict=True)
    ]
    return sorted(product(*axes), key=lambda window: window[-1].start)


def window_starts(length: int, window: int, overlap: float, layout: Layout) -> list[int]:
    """Where windows begin along an axis of at least their length.

    MONAI's follow one another at the same distance, and the last one is moved back to end where the axis does;
    nnU-Net's are as many as that takes, spread evenly.
    """
    last = length - window
    if layout == "monai":
        interval = max(int(window * (1 - overlap)), 1)
        return [min(start, last) for start in range(0, last + interval, interval)]
    step = max(round(window * (1 - overlap), 9), 1)  # 1 - 0.9 is a little less than 0.1
    count = math.ceil(last / step) + 1
    return [round(number * (last / (count - 1))) for number in range(count)] if last else [0]


def importance_map(size: Sequence[int], blending: Blending, device: torch.device, layout: Layout = "monai") -> Tensor:
    """Weight of each voxel of a window (*size), made without waiting for the device.

    MONAI's Gaussian (``compute_importance_map``) lies on the window's centre. nnU-Net's lies on voxel size // 2, ends
    after `REACH` standard deviations, and has its smallest weight where it would be 0.
    """
    weight = torch.ones((), device=device)
    if blending == "constant":
        return weight.expand(*size)
    for length in size:
        centre = (length - 1) / 2 if layout == "monai" else length // 2
        x = torch.arange(length, dtype=torch.float32, device=device) - centre
        profile = torch.exp(x**2 / (-2 * (SIGMA_SCALE * length) ** 2))
        if layout == "nnunet":
            profile = profile.where(x.abs() <= int(REACH * SIGMA_SCALE * length + 0.5), 0)
        weight = weight[..., None] * profile
    if layout == "monai":
        return weight.clamp_(min=SMALLEST_WEIGHT)
    weight *= PEAK / weight.max()
    return weight.where(weight > 0, weight.where(weight > 0, torch.inf).min())
