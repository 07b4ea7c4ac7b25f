"""The simplest segmentation head: each voxel of the finest map is classified on its own."""

from torch import Tensor, nn
from torch.nn import functional

from medvid.models.features import FeatureInfo, Features
from medvid.models.segmentation import SegmentationHead
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.config import PixelHeadOptions


class PixelHead(SegmentationHead):
    """A 1x1 convolution of the finest map to logits, interpolated to the size of the input where that is finer.

    Args:
        options: the head's options.
        feature_info: the maps it works from; only the first is used.
        input_info: what the backbone is fed.
        target_info: the labels to tell apart.
    """

    def __init__(
        self, options: PixelHeadOptions, feature_info: FeatureInfo, input_info: InputInfo, target_info: TargetInfo
    ) -> None:
        super().__init__(options)
        rank = len(input_info.size)
        convolution = {2: nn.Conv2d, 3: nn.Conv3d}[rank]
        self.mode = {2: "bilinear", 3: "trilinear"}[rank]
        self.classifier = convolution(feature_info.maps[0].channels, len(target_info.labels), 1)

    def forward(self, features: Features, input: Tensor) -> Tensor:
        """Classify the voxels of input (B, C, *S) from its features: logits (B, labels, *S)."""
        logits: Tensor = self.classifier(features.maps[0])
        if logits.shape[2:] == input.shape[2:]:
            return logits
        return functional.interpolate(logits, input.shape[2:], mode=self.mode)
