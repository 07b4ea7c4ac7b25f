"""R(2+1)D (Tran et al., CVPR 2018, section 3.5), with the names of torchvision's video ResNets."""

from torch import Tensor, nn
from torch.nn import functional

from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.plugin import InputInfo
from medvid_r2plus1d.config import R2Plus1DOptions

_STEM = 45 / 64
"""Channels between the two convolutions of the stem, as a share of its outputs."""


class R2Plus1D(Backbone):
    """A 3D ResNet of which every convolution is one over space and then one over time.

    Its maps are those of the four stages, each but the first at half the size in time and space; its embedding is the
    mean of the last one.

    Args:
        options: the backbone's options.
        input_info: what it will be fed.
    """

    def __init__(self, options: R2Plus1DOptions, input_info: InputInfo) -> None:
        super().__init__()
        self.stem = _stem(input_info.channels, options.width)
        widths = [options.width << stage for stage in range(4)]
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            _stage(widths[max(0, stage - 1)], width, blocks, stride=min(2, 1 + stage))
            for stage, (width, blocks) in enumerate(zip(widths, options.blocks, strict=True))
        )
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        maps = (MapInfo(width, (1 << stage, 2 << stage, 2 << stage)) for stage, width in enumerate(widths))
        self.feature_info = FeatureInfo(maps=tuple(maps), embedding=widths[-1])

    def forward(self, input: Tensor) -> Features:
        """Map a clip (B, C, T, H, W) to four maps and an embedding (B, 8 * width)."""
        x, maps = self.stem(input), []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            maps.append(x)
        return Features(maps=tuple(maps), embedding=x.mean(dim=(2, 3, 4)))

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """The stem and the blocks."""
        return (self.stem, *self.layer1, *self.layer2, *self.layer3, *self.layer4)


class Block(nn.Module):
    """Two factorised convolutions and the identity, or a projection where the size changes.

    Args:
        inputs: channels.
        outputs: channels.
        stride: in time and space.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        # As many parameters as a 3 x 3 x 3 convolution would have; torchvision takes them from the first for both.
        between = inputs * outputs * 27 // (inputs * 9 + 3 * outputs)
        self.conv1 = nn.Sequential(
            _factorised(inputs, between, outputs, stride), nn.BatchNorm3d(outputs), nn.ReLU(inplace=True)
        )
        self.conv2 = nn.Sequential(_factorised(outputs, between, outputs, 1), nn.BatchNorm3d(outputs))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = (
            nn.Sequential(nn.Conv3d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm3d(outputs))
            if stride != 1 or inputs != outputs
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, T, H, W) to (B, outputs, T / stride, H / stride, W / stride)."""
        return self.relu(self.conv2(self.conv1(x)) + self.downsample(x))


class TemporalConv(nn.Conv3d):
    """A convolution over three frames, without bias, computed as one of two axes: time, and all of space.

    torch's own of three axes leaves gradients in bfloat16 undefined on CPUs where the clip has few frames left.

    Args:
        inputs: channels.
        outputs: channels.
        stride: in time.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, T, H, W) to (B, outputs, T / stride, H, W)."""
        stride = (self.stride[0], 1)
        output = functional.conv2d(x.flatten(3), self.weight.flatten(3), stride=stride, padding=(1, 0))
        return output.view(*output.shape[:3], *x.shape[3:])


def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    return nn.Sequential(Block(inputs, outputs, stride), *(Block(outputs, outputs, stride=1) for _ in range(1, blocks)))


def _stem(inputs: int, outputs: int) -> nn.Sequential:
    between = int(outputs * _STEM)
    return nn.Sequential(
        nn.Conv3d(inputs, between, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False),
        nn.BatchNorm3d(between),
        nn.ReLU(inplace=True),
        TemporalConv(between, outputs),
        nn.BatchNorm3d(outputs),
        nn.ReLU(inplace=True),
    )


def _factorised(inputs: int, between: int, outputs: int, stride: int) -> nn.Sequential:
    """A convolution over space, then one over time."""
    return nn.Sequential(
        nn.Conv3d(inputs, between, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
        nn.BatchNorm3d(between),
        nn.ReLU(inplace=True),
        TemporalConv(between, outputs, stride),
    )
