"""The cascaded upsampler of TransUNet as a task head, on any feature pyramid."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medvid.models.deep_supervision import DeepSupervised
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.pyramid import Stride, level_strides, match_levels
from medvid.models.resize import resize
from medvid.models.value_maps import ValueMaps
from medvid.plugin import InputInfo, TargetInfo
from medvid_transunet.config import CascadedUpsamplerOptions

CONV: dict[int, type[nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
BATCH_NORM: dict[int, type[nn.Module]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def conv_block(rank: int, in_channels: int, out_channels: int) -> nn.Sequential:
    """A 3x3 convolution, batch norm and ReLU, for maps of 2 or 3 axes."""
    conv = CONV[rank](in_channels, out_channels, 3, padding=1, bias=False)
    return nn.Sequential(conv, BATCH_NORM[rank](out_channels), nn.ReLU(inplace=True))


class Up(nn.Module):
    """Upsample, join the skip of this level, and convolve twice (TransUNet, figure 1).

    A skip map that is coarser than the level is projected to the level's channels before it is upsampled.

    Args:
        in_channels: channels of the coarser level.
        channels: channels of this level.
        stride: stride of this level.
        skip: the map that is joined, if any.
    """

    def __init__(self, in_channels: int, channels: int, stride: Stride, skip: MapInfo | None) -> None:
        super().__init__()
        rank, skip_channels = len(stride), skip.channels if skip else 0
        self.project: nn.Module = nn.Identity()
        if skip and any(own > wanted for own, wanted in zip(skip.stride, stride, strict=True)):
            self.project, skip_channels = CONV[rank](skip.channels, channels, 1), channels
        self.conv1 = conv_block(rank, in_channels + skip_channels, channels)
        self.conv2 = conv_block(rank, channels, channels)

    def forward(self, x: Tensor, skip: Tensor | None, size: Sequence[int]) -> Tensor:
        """Map (B, in_channels, *S) to (B, channels, *size)."""
        x = resize(x, size, align_corners=True)
        if skip is not None:
            x = torch.cat([x, resize(self.project(skip), size, align_corners=True)], dim=1)
        return self.conv2(self.conv1(x))


class CascadedUpsampler(ValueMaps, DeepSupervised):
    """The decoder of TransUNet (Chen et al., 2021, section 3.3), laid out over whatever maps there are.

    The coarsest map is the bottleneck; from it levels double the resolution up to the input's. The other maps become
    skips of the levels that fit their strides best. From a TransUNet backbone this gives the published network.

    Args:
        options: the head's options.
        feature_info: the maps it works from; the last is the bottleneck.
        input_info: what the backbone is fed.
        target_info: the labels to distinguish, or the values.
    """

    def __init__(
        self,
        options: CascadedUpsamplerOptions,
        feature_info: FeatureInfo,
        input_info: InputInfo,
        target_info: TargetInfo,
    ) -> None:
        super().__init__(target_info)
        rank = len(input_info.size)
        *maps, bottleneck = feature_info.maps
        levels = level_strides(bottleneck.stride)
        matches = match_levels([info.stride for info in maps], levels)
        used = dict(sorted(matches.items(), reverse=True)[: options.n_skip])
        self.strides = levels[::-1]
        """Stride of each level, coarsest first."""
        self.skips = [used.get(level) for level in reversed(range(len(levels)))]
        """Index of the map that is the skip of each level, or None."""

        channels = options.head_channels
        self.conv_more = conv_block(rank, bottleneck.channels, channels)
        self.blocks = nn.ModuleList()
        widths = _per_level(options.decoder_channels, len(levels))
        for stride, skip, width in zip(self.strides, self.skips, widths, strict=True):
            self.blocks.append(Up(channels, width, stride, None if skip is None else maps[skip]))
            channels = width
        self.num_labels = len(target_info.names)
        self.segmentation = CONV[rank](channels, self.num_labels, 3, padding=1)
        supervised = widths[-2:0:-1] if options.deep_supervision else ()
        self.scales = nn.ModuleList(CONV[rank](width, self.num_labels, 1) for width in supervised)

    def forward(self, features: Features, input: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Decode the features of input (B, C, *S) to logits (B, labels, *S), or values; see `DeepSupervised`."""
        x, decoded = self.conv_more(features.maps[-1]), []
        for block, stride, skip in zip(self.blocks, self.strides, self.skips, strict=True):
            size = [-(-length // step) for length, step in zip(input.shape[2:], stride, strict=True)]
            x = block(x, None if skip is None else features.maps[skip], size)
            decoded.append(x)
        return self.in_units(self.with_scales(self.segmentation(x), decoded, self.scales))


def _per_level(channels: Sequence[int], levels: int) -> list[int]:
    """The channels of that many levels, coarsest first: the last of those given, or the first repeated."""
    return [*[channels[0]] * (levels - len(channels)), *channels[-levels:]]
