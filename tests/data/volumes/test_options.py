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
    ],
)
def test_values_that_contradict_each_other(values: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        options(**values)
