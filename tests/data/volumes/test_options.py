from typing import Literal

import pytest
from pydantic import ValidationError

from medvid.data.volumes.options import VolumeDatasetOptions


class Volumes(VolumeDatasetOptions):
    name: Literal["volumes"] = "volumes"


def options(**values: object) -> Volumes:
    return Volumes.model_validate({"root": "data", **values})


def test_a_window_implies_its_use() -> None:
    assert options().normalize == "percentile"
    assert options(window=[-175, 250]).normalize == "window"
    resolved = options(window=[-175, 250]).model_dump(exclude={"augment"})
    assert Volumes.model_validate(resolved) == options(window=[-175, 250])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"normalize": "window"}, "window is not set"),
        ({"normalize": "zscore", "window": [0, 1]}, "which uses no window"),
        ({"window": [250, -175]}, "has to be the lower one"),
        ({"patch": {"positive": 0, "negative": 0}}, "no patch can be drawn"),
        ({"patch": {"size": [0, 96, 96]}}, "greater than 0"),
        ({"spacing": [1, 1]}, "spacing"),
        ({"split": {"train": []}}, "at least 1 item"),
        ({"normalize": [{"name": "none"}, {"name": "none"}]}, "of which there are 1, got 2"),
        ({"normalize": [{"name": "none"}], "window": [0, 1]}, "a list, which uses no window"),
        ({"normalize": [{"name": "ct", "low": 0, "high": 9, "mean": 1, "std": 0}]}, "greater than 0"),
        ({"normalize": [{"name": "window", "low": 9, "high": 0}]}, "low has to be the lower one"),
        ({"normalize": [{"name": "zscore", "masked": True}]}, "but crop is not nonzero"),
        ({"normalize": [{"name": "z"}]}, "does not match any of the expected tags"),
        ({"resampling": {}}, "spacing is not set"),
        ({"resampling": {"label": {"order": 3}}, "spacing": [1, 1, 1]}, "0 or 1"),
        ({"spacing": [1, 1, 0]}, "greater than 0"),
        ({"crop": "air"}, "body"),
        ({"patch": {"centres": "classes", "positive": 2}}, "positive and negative are for centres: voxels"),
        ({"patch": {"forced": 0.5}}, "forced is for centres: classes"),
    ],
)
def test_values_that_contradict_each_other(values: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        options(**values)


@pytest.mark.parametrize(("crop", "meant"), [(True, "body"), ("body", "body"), (False, False), ("nonzero", "nonzero")])
def test_a_crop_is_named_or_only_switched_on(crop: object, meant: object) -> None:
    assert options(crop=crop).crop == meant


def test_what_is_shown_is_the_range_of_the_first_channel() -> None:
    ct = {"name": "ct", "low": -50, "high": 100, "mean": 30, "std": 9}
    assert options(normalize=[ct]).display_window() == (-50, 100)
    assert options(window=[-175, 250]).display_window() == (-175, 250)
    assert options(normalize=[{"name": "zscore"}]).display_window() is options().display_window() is None
