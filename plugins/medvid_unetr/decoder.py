"""The UNETR decoder as a task head: a convolutional U-Net decoder on any feature pyramid."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from medvid.models.deep_supervision import DeepSupervised
from medvid.models.fast.pointwise import Pointwise
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.pyramid import Stride, level_strides, match_levels, octaves
from medvid.models.resize import resize
from medvid.models.value_maps import ValueMaps
from medvid.plugin import InputInfo, TargetInfo
from medvid_unetr.blocks import Layers
from medvid_unetr.config import UnetrDecoderOptions


class Lift(nn.Module):
    """Bring a feature map to the resolution and the channels of a level of the decoder (UNETR, figure 2, blue).

    A coarser map is upsampled step by step, each step but the first followed by a block where `conv_block`; a map that
    needs no upsampling goes through one block.

    Args:
        source: the map.
        stride: stride of the level.
        channels: channels of the level.
        layers: makes the layers.
        conv_block: add the blocks.
    """

    def __init__(self, source: MapInfo, stride: Stride, channels: int, layers: Layers, conv_block: bool) -> None:
        super().__init__()
        factors = upsampling_steps(source.stride, stride)
        self.steps = nn.Sequential()
        for index, factor in enumerate(factors):
            step = nn.Sequential(layers.upsample(channels if index else source.channels, channels, factor))
            if index and conv_block:
                step.append(layers.block(channels, channels))
            self.steps.append(step)
        if not factors:
            self.steps.append(layers.block(source.channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, *S) to (B, channels, *S'), S' up to rounding the size of the level."""
        return self.steps(x)


class Up(nn.Module):
    """Upsample the coarser level and merge it with the skips of this one (UNETR, figure 2, green and yellow).

    Args:
        in_channels: channels of the coarser level.
        channels: channels of this level and of each of its skips.
        factor: 1 or 2 per axis.
        skips: number of skips.
        layers: makes the layers.
    """

    def __init__(self, in_channels: int, channels: int, factor: Stride, skips: int, layers: Layers) -> None:
        super().__init__()
        self.upsample = layers.upsample(in_channels, channels, factor)
        self.block = layers.block(channels * (1 + skips), channels)

    def forward(self, x: Tensor, skips: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Map (B, in_channels, *S) and skips (B, channels, *size) to (B, channels, *size)."""
        return self.block(torch.cat([resize(self.upsample(x), size), *skips], dim=1))


class UnetrDecoder(ValueMaps, DeepSupervised):
    """The decoder of UNETR (Hatamizadeh et al., WACV 2022, section 3.2), laid out over whatever maps there are.

    The coarsest map is the bottleneck; from it levels double the resolution up to the input's. The other maps become
    skips of the levels that fit their strides best, lifted by transposed convolutions; the skip of the full resolution
    is computed from the input itself. From a UNETR backbone this gives the published network.

    Args:
        options: the head's options.
        feature_info: the maps it works from; the last is the bottleneck.
        input_info: what the backbone is fed.
        target_info: the labels to distinguish, or the values.
    """

    def __init__(
        self, options: UnetrDecoderOptions, feature_info: FeatureInfo, input_info: InputInfo, target_info: TargetInfo
    ) -> None:
        super().__init__(target_info)
        layers = Layers(len(input_info.size), *options.norm, residual=options.res_block)
        *maps, bottleneck = feature_info.maps
        self.strides = level_strides(bottleneck.stride)
        self.matches = match_levels([info.stride for info in maps], self.strides)
        channels = [options.feature_size * 2**level for level in range(len(self.strides))] + [bottleneck.channels]

        self.input_block = layers.block(input_info.channels, channels[0])
        self.lifts = nn.ModuleDict(
            {
                str(level): Lift(maps[index], self.strides[level], channels[level], layers, options.conv_block)
                for level, index in self.matches.items()
            }
        )
        self.ups = nn.ModuleList(
            Up(
                channels[level + 1],
                channels[level],
                tuple(2 if above < below else 1 for above, below in zip(fine, coarse, strict=True)),
                skips=int(level == 0) + int(level in self.matches),
                layers=layers,
            )
            for level, (fine, coarse) in enumerate(pairwise([*self.strides, bottleneck.stride]))
        )
        self.num_labels = len(target_info.names)
        self.out = Pointwise(channels[0], self.num_labels)
        supervised = channels[1 : len(self.ups) - 1] if options.deep_supervision else ()
        self.scales = nn.ModuleList(Pointwise(width, self.num_labels) for width in supervised)

    def forward(self, features: Features, input: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Decode the features of input (B, C, *S) to logits (B, labels, *S), or values; see `DeepSupervised`."""
        x, decoded = features.maps[-1], []
        for level in reversed(range(len(self.ups))):
            size = [-(-length // stride) for length, stride in zip(input.shape[2:], self.strides[level], strict=True)]
            skips = [self.input_block(input)] if level == 0 else []
            if level in self.matches:
                skips.append(resize(self.lifts[str(level)](features.maps[self.matches[level]]), size))
            x = self.ups[level](x, skips, size)
            decoded.append(x)
        return self.in_units(self.with_scales(self.out(x), decoded, self.scales))


def upsampling_steps(coarse: Stride, fine: Stride) -> list[Stride]:
    """Factors (1 or 2 per axis) of the upsamplings that lead from one stride to a finer one.

    Axes that need fewer steps join last. An axis on which `coarse` is the finer one is left alone, and one whose ratio
    is not a power of two overshoots; both are for the caller to resize.
    """
    doublings = [octaves(target, stride) for stride, target in zip(coarse, fine, strict=True)]
    steps = max(doublings)
    return [tuple(2 if steps - step <= own else 1 for own in doublings) for step in range(steps)]
