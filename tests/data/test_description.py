import json
from pathlib import Path

import pytest

from medvid.data.description import Description, compare, describe, label_names
from medvid.errors import DataError


@pytest.mark.parametrize(
    "labels",
    [
        ["background", "tumour"],
        {"background": 0, "tumour": 1},
        {"tumour": 1, "background": 0},
        {"0": "background", "1": "tumour"},
        {"00": "background", "01": "tumour"},
        {"background": "0", "tumour": [1]},
    ],
)
def test_labels_in_every_notation(labels: object) -> None:
    assert label_names(labels) == ("background", "tumour")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"background": 0, "tumour": 2}, r"without gaps or repetitions, got \[0, 2\]"),
        ({"background": 0, "a": 1, "b": 1}, "without gaps or repetitions"),
        ({"background": 0, "whole": [1, 2]}, r"'whole' is a region, of the ids \[1, 2\]; regions are not supported"),
        ({"background": 0, "a": 1.0}, "a name and one integer id, got 'a': 1.0"),
        ({"background": 0, "a": True}, "a name and one integer id"),
        ({"0": "0", "1": "1"}, "a name and one integer id"),
        ({"background": 1, "tumour": 0}, "the id of the background has to be 0, it is 1"),
        ({"tumour": 0, "Background": 1}, "the id of the background has to be 0"),
        (["tumour", "background"], "the id of the background has to be 0"),
        ({"background": 0, "liver": 1, "ignore": 2}, "'ignore' marks voxels that nobody labelled"),
        ({"0": "background", "1": "liver", "2": "Ignore"}, "'ignore' marks voxels that nobody labelled"),
        (["background", "liver", "ignore"], "'ignore' marks voxels that nobody labelled"),
        ({"background": 0, "right kidney": 1, "Right_Kidney": 2}, "different labels"),
        (["background", ""], "2 to 256 different labels"),
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


def test_two_files_of_one_folder_have_to_agree(tmp_path: Path) -> None:
    def write(name: str, labels: object, modality: object) -> None:
        (tmp_path / name).write_text(json.dumps({"labels": labels, "modality": modality}))

    write("dataset_0.json", {"0": "background", "1": "right_kidney"}, {"0": "CT"})
    write("dataset.json", {"background": 0, "Right Kidney": 1}, ["CT"])
    found = describe(tmp_path)
    assert found == Description(("background", "Right Kidney"), 1, "dataset.json and dataset_0.json")
    write("mine.json", {"background": 0, "left kidney": 1}, ["CT"])
    with pytest.raises(DataError, match=r"mine\.json and dataset\.json in .* have different labels"):
        describe(tmp_path, "mine.json")
    write("mine.json", {}, ["CT", "PET"])
    with pytest.raises(DataError, match=r"mine\.json and dataset\.json in .* have 2 and 1 channels"):
        describe(tmp_path, "mine.json")


FOUND = Description(("background", "rkid", "liver"), 1, "dataset.json")


def test_labels_of_the_task_have_to_be_those_of_the_folder() -> None:
    assert compare(FOUND, ("background", "RKid", "liver"), 1, strict=True) == ()
    assert compare(Description(), ("background", "a"), 3, strict=True) == ()
    (note,) = compare(FOUND, ("background", "right_kidney", "liver"), 1, strict=False)
    assert note == "dataset.json has other names for labels: 1 is 'rkid', not 'right_kidney'"


@pytest.mark.parametrize(
    ("labels", "channels", "strict", "words"),
    [
        (("background", "right_kidney", "liver"), 1, True, "1 is 'rkid', not 'right_kidney'"),
        (("background", "liver", "rkid"), 1, False, "1 is 'rkid', not 'liver', 2 is 'liver', not 'rkid'"),
        (("background", "rkid"), 1, False, "has 3 labels, background, rkid, liver; .* with 2: background, rkid"),
        (("background", "rkid", "liver"), 2, False, "has 1 channels, the data set is used with 2"),
    ],
)
def test_labels_and_channels_that_contradict_the_folder(
    labels: tuple[str, ...], channels: int, strict: bool, words: str
) -> None:
    with pytest.raises(DataError, match=rf"dataset\.json.* {words}") as caught:
        compare(FOUND, labels, channels, strict=strict)
    assert "dataset.ignore_description" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"modality": {"0": "T1"}, "channel_names": {"0": "T1", "1": "T2"}}, "different numbers of channels"),
        ({"modality": 1}, "modality has to be an object or a list"),
        ({"labels": "background, tumour"}, "labels has to be an object or a list"),
    ],
)
def test_unusable_descriptions(tmp_path: Path, content: dict, words: str) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"dataset\.json: .*{words}"):
        describe(tmp_path)


def test_json_as_windows_writes_it(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text('{"labels": {"background": 0, "a": 1}}', encoding="utf-8-sig")
    assert describe(tmp_path).labels == ("background", "a")


def test_a_modality_without_channels(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text('{"modality": "MRI", "labels": {"0": "background", "1": "organ"}}')
    assert describe(tmp_path) == Description(("background", "organ"), None, "dataset.json")
