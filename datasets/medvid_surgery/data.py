"""Published videos of surgeries, with a phase or the tools of each frame."""

from medvid.data.videos.frames.dataset import FramedVideoDataset


class Surgeries(FramedVideoDataset):
    """Surgeries, see `medvid_surgery.config.SurgeryOptions`."""
