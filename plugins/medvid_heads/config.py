"""Options of the heads for any backbone."""

from pydantic import PositiveInt

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import Options
from medvid.models.options import CaseHeadOptions, ClassificationHeadOptions, FrameHeadOptions, SegmentationHeadOptions


class PixelHeadOptions(SegmentationHeadOptions):
    """A linear layer on every voxel (Long et al., CVPR 2015); it has the options of its loss only."""


class LinearLayerOptions(Options):
    """Of a linear layer, and what comes before it."""

    dropout: FractionBelowOne = 0.0
    """Drop probability before the linear layer."""
    hidden_dim: PositiveInt | None = None
    """Width of a layer before the linear layer; default: there is none."""


class LinearClassifierOptions(LinearLayerOptions, ClassificationHeadOptions):
    """A linear classifier of the embedding: of one class, or of any of several labels."""


class FramesOptions(LinearLayerOptions, FrameHeadOptions):
    """A linear layer on each frame of a video, or slice of a volume: one class, any of several labels, or values."""


class LinearRegressionOptions(LinearLayerOptions, CaseHeadOptions):
    """A linear regression on the embedding, of one or several values."""
