"""Targets: where times what, and the shapes that follow."""

from typing import get_args

import pytest

from medvid.plugin.info import MOST, UNKNOWN, TargetInfo, described, none_of
from medvid.plugin.specs import Axes, What, Where

SHAPES = {
    ("case", "class"): ((), (3,)),
    ("case", "labels"): ((3,), (3,)),
    ("case", "value"): ((3,), (3,)),
    ("frame", "class"): ((8,), (8, 3)),
    ("frame", "labels"): ((8, 3), (8, 3)),
    ("frame", "value"): ((8, 3), (8, 3)),
    ("voxel", "class"): ((8, 4, 5), (3, 8, 4, 5)),
    ("voxel", "labels"): ((3, 8, 4, 5), (3, 8, 4, 5)),
    ("voxel", "value"): ((3, 8, 4, 5), (3, 8, 4, 5)),
}


def info(where: Where, what: What) -> TargetInfo:
    return TargetInfo(where, what, ("a", "b", "c"), ("mm", "ml", "%") if what == "value" else ())


@pytest.mark.parametrize("where", get_args(Where))
@pytest.mark.parametrize("what", get_args(What))
def test_shapes_of_each_target(where: Where, what: What) -> None:
    target = info(where, what)
    found = target.target_shape("video", (8, 4, 5)), target.output_shape("video", (8, 4, 5))
    assert found == SHAPES[where, what]


@pytest.mark.parametrize(("axes", "size", "frames"), [("video", (8, 4, 5), 8), ("volume", (4, 5, 7), 7)])
def test_frames_are_those_of_a_video_or_the_slices_of_a_volume(axes: Axes, size: tuple[int, ...], frames: int) -> None:
    assert info("frame", "class").target_shape(axes, size) == (frames,)


def test_an_image_has_no_frames() -> None:
    with pytest.raises(ValueError, match="an image has no frames"):
        info("frame", "labels").target_shape("image", (4, 5))


@pytest.mark.parametrize(("what", "units"), [("value", ()), ("value", ("mm",)), ("class", ("mm", "ml", "%"))])
def test_values_have_one_unit_each_and_nothing_else_has(what: What, units: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="units are needed"):
        TargetInfo("case", what, ("a", "b", "c"), units)


def test_targets_in_words() -> None:
    assert described("voxel", "class") == "a class per voxel"
    assert described("frame", "labels") == "labels per frame"


def test_none_of_some_classes_is_below_unknown_and_has_the_bits_of_the_others() -> None:
    assert none_of([]) == UNKNOWN
    assert none_of([1, 3]) == -11
    assert [bool(none_of([1, 3]) >> number & 1) for number in range(6)] == [True, False, True, False, True, True]
    assert none_of([MOST]) >= -(2**63)


@pytest.mark.parametrize("number", [-1, MOST + 1])
def test_classes_beyond_the_bits_of_a_target_cannot_be_told_to_be_absent(number: int) -> None:
    with pytest.raises(ValueError, match="only classes 0 to 62 can be told to be absent"):
        none_of([1, number])


@pytest.mark.parametrize(("what", "has_unknown"), [("labels", True), ("class", False)])
def test_partial_targets_are_of_classes_of_which_some_are_unknown(what: What, has_unknown: bool) -> None:
    with pytest.raises(ValueError, match="has_partial is for targets of classes"):
        TargetInfo("voxel", what, ("a", "b"), has_unknown=has_unknown, has_partial=True)
