"""Options of the heads for any backbone."""

from medvid.config.segmentation import SegmentationHeadOptions


class PixelHeadOptions(SegmentationHeadOptions):
    """A linear classifier of every voxel (Long et al., CVPR 2015); it has the options of its loss only."""
