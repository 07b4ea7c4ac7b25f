from typing import Any

import pytest

from medvid.config.layers import Layers, read_overrides
from medvid.errors import ConfigError


def merged(*blocks: dict[str, Any]) -> dict[str, Any]:
    layers = Layers()
    for block in blocks:
        layers.put(block, "somewhere")
    return layers.data


def test_mappings_merge_and_everything_else_is_replaced() -> None:
    below = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert merged(below, {"a": {"c": [3]}, "d": {"e": 1}}) == {"a": {"b": 1, "c": [3]}, "d": {"e": 1}}
    assert below == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


def test_another_name_replaces_the_block() -> None:
    cosine = {"schedule": {"name": "cosine", "warmup": 5}}
    assert merged(cosine, {"schedule": {"name": "poly"}}) == {"schedule": {"name": "poly"}}
    assert merged(cosine, {"schedule": {"name": "cosine", "final": 0}}) == {
        "schedule": {"name": "cosine", "warmup": 5, "final": 0}
    }
    assert merged(cosine, {"schedule": {"warmup": 1}}) == {"schedule": {"name": "cosine", "warmup": 1}}
    assert merged({"name": "a", "x": 1}, {"name": "b"}) == {"name": "b", "x": 1}  # the name of the task itself


def test_places_follow_the_value_that_won() -> None:
    layers = Layers()
    layers.put({"a": {"b": 1, "c": {"d": [1]}}}, "file")
    layers.put({"a": {"c": 2}}, "override")
    assert layers.place(("a", "b")) == "file"
    assert layers.place(("a", "missing")) == "file"
    assert layers.place(("a", "c", "d", 0)) == "override"
    assert layers.place(("nothing",)) is None


def test_overrides_as_text_and_as_values_are_the_same() -> None:
    text = read_overrides(["train.steps=100", "head={name: pixel}"])
    values = read_overrides({"train.steps": 100, "head": {"name": "pixel"}})
    assert [item.block for item in text] == [item.block for item in values]
    assert [item.block for item in text] == [{"train": {"steps": 100}}, {"head": {"name": "pixel"}}]
    assert text[0].label == values[0].label == "--set train.steps=100"


@pytest.mark.parametrize("text", ["train.steps", "=3", "a..b=3", ".a=3"])
def test_an_override_needs_a_key_and_a_value(text: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        read_overrides([text])
