"""The head for frames of videos and slices of volumes: a linear layer on what any backbone sees of each."""

from typing import cast

from torch import Tensor

from medvid.config.axes import SLICES
from medvid.errors import ConfigError
from medvid.models.features import FeatureInfo, Features
from medvid.models.frame_head import FrameHead
from medvid.models.head import Head
from medvid.models.regression import RegressionHead
from medvid.models.resize import resize
from medvid.plugin import InputInfo, TargetInfo
from medvid_heads.config import FramesOptions
from medvid_heads.temporal import FrameLayers, TemporalModel


def frame_head(
    options: FramesOptions, feature_info: FeatureInfo, input_info: InputInfo, target_info: TargetInfo
) -> Head:
    """The head `frames`: of a class or labels per frame, or of values."""
    means = FrameMeans(feature_info, input_info)
    layers = FrameLayers(options, means.width, len(target_info.names))
    return (
        FrameRegression(means, layers, target_info) if target_info.what == "value" else FrameClassifier(means, layers)
    )


class FrameMeans:
    """The mean of a map over each frame, as its embedding.

    It takes the coarsest map that tells frames apart. One that has less frames than the input (a stride above 1 along
    time, or the slices) is interpolated linearly.

    Args:
        feature_info: what it works from.
        input_info: what the backbone is fed.

    Raises:
        ConfigError: all maps are a single frame deep, though the input is deeper.
    """

    def __init__(self, feature_info: FeatureInfo, input_info: InputInfo) -> None:
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
        self.width = feature_info.maps[self.map].channels

    def __call__(self, features: Features, input: Tensor) -> Tensor:
        """Map features of an input (B, C, *S), T frames long, to (B, T, D)."""
        chosen, axis = features.maps[self.map], 2 + self.axis
        pooled = chosen.mean(dim=[other for other in range(2, chosen.ndim) if other != axis])  # B, C, T / stride
        return resize(pooled, (input.shape[axis],)).transpose(1, 2)


class FrameEmbeddings:
    """The embeddings of frames that a backbone gives.

    Args:
        width: of each.
    """

    def __init__(self, width: int) -> None:
        self.width = width

    def __call__(self, features: Features, input: Tensor) -> Tensor:  # noqa: ARG002 (as `FrameMeans`)
        """The embeddings (B, T, D) among the features."""
        return cast(Tensor, features.frames)


class FrameClassifier(FrameHead):
    """One class, or any of several labels, of each frame.

    Args:
        seen: what is seen of each frame.
        layers: make numbers of the sequence.
    """

    def __init__(self, seen: FrameMeans | FrameEmbeddings, layers: TemporalModel) -> None:
        super().__init__()
        self._seen, self.layers = seen, layers
        self.width, self.context = seen.width, layers.context

    def embed(self, features: Features, input: Tensor) -> Tensor:
        """See `FrameHead.embed`."""
        return self._seen(features, input)

    def answer(self, embeddings: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits (B, T, labels) of embeddings (B, T, D), in training of all stages if there are several."""
        stages: tuple[Tensor, ...] = self.layers(embeddings)
        return stages if self.training and len(stages) > 1 else stages[-1]


class FrameRegression(FrameHead, RegressionHead):
    """Values of each frame, see `RegressionHead` for their scale.

    Args:
        seen: what is seen of each frame.
        layers: make numbers of the sequence.
        target_info: the values.
    """

    def __init__(self, seen: FrameMeans | FrameEmbeddings, layers: TemporalModel, target_info: TargetInfo) -> None:
        super().__init__(target_info)
        self._seen, self.layers = seen, layers
        self.width, self.context = seen.width, layers.context

    def embed(self, features: Features, input: Tensor) -> Tensor:
        """See `FrameHead.embed`."""
        return self._seen(features, input)

    def answer(self, embeddings: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Values (B, T, V) in their units of embeddings (B, T, D), in training of all stages if there are several."""
        stages = tuple(self.in_units(stage) for stage in self.layers(embeddings))
        return stages if self.training and len(stages) > 1 else stages[-1]
