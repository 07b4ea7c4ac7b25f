"""What STAM and VTN share: a backbone of images that sees the frames as one batch, and an encoder of time."""

from abc import ABC
from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

from medvid.config.axes import SLICES
from medvid.errors import ConfigError
from medvid.models.axes import AxisFold
from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo


class TemporalEncoder(nn.Module, ABC):
    """Base of encoders of a sequence of embeddings."""

    tables: ClassVar[tuple[str, ...]]
    """Names of its class token and of its tables."""
    layers: nn.ModuleList
    """Its blocks in the order in which they run."""


class Framewise(Backbone, ABC):
    """Base of backbones of videos that run a backbone of images on each frame.

    The maps are those of the frames, stacked, with stride 1 in time: they know nothing of other frames. A subclass
    encodes time for the embedding, which is as wide as that of a frame.

    Args:
        frame: the backbone of images.
        num_heads: attention heads of the temporal encoder.
        make_temporal: makes the temporal encoder for embeddings of a width.

    Raises:
        ConfigError: the heads do not divide the width of a frame's embedding.
    """

    def __init__(self, frame: Backbone, num_heads: int, make_temporal: Callable[[int], TemporalEncoder]) -> None:
        super().__init__()
        self.fold = AxisFold(SLICES["video"])
        info = self.fold.feature_info(frame.feature_info)
        width = info.embedding or info.maps[-1].channels
        if width % num_heads:
            raise ConfigError(
                f"the frames' embeddings have {width} channels, which is not a multiple of {num_heads} attention heads",
                hint="choose a number of heads that divides the width",
            )
        self.feature_info = FeatureInfo(info.maps, width)
        self.frame = frame
        self.temporal = make_temporal(width)

    def encode_frames(self, input: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """Run the backbone of images on the frames of a video (B, C, T, H, W).

        Returns:
            Its maps, stacked: (B, C_i, T, H_i, W_i); and the frames' embeddings (B, T, D), or, where it gives none, the
            mean of the coarsest map of each.
        """
        maps, embeddings = self.fold.slices(self.frame, input)
        if embeddings is None:
            embeddings = maps[-1].mean(dim=(3, 4)).transpose(1, 2)
        return maps, embeddings

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """The blocks of the backbone of images, and those of the temporal encoder after them."""
        return (*self.frame.layers, *self.temporal.layers)

    @property
    def no_weight_decay(self) -> tuple[str, ...]:
        """The tables and class tokens of both."""
        frame = (f"frame.{name}" for name in self.frame.no_weight_decay)
        return (*frame, *(f"temporal.{name}" for name in self.temporal.tables))
