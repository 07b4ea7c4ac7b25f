"""Options of the heads for any backbone."""

from typing import Annotated

from pydantic import Field, PositiveInt

from medvid.config.classification import ClassificationHeadOptions
from medvid.config.segmentation import SegmentationHeadOptions


class PixelHeadOptions(SegmentationHeadOptions):
    """A linear classifier of every voxel (Long et al., CVPR 2015); it has the options of its loss only."""


class LinearClassifierOptions(ClassificationHeadOptions):
    """A linear classifier of the embedding."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Drop probability before the classifier."""
    hidden_dim: PositiveInt | None = None
    """Width of a layer between embedding and classifier; default: there is none."""
