"""Kinetics."""

from medvid.data.videos.dataset import VideoDataset


class Kinetics(VideoDataset):
    """Human actions in ten seconds of video (Kay et al., 2017), see `medvid_kinetics.config.KineticsOptions`."""
