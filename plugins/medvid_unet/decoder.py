"""The decoder of nnU-Net's U-Nets as a task head, on any feature pyramid."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from medvid.errors import ConfigError
from medvid.models.convolution import TRANSPOSED, ConvBlock, initialise
from medvid.models.deep_supervision import DeepSupervised
from medvid.models.fast.pointwise import Pointwise
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.resize import resize
from medvid.models.value_maps import ValueMaps
from medvid.plugin import InputInfo, TargetInfo
from medvid_unet.config import UNetDecoderOptions


class Level(nn.Module):
    """Upsample the coarser level by a transposed convolution, join the skip, and convolve.

    Args:
        below: the coarser level.
        skip: the map that is joined; the level has its channels.
        kernel: of the convolutions.
        convs: their number.
    """

    def __init__(self, below: MapInfo, skip: MapInfo, kernel: Sequence[int], convs: int) -> None:
        super().__init__()
        width = skip.channels
        factor = tuple(max(1, round(a / b)) for a, b in zip(below.stride, skip.stride, strict=True))
        self.upsample = TRANSPOSED[len(factor)](below.channels, width, factor, stride=factor)
        self.convs = nn.Sequential(*(ConvBlock(width if index else 2 * width, width, kernel) for index in range(convs)))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map (B, C, *S) and a skip (B, width, *S') to (B, width, *S')."""
        return self.convs(torch.cat([resize(self.upsample(x), skip.shape[2:]), skip], dim=1))


class UNetDecoder(ValueMaps, DeepSupervised):
    """The decoder of nnU-Net's U-Nets (Isensee et al., Nature Methods 2021), with a level for each map but the last.

    The last map is the bottleneck. Each level predicts by a 1x1 convolution; all levels but the coarsest do so in
    training, the finest alone in evaluation. If the finest map is coarser than the input, its logits are interpolated.

    Args:
        options: the head's options.
        feature_info: the maps it works from; the last is the bottleneck.
        input_info: what the backbone is fed.
        target_info: the labels to distinguish, or the values.

    Raises:
        ConfigError: there are kernels or convolutions for another number of levels or axes.
    """

    def __init__(
        self, options: UNetDecoderOptions, feature_info: FeatureInfo, input_info: InputInfo, target_info: TargetInfo
    ) -> None:
        super().__init__(target_info)
        maps, rank = feature_info.maps, len(input_info.size)
        levels = len(maps) - 1
        kernels = options.kernels or ((3,) * rank,) * levels
        convs = (options.convs,) * levels if isinstance(options.convs, int) else options.convs
        for name, given in (("kernels", kernels), ("convs", convs)):
            if len(given) != levels:
                raise ConfigError(
                    f"head.{name} has {len(given)} entries, but the decoder has {levels} levels: one for each of the "
                    "backbone's maps but the last"
                )
        if any(len(kernel) != rank for kernel in kernels):
            raise ConfigError(f"head.kernels is not for inputs of size {list(input_info.size)}, which have {rank} axes")
        self.levels = nn.ModuleList(
            Level(below, skip, kernel, number)
            for (skip, below), kernel, number in zip(pairwise(maps), kernels, convs, strict=True)
        )
        """Finest first."""
        predicting = maps[: max(1, levels)] if options.deep_supervision else maps[:1]
        self.classifiers = nn.ModuleList(Pointwise(info.channels, len(target_info.names)) for info in predicting)
        initialise(self)
        if len(predicting) > 1:  # nnU-Net has this one, with weight 0 in its loss; it is kept for states to be the same
            self.classifiers[-1].requires_grad_(False)

    def forward(self, features: Features, input: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Decode the features of input (B, C, *S) to logits (B, labels, *S), or values; see `DeepSupervised`."""
        x, decoded = features.maps[-1], []
        for level, skip in zip(reversed(self.levels), reversed(features.maps[:-1]), strict=True):
            x = level(x, skip)
            decoded.append(x)
        finest, *_ = self.classifiers
        return self.in_units(self.with_scales(resize(finest(x), input.shape[2:]), decoded, self.classifiers[1:-1]))
