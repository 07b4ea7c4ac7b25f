"""Windows of frames: where training draws them, and what fills them beyond the ends of a case."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medvid.data.framed import answered_place, draw_window, filled
from medvid.plugin.info import UNKNOWN, Answered, InputInfo, TargetInfo
from medvid.testing.toy import ToyFrames

CLASSES = TargetInfo("frame", "class", ("a", "b"), has_unknown=True)


def case(count: int) -> ToyFrames:
    """Frames as bright as their number, each of class frame % 2."""
    numbers = torch.arange(count)
    return ToyFrames("a", numbers.float().view(1, count, 1, 1).expand(1, count, 2, 2), numbers % 2, "video")


@given(
    st.integers(1, 20), st.integers(1, 6), st.integers(1, 5), st.sampled_from(["all", "last", "centre"]), st.integers()
)
def test_a_window_has_its_frames_and_the_targets_of_those_it_answers(
    count: int, length: int, step: int, answered: Answered, seed: int
) -> None:
    info = InputInfo("video", 1, (length, 2, 2), step, answered)
    batch = draw_window(case(count), info, CLASSES, torch.Generator().manual_seed(seed % 2**32))
    shown, target = batch.input[0, 0, :, 0, 0].long(), batch.target[0]
    known = [place for place in range(length) if target[place] != UNKNOWN]
    assert all(target[place] == shown[place] % 2 for place in known)
    if answered == "all":
        assert shown[0] + step * (len(known) - 1) == shown[known[-1]]
        assert known == [*range(length)] or count < (length - 1) * step + 1
    else:
        [place] = known
        assert place == answered_place(answered, length)
        answers = int(shown[place])
        assert shown.tolist() == filled(range(answers - place * step, answers + step * length, step), count)[:length]


@pytest.mark.parametrize("answered", ["last", "centre"])
def test_each_frame_is_answered_as_often(answered: Answered) -> None:
    info, generator = InputInfo("video", 1, (8, 2, 2), 4, answered), torch.Generator().manual_seed(0)
    place = answered_place(answered, 8)
    drawn = Counter(int(draw_window(case(5), info, CLASSES, generator).input[0, 0, place, 0, 0]) for _ in range(500))
    assert sorted(drawn) == [0, 1, 2, 3, 4]
    assert min(drawn.values()) > 70  # 100 are expected, and the deviation is 9
