from typing import Literal

import pytest
from pydantic import ValidationError

from medvid.config.volumes import VolumeDatasetOptions


class Volumes(VolumeDatasetOptions):
    name: Literal["volumes"] = "volumes"


def options(**values: object) -> Volumes:
    return Volumes.model_validate({"root": "data", **values})


def test_a_window_implies_its_use() -> None:
    assert options().normalize == "percentile"
    assert options(window=[-175, 250]).normalize == "window"
    resolved = options(window=[-175, 250]).model_dump()
    assert Volumes.model_validate(resolved) == options(window=[-175, 250])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"normalize": "window"}, "there is no window"),
        ({"normalize": "zscore", "window": [0, 1]}, "which uses no window"),
        ({"window": [250, -175]}, "has to be the lower one"),
        ({"patch": {"size": [64, 96, 64]}}, "augment.rotate90"),
        ({"patch": {"positive": 0, "negative": 0}}, "no patch could be drawn"),
        ({"patch": {"size": [0, 96, 96]}}, "greater than 0"),
        ({"spacing": [1, 1]}, "spacing"),
        ({"split": {"train": []}}, "at least 1 item"),
        ({"augment": {"flip": 1.5}}, "less than or equal to 1"),
    ],
)
def test_values_that_contradict_each_other(values: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        options(**values)


def test_patches_of_unequal_sides_need_no_rotation() -> None:
    info = options(patch={"size": [64, 96, 32]}, augment={"rotate90": 0}).input_info()
    assert (info.layout, info.channels, info.size) == ("volume", 1, (64, 96, 32))
