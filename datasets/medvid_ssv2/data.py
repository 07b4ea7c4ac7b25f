"""Something-Something V2."""

from medvid.data.videos.dataset import VideoDataset


class SSV2(VideoDataset):
    """Actions of hands with objects (Goyal et al., ICCV 2017), see `medvid_ssv2.config.SSV2Options`."""
