"""The simplest head of voxels: each voxel of the finest map is classified, or gets its values, on its own."""

from torch import Tensor, nn

from medvid.models.features import FeatureInfo, Features
from medvid.models.resize import resize
from medvid.models.value_maps import ValueMaps
from medvid.plugin import InputInfo, TargetInfo
from medvid_heads.config import PixelHeadOptions


class PixelHead(ValueMaps):
    """A 1x1 convolution of the finest map to logits or values, interpolated to the input's size where that is finer.

    Args:
        options: the head's options.
        feature_info: the maps it works from; only the first is used.
        input_info: what the backbone is fed.
        target_info: the labels to distinguish, or the values.
    """

    def __init__(
        self,
        options: PixelHeadOptions,  # noqa: ARG002 (it has none but its loss)
        feature_info: FeatureInfo,
        input_info: InputInfo,
        target_info: TargetInfo,
    ) -> None:
        super().__init__(target_info)
        convolution = {2: nn.Conv2d, 3: nn.Conv3d}[len(input_info.size)]
        self.classifier = convolution(feature_info.maps[0].channels, len(target_info.names), 1)

    def forward(self, features: Features, input: Tensor) -> Tensor:
        """Classify the voxels of input (B, C, *S) from its features: logits (B, labels, *S), or values (B, V, *S)."""
        return self.in_units(resize(self.classifier(features.maps[0]), input.shape[2:]))
