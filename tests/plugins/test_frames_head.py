"""The head `frames`: from maps of any stride along the frames to an answer for each."""

import pytest
import torch

from medvid.errors import ConfigError
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.config import FramesOptions
from medvid_heads.frames import FrameMeans, frame_head

INPUT = InputInfo("volume", 1, (8, 8, 8))


def info(*strides: int) -> FeatureInfo:
    return FeatureInfo(tuple(MapInfo(2 + number, (4, 4, stride)) for number, stride in enumerate(strides)))


def test_it_takes_the_coarsest_map_that_tells_frames_apart_and_interpolates_it() -> None:
    means = FrameMeans(info(1, 4, 8), INPUT)
    assert means.width == 3  # of the second map
    ramp = torch.tensor([0.0, 8.0]).expand(1, 3, 2, 2, 2)
    found = means(Features((torch.zeros(1), ramp, torch.zeros(1))), torch.zeros(1, 1, 8, 8, 8))
    assert found[0, :, 0].tolist() == [0.0, 0.0, 1.0, 3.0, 5.0, 7.0, 8.0, 8.0]


def test_a_backbone_that_tells_no_frame_from_another_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"stride of 8 or more along the 8 frames, so it tells no frame from another"):
        frame_head(FramesOptions(name="frames"), info(8, 16), INPUT, TargetInfo("frame", "labels", ("a", "b")))


def test_values_come_in_their_units() -> None:
    target = TargetInfo("frame", "value", ("depth",), ("mm",), means=(50.0,), deviations=(10.0,))
    head = frame_head(FramesOptions(name="frames"), info(1), INPUT, target)
    found = head(Features((torch.zeros(1, 2, 2, 2, 8),)), torch.zeros(1, 1, 8, 8, 8))
    assert found.shape == (1, 8, 1)
    assert found.detach().unique().tolist() == [50.0]
