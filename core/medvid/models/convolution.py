"""Blocks of convolutions, instance norms and leaky ReLUs, in 2D and 3D, as nnU-Net's networks have them."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from medvid.models.fast.average_pool import AveragePool3d
from medvid.models.fast.instance_norm import INSTANCE_NORM
from medvid.models.fast.pointwise import Pointwise

CONV: dict[int, type[nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, type[nn.Module]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
SLOPE = 0.01
"""Of the leaky ReLUs."""


class ConvBlock(nn.Module):
    """A convolution, an instance norm and a leaky ReLU.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: size on each axis, odd; padded so that the size stays.
        stride: of the convolution.
        bias: give the convolution a bias; the norm takes it away again, but published networks have it.
        active: end with the leaky ReLU.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Sequence[int],
        stride: Sequence[int] | int = 1,
        *,
        bias: bool = True,
        active: bool = True,
    ) -> None:
        super().__init__()
        rank, self.active = len(kernel), active
        padding = [length // 2 for length in kernel]
        self.conv = CONV[rank](in_channels, out_channels, tuple(kernel), stride=stride, padding=padding, bias=bias)
        self.norm = INSTANCE_NORM[rank](out_channels, eps=1e-5, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, *S) to (B, out_channels, *(S / stride))."""
        x = self.norm(self.conv(x))
        return functional.leaky_relu_(x, SLOPE) if self.active else x


class Skip(nn.Module):
    """The other path of a residual block: an average pool where it strides, a projection where its channels change.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: of the block.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: Sequence[int]) -> None:
        super().__init__()
        self.pool = _average_pool(tuple(stride)) if max(stride) > 1 else nn.Identity()
        self.project = in_channels != out_channels
        if self.project:
            self.conv = Pointwise(in_channels, out_channels, bias=False)
            self.norm = INSTANCE_NORM[len(stride)](out_channels, eps=1e-5, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, *S) to (B, out_channels, *(S / stride))."""
        x = self.pool(x)
        return self.norm(self.conv(x)) if self.project else x


def _average_pool(stride: tuple[int, ...]) -> nn.Module:
    return AveragePool3d(stride, stride, (0, 0, 0)) if len(stride) == 3 else nn.AvgPool2d((stride[0], stride[1]))


class ResidualBlock(nn.Module):
    """Two convolutions and a skip (He et al., CVPR 2016), as in nnU-Net's residual encoders.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: size on each axis.
        stride: of the first convolution and of the skip.
        bias: give the convolutions a bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Sequence[int],
        stride: Sequence[int],
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.conv1 = ConvBlock(in_channels, out_channels, kernel, stride, bias=bias)
        self.conv2 = ConvBlock(out_channels, out_channels, kernel, bias=bias, active=False)
        self.skip = Skip(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, *S) to (B, out_channels, *(S / stride))."""
        y = self.conv2(self.conv1(x))
        y += self.skip(x)
        return functional.leaky_relu_(y, SLOPE)


def initialise(module: nn.Module) -> None:
    """He's initialisation of all convolutions, biases 0; residual blocks begin as their skip."""
    for part in module.modules():
        if isinstance(part, Pointwise | nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            nn.init.kaiming_normal_(part.weight, a=SLOPE)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        if isinstance(part, ResidualBlock):
            nn.init.zeros_(part.conv2.norm.get_parameter("weight"))
