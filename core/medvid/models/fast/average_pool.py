"""Average pooling in 3D with a gradient that is deterministic on every device."""

import torch
from torch import Tensor, nn
from torch.nn import functional

Triple = tuple[int, int, int]


class AveragePool3d(nn.Module):
    """Averages over windows; in two steps on GPUs, as the gradient over three axes is not deterministic there.

    Args:
        kernel: time, height and width of a window.
        stride: steps from window to window.
        padding: zeros on each side.
    """

    def __init__(self, kernel: Triple, stride: Triple, padding: Triple) -> None:
        super().__init__()
        self.windows = kernel, stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, T, H, W) to (B, C, T', H', W')."""
        return functional.avg_pool3d(x, *self.windows) if x.is_cpu else average_in_turn(x, *self.windows)


def average_in_turn(x: Tensor, kernel: Triple, stride: Triple, padding: Triple) -> Tensor:
    """Average (B, C, T, H, W) over the windows of each instant, and those along time: up to rounding, over both."""
    instants = functional.avg_pool2d(x.transpose(1, 2).flatten(0, 1), kernel[1:], stride[1:], padding[1:])
    instants = torch.unflatten(instants, 0, (len(x), -1)).transpose(1, 2)  # B, C, T, H', W'
    averages = functional.avg_pool2d(instants.flatten(3), (kernel[0], 1), (stride[0], 1), (padding[0], 0))
    return torch.unflatten(averages, 3, instants.shape[3:])
