"""The encoders of nnU-Net's U-Nets."""

from collections.abc import Sequence
from itertools import accumulate

from torch import Tensor, nn

from medvid.models.backbone import Backbone
from medvid.models.convolution import ConvBlock, ResidualBlock, initialise
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.plugin import InputInfo
from medvid_unet.config import UNetOptions, check_divides


class UNet(Backbone):
    """The encoder of nnU-Net's U-Nets, for volumes and images.

    Plain (Isensee et al., Nature Methods 2021), or residual behind a first convolution (Isensee et al., MICCAI 2024).
    Its maps are the outputs of all stages.

    Args:
        options: the backbone's options.
        input_info: what it will be fed.
    """

    def __init__(self, options: UNetOptions, input_info: InputInfo) -> None:
        super().__init__()
        self.total_stride, self.weights = options.total_stride, options.weights
        features, kernels, strides = options.features, options.kernel_of_stages, options.strides
        residual = options.encoder == "resenc"
        make_block: type[ConvBlock | ResidualBlock] = ResidualBlock if residual else ConvBlock
        self.stem = ConvBlock(input_info.channels, features[0], kernels[0]) if residual else nn.Identity()
        channels = features[0] if residual else input_info.channels
        self.stages = nn.ModuleList()
        for width, kernel, stride, blocks in zip(features, kernels, strides, options.blocks_of_stages, strict=True):
            first = make_block(channels, width, kernel, stride)
            rest = (make_block(width, width, kernel, (1,) * options.rank) for _ in range(blocks - 1))
            self.stages.append(nn.Sequential(first, *rest))
            channels = width
        totals = accumulate(strides, lambda one, other: tuple(a * b for a, b in zip(one, other, strict=True)))
        self.feature_info = FeatureInfo(tuple(map(MapInfo, features, totals)))
        initialise(self)

    @property
    def layers(self) -> Sequence[nn.Module]:
        return [block for stage in self.stages for block in stage.children()]

    def forward(self, input: Tensor) -> Features:
        """Map (B, C, *S) to a map (B, features[i], *(S / strides so far)) for each stage.

        Raises:
            ValueError: the strides do not divide the size.
        """
        check_divides(tuple(input.shape[2:]), self.total_stride)
        maps = [self.stem(input)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return Features(tuple(maps[1:]))
