"""Convolutional blocks of the UNETR decoder, in 2D and 3D."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from medvid.models.fast.instance_norm import INSTANCE_NORM
from medvid.models.fast.pointwise import Pointwise

CONV: dict[int, type[nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, type[nn.Module]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
BATCH_NORM: dict[int, type[nn.Module]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


@dataclass(frozen=True, slots=True)
class Layers:
    """What all layers of a decoder have in common, and how they are made from it.

    Args:
        rank: number of spatial axes, 2 or 3.
        norm_kind: instance, batch or group.
        norm_arguments: passed on to torch's class of that norm.
        residual: make blocks residual.
    """

    rank: int
    norm_kind: str
    norm_arguments: Mapping[str, Any]
    residual: bool

    def norm(self, channels: int) -> nn.Module:
        """The norm for maps of that many channels."""
        if self.norm_kind == "group":
            return nn.GroupNorm(num_channels=channels, **self.norm_arguments)
        kinds = {"instance": INSTANCE_NORM, "batch": BATCH_NORM}[self.norm_kind]
        return kinds[self.rank](channels, **self.norm_arguments)

    def conv(self, in_channels: int, out_channels: int) -> nn.Module:
        """A 3x3 convolution that keeps the size."""
        return CONV[self.rank](in_channels, out_channels, 3, padding=1, bias=False)

    def upsample(self, in_channels: int, out_channels: int, factor: tuple[int, ...]) -> nn.Module:
        """A learned upsampling: a transposed convolution without overlap."""
        return TRANSPOSED[self.rank](in_channels, out_channels, factor, stride=factor, bias=False)

    def block(self, in_channels: int, out_channels: int) -> "ConvBlock":
        """Two convolutions with norms and activations."""
        return ConvBlock(in_channels, out_channels, self)


class ConvBlock(nn.Module):
    """Two 3x3 convolutions with norms and leaky ReLUs; residual where ``layers.residual`` (UNETR, figure 2).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output; a residual whose channels differ is projected.
        layers: makes the layers.
    """

    def __init__(self, in_channels: int, out_channels: int, layers: Layers) -> None:
        super().__init__()
        self.residual = layers.residual
        self.conv1 = layers.conv(in_channels, out_channels)
        self.norm1 = layers.norm(out_channels)
        self.conv2 = layers.conv(out_channels, out_channels)
        self.norm2 = layers.norm(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if layers.residual and in_channels != out_channels:
            projection = Pointwise(in_channels, out_channels, bias=False)
            self.shortcut = nn.Sequential(projection, layers.norm(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, *S) to (B, out_channels, *S)."""
        # In place, since no norm needs its own output for the backward pass: half the memory of activations.
        y = functional.leaky_relu_(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        if self.residual:
            y += self.shortcut(x)
        return functional.leaky_relu_(y)
