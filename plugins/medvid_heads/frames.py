"""The head for frames of videos and slices of volumes: a linear layer on what any backbone sees of each."""

from torch import Tensor, nn

from medvid.config.axes import SLICES
from medvid.errors import ConfigError
from medvid.models.features import FeatureInfo, Features
from medvid.models.head import Head
from medvid.models.regression import RegressionHead
from medvid.models.resize import resize
from medvid.plugin import InputInfo, TargetInfo
from medvid_heads.config import FramesOptions
from medvid_heads.layers import linear_layers


def frame_head(
    options: FramesOptions, feature_info: FeatureInfo, input_info: InputInfo, target_info: TargetInfo
) -> Head:
    """The head `frames`: of a class or labels per frame, or of values."""
    layers = FrameLayers(options, feature_info, input_info, len(target_info.names))
    return FrameRegression(layers, target_info) if target_info.what == "value" else FrameClassifier(layers)


class FrameLayers(nn.Module):
    """The mean of a map over each frame, dropout and a linear layer.

    It takes the coarsest map that tells frames apart. One that has less frames than the input (a stride above 1 along
    time, or the slices) is interpolated linearly.

    Args:
        options: the head's options.
        feature_info: what it works from.
        input_info: what the backbone is fed.
        outputs: numbers per frame.

    Raises:
        ConfigError: all maps are a single frame deep, though the input is deeper.
    """

    def __init__(self, options: FramesOptions, feature_info: FeatureInfo, input_info: InputInfo, outputs: int) -> None:
        super().__init__()
        self.axis = SLICES[input_info.axes]
        length = input_info.size[self.axis]
        strides = [info.stride[self.axis] for info in feature_info.maps]
        apart = [number for number, stride in enumerate(strides) if stride < length or length == 1]
        if not apart:
            raise ConfigError(
                f"the backbone's maps have a stride of {min(strides)} or more along the {length} frames, so it tells "
                "no frame from another",
                hint="feed it more frames, set a smaller patch size along them, or take a backbone of images, which "
                "runs on each",
            )
        self.map = apart[-1]
        width = feature_info.maps[self.map].channels
        self.hidden, self.dropout, self.last = linear_layers(options, width, outputs)

    def forward(self, features: Features, input: Tensor) -> Tensor:
        """Map features of an input (B, C, *S), T frames long, to (B, T, outputs)."""
        chosen, axis = features.maps[self.map], 2 + self.axis
        pooled = chosen.mean(dim=[other for other in range(2, chosen.ndim) if other != axis])  # B, C, T / stride
        frames = resize(pooled, (input.shape[axis],)).transpose(1, 2)
        return self.last(self.dropout(self.hidden(frames)))


class FrameClassifier(Head):
    """One class, or any of several labels, of each frame.

    Args:
        layers: what makes numbers of features.
    """

    def __init__(self, layers: FrameLayers) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, features: Features, input: Tensor) -> Tensor:
        """Classify the frames of an input (B, C, *S): logits (B, T, labels)."""
        return self.layers(features, input)


class FrameRegression(RegressionHead):
    """Values of each frame, see `RegressionHead` for their scale.

    Args:
        layers: what makes numbers of features.
        target_info: the values.
    """

    def __init__(self, layers: FrameLayers, target_info: TargetInfo) -> None:
        super().__init__(target_info)
        self.layers = layers

    def forward(self, features: Features, input: Tensor) -> Tensor:
        """Predict the values of the frames of an input (B, C, *S): (B, T, V) in their units."""
        return self.in_units(self.layers(features, input))
