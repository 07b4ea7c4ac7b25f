"""The U-Net of axial attention that the networks of the MedT family consist of."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from medvid.models.resize import resize
from medvid_medt.config import STRIDES, MedTOptions

Attention = Callable[[int, int], nn.Module]
"""Makes the attention along the last axis of (B, C, S, L), from C and L."""


class AxialBlock(nn.Module):
    """ResNet's bottleneck with attention down the columns and then along the rows for its 3x3 convolution (figure 2b).

    Args:
        in_channels: channels of its input.
        out_channels: channels of its output.
        width: channels that attention works on.
        size: height and width of its input.
        stride: 1, or 2 to halve height and width, rounding up.
        attention: makes the attention.
    """

    def __init__(
        self, in_channels: int, out_channels: int, width: int, size: Sequence[int], stride: int, attention: Attention
    ) -> None:
        super().__init__()
        self.conv_down = nn.Conv2d(in_channels, width, 1, bias=False)
        self.norm_down = nn.BatchNorm2d(width)
        self.height_attention = attention(width, size[0])
        self.width_attention = attention(width, size[1])
        self.pool = nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity()
        self.conv_up = nn.Conv2d(width, out_channels, 1, bias=False)
        self.norm_up = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Sequential()
        if stride > 1 or in_channels != out_channels:
            self.shortcut.append(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, H / stride, W / stride)."""
        y = functional.relu(self.norm_down(self.conv_down(x)))
        y = self.width_attention(self.height_attention(y.mT).mT)
        y = self.norm_up(self.conv_up(functional.relu(self.pool(y))))
        return functional.relu(y + self.shortcut(x))


class AxialUNet(nn.Module):
    """A stem, stages of `AxialBlock`, and a decoder that adds the stages' maps on its way up (figure 2a).

    Args:
        options: the backbone's options.
        in_channels: channels of its input.
        stem_channels: channels of the stem's first and last convolution.
        size: height and width of its input.
        stages: how many; to the coarsest map of all four a convolution of it with stride 2 is added.
        attention: makes the attention.
    """

    def __init__(
        self,
        options: MedTOptions,
        in_channels: int,
        stem_channels: int,
        size: Sequence[int],
        stages: int,
        attention: Attention,
    ) -> None:
        super().__init__()
        self.channels = [int(128 * options.s) * 2**level for level in range(stages + 1)]
        self.stem = nn.Sequential(
            *_convolution(in_channels, stem_channels, 7, stride=2),
            *_convolution(stem_channels, 128, 3),
            *_convolution(128, stem_channels, 3),
        )
        size = _halved(size)
        self.stages = nn.ModuleList()
        for level, outer in enumerate(self.channels[1:]):
            stride, inner = (2, self.channels[level]) if level else (1, stem_channels)
            width = options.attention_width * 2**level
            stage = nn.Sequential(AxialBlock(inner, outer, width, size, stride, attention))
            size = _halved(size) if stride == 2 else size
            for _ in range(options.layers[level] - 1):
                stage.append(AxialBlock(outer, outer, width, size, 1, attention))
            self.stages.append(stage)
        self.bottleneck = nn.Conv2d(outer, outer, 3, stride=2) if stages == len(STRIDES) else None
        self.decoders = nn.ModuleList(  # finest first
            nn.Conv2d(inner, outer, 3, padding=1) for outer, inner in pairwise(self.channels)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (B, in_channels, *size) to the decoder's output, of that size, and the maps of all stages."""
        y = self.stem(x)
        maps: list[Tensor] = []
        for stage in self.stages:
            y = stage(y)
            maps.append(y)
        if self.bottleneck is not None:
            # Padded beforehand: where y is one pixel, oneDNN (torch 2.14, CPU) never sets the bfloat16 gradients of the
            # weights that meet nothing but the convolution's own padding.
            y = y + _upsampled(self.bottleneck(functional.pad(y, (1, 1, 1, 1))), y)
        for decoder, skip in zip(self.decoders[:0:-1], maps[-2::-1], strict=True):
            y = skip + _upsampled(decoder(y), skip)
        return [_upsampled(self.decoders[0](y), x), *maps]


def _convolution(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> Iterator[nn.Module]:
    yield nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
    yield nn.BatchNorm2d(out_channels)
    yield nn.ReLU()


def _upsampled(x: Tensor, like: Tensor) -> Tensor:
    """Interpolate (B, C, H, W) to the height and width of the other, and rectify."""
    return functional.relu(resize(x, like.shape[2:]))


def _halved(size: Sequence[int]) -> list[int]:
    return [-(-length // 2) for length in size]
