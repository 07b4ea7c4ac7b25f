"""A user's own videos that are annotated frame by frame."""

from medvid.data.videos.frames.dataset import FramedVideoDataset


class LabelledFrames(FramedVideoDataset):
    """Videos with annotated frames, see `medvid_videos.frames_config.LabelledFramesOptions`."""
