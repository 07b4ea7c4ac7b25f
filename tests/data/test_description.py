import json
from pathlib import Path

import pytest

from medvid.data.description import Description, describe, label_names
from medvid.errors import DataError


@pytest.mark.parametrize(
    "labels",
    [
        ["background", "tumour"],
        {"background": 0, "tumour": 1},
        {"tumour": 1, "background": 0},
        {"0": "background", "1": "tumour"},
    ],
)
def test_labels_in_every_notation(labels: object) -> None:
    assert label_names(labels) == ("background", "tumour")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"background": 0, "tumour": 2}, r"without gaps or repetitions, got \[0, 2\]"),
        ({"background": 0, "a": 1, "b": 1}, "without gaps or repetitions"),
        ({"background": 0, "whole": [1, 2]}, "one integer id"),
        (["background"], "2 to 256"),
        (["a", "a"], "2 to 256 different labels"),
        ([str(n) for n in range(257)], "got 257"),
    ],
)
def test_unusable_labels(tmp_path: Path, labels: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        label_names(labels)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    with pytest.raises(DataError, match=r"dataset\.json: labels: "):
        describe(tmp_path)


def test_a_folder_without_description(tmp_path: Path) -> None:
    assert describe(tmp_path) == Description()
    (tmp_path / "dataset.json").write_text('{"training": []}')
    assert describe(tmp_path) == Description()
