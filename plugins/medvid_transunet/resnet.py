"""ResNetV2 with standardised kernels and group norms, as Big Transfer has it, up to stride 16."""

from torch import Tensor, nn
from torch.nn import functional

from medvid.models.fast.instance_norm import ChannelNorm
from medvid.models.fast.standardise import standardised
from medvid_transunet.config import RESNET_GROUPS, ResNetOptions


class StdConv2d(nn.Conv2d):
    """A convolution whose kernel has zero mean and unit variance per output channel (Qiao et al., 2019)."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H', W')."""
        return functional.conv2d(input, standardised(self.weight), self.bias, self.stride, self.padding)


def std_conv(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> StdConv2d:
    """A standardised convolution without bias that keeps the size, up to its stride."""
    return StdConv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False)


def group_norm(channels: int) -> nn.GroupNorm:
    """The norm after each convolution, but for that of a shortcut."""
    return nn.GroupNorm(RESNET_GROUPS, channels, eps=1e-6)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution, each with a norm, and a shortcut; the stride is that of the 3x3.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, a quarter of them between the convolutions.
        stride: 1 or 2.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        width = out_channels // 4
        self.conv1 = std_conv(in_channels, width, 1)
        self.norm1 = group_norm(width)
        self.conv2 = std_conv(width, width, 3, stride)
        self.norm2 = group_norm(width)
        self.conv3 = std_conv(width, out_channels, 1)
        self.norm3 = group_norm(out_channels)
        self.shortcut = nn.Sequential()
        if stride > 1 or in_channels != out_channels:
            norm = ChannelNorm(out_channels, eps=1e-5, affine=True)  # as published, each channel is its own group
            self.shortcut.extend([std_conv(in_channels, out_channels, 1, stride), norm])

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, H / stride, W / stride), rounded up."""
        y = functional.relu(self.norm1(self.conv1(x)))
        y = functional.relu(self.norm2(self.conv2(y)))
        return functional.relu(self.norm3(self.conv3(y)) + self.shortcut(x))


class ResNetV2(nn.Module):
    """Stem and three stages of bottlenecks (Kolesnikov et al., Big Transfer, ECCV 2020), as TransUNet cuts it off.

    Args:
        options: numbers of blocks and channels.
        in_channels: channels of the input.
    """

    def __init__(self, options: ResNetOptions, in_channels: int) -> None:
        super().__init__()
        width = options.width
        self.channels = (width, 4 * width, 8 * width, 16 * width)
        """Channels of the maps that `forward` returns."""
        self.stem = nn.Sequential(std_conv(in_channels, width, 7, stride=2), group_norm(width), nn.ReLU())
        self.stages = nn.ModuleList()
        for stage, blocks in enumerate(options.num_layers):
            before, after = self.channels[stage : stage + 2]
            first = Bottleneck(before, after, stride=2 if stage else 1)
            self.stages.append(nn.Sequential(first, *(Bottleneck(after, after, 1) for _ in range(blocks - 1))))

    def forward(self, input: Tensor) -> tuple[Tensor, ...]:
        """Map (B, C, H, W), H and W multiples of 16, to four maps of strides 2, 4, 8 and 16."""
        half = self.stem(input)
        # Without padding the pooled map is a row and a column short. The next stages work on it as it is; only the
        # map that is handed out is filled up.
        quarter = self.stages[0](functional.max_pool2d(half, 3, stride=2))
        eighth = self.stages[1](quarter)
        return half, functional.pad(quarter, (0, 1, 0, 1)), eighth, self.stages[2](eighth)
