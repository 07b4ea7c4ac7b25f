import json
from pathlib import Path

import pytest

from medvid.data.volumes.description import Description, compare, describe
from medvid.data.volumes.labels import LabelScheme, read_scheme
from medvid.errors import DataError
from medvid.plugin.info import TargetInfo


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
    assert read_scheme(labels) == LabelScheme(("background", "tumour"))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"background": 0, "tumour": 2}, r"without gaps or duplicates, got \[0, 2\]"),
        ({"background": 0, "a": 1, "b": 1}, "without gaps or duplicates"),
        ({"whole": [1, 2]}, r"regions need the background with the id 0, got \[\]"),
        ({"background": 0, "whole": [1, 3]}, r"ids of regions have to be 1, 2, ... without gaps, got \[1, 3\]"),
        ({"background": 0, "whole": [0, 1]}, r"got \[0, 1\]"),
        ({"background": 0, "whole": [1, "b"]}, "a region needs a name and a list of integer ids"),
        ({"background": 0, "../whole": [1, 2]}, "files are named after regions"),
        ({"background": 0, "whole": [1, 2], "ignore": 4}, "the id to ignore is 4: .* would be 3"),
        ({"background": 0, "a": 1.0}, "a name and one integer id, got 'a': 1.0"),
        ({"background": 0, "a": True}, "a name and one integer id"),
        ({"0": "0", "1": "1"}, "a name and one integer id"),
        ({"background": 1, "tumour": 0}, "the id of the background has to be 0, but is 1"),
        ({"tumour": 0, "Background": 1}, "the id of the background has to be 0"),
        (["tumour", "background"], "the id of the background has to be 0"),
        ({"background": 0, "ignore": 1, "liver": 2}, "without gaps"),
        ({"background": 0, "liver": 1, "ignore": [2, 3]}, r"one id marks .* got \[\[2, 3\]\]"),
        (["background", "ignore"], "2 to 256 different labels"),
        ({"background": 0, "right kidney": 1, "Right_Kidney": 2}, "different labels"),
        (["background", ""], "2 to 256 different labels"),
        (["background"], "2 to 256"),
        (["a", "a"], "2 to 256 different labels"),
        ([str(n) for n in range(257)], "got 257"),
    ],
)
def test_unusable_labels(tmp_path: Path, labels: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_scheme(labels)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    with pytest.raises(DataError, match=r"dataset\.json: labels: "):
        describe(tmp_path)


@pytest.mark.parametrize(
    "labels",
    [
        {"background": 0, "liver": 1, "ignore": 2},
        {"0": "background", "1": "liver", "2": "Ignore"},
        ["background", "liver", "ignore"],
    ],
)
def test_voxels_that_nobody_annotated_have_the_highest_id(labels: object) -> None:
    scheme = read_scheme(labels)
    assert scheme == LabelScheme(("background", "liver"), ignore=2)
    assert scheme.target_info() == TargetInfo("voxel", "class", ("background", "liver"), has_unknown=True)
    assert read_scheme(scheme.notation) == scheme == read_scheme(["background", "liver"], 2)
    with pytest.raises(ValueError, match=r"one id marks .* got \[\[2\], \[3\]\]"):
        read_scheme(labels, 3)


def test_regions_are_ids_in_the_order_in_which_they_stand(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [3, 2], "enhancing": 3, "ignore": 4}
    content = {"labels": labels, "regions_class_order": [1, 2, 3], "channel_names": {"0": "T1"}}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    scheme = describe(tmp_path).labels
    assert scheme == LabelScheme(("whole", "core", "enhancing"), ((1, 2, 3), (2, 3), (3,)), (1, 2, 3), 4)
    assert scheme.target_info() == TargetInfo("voxel", "labels", scheme.names, has_unknown=True)
    assert read_scheme(scheme.notation, painted=scheme.painted) == scheme
    for order in ([1, 2], [1, 2, 4], {"1": 1}):
        (tmp_path / "dataset.json").write_text(json.dumps(content | {"regions_class_order": order}))
        with pytest.raises(DataError, match="regions_class_order has to"):
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
    assert found == Description(LabelScheme(("background", "Right Kidney")), 1, "dataset.json and dataset_0.json")
    write("mine.json", {"background": 0, "left kidney": 1}, ["CT"])
    with pytest.raises(DataError, match=r"mine\.json and dataset\.json in .* have different labels"):
        describe(tmp_path, "mine.json")
    write("mine.json", {}, ["CT", "PET"])
    with pytest.raises(DataError, match=r"mine\.json and dataset\.json in .* have 2 and 1 channels"):
        describe(tmp_path, "mine.json")


FOUND = Description(LabelScheme(("background", "rkid", "liver")), 1, "dataset.json")


def test_labels_of_the_task_have_to_be_those_of_the_folder() -> None:
    assert compare(FOUND, LabelScheme(("background", "RKid", "liver")), 1, strict=True) == ()
    assert compare(Description(), LabelScheme(("background", "a")), 3, strict=True) == ()
    (note,) = compare(FOUND, LabelScheme(("background", "right_kidney", "liver")), 1, strict=False)
    assert note == "dataset.json has other names for labels: 1 is 'rkid', not 'right_kidney'"


@pytest.mark.parametrize(
    ("labels", "channels", "strict", "words"),
    [
        (("background", "right_kidney", "liver"), 1, True, "1 is 'rkid', not 'right_kidney'"),
        (("background", "liver", "rkid"), 1, False, "1 is 'rkid', not 'liver', 2 is 'liver', not 'rkid'"),
        (("background", "rkid"), 1, False, "has 3 labels, background, rkid, liver; the task uses 2: background, rkid"),
        (("background", "rkid", "liver"), 2, False, "has 1 channels, the task uses 2"),
    ],
)
def test_labels_and_channels_that_contradict_the_folder(
    labels: tuple[str, ...], channels: int, strict: bool, words: str
) -> None:
    with pytest.raises(DataError, match=rf"dataset\.json.* {words}") as caught:
        compare(FOUND, LabelScheme(labels), channels, strict=strict)
    assert "dataset.ignore_description" in caught.value.hint


WHOLE = LabelScheme(("whole", "core"), ((1, 2), (2,)))


@pytest.mark.parametrize(
    ("found", "used", "words"),
    [
        (
            LabelScheme(("background", "a"), ignore=2),
            LabelScheme(("background", "a")),
            "2 marks .* ignores none",
        ),
        (LabelScheme(("background", "a"), ignore=2), LabelScheme(("background", "a", "b"), ignore=3), "ignores 3"),
        (WHOLE, LabelScheme(("background", "whole")), "they are regions, not classes"),
        (LabelScheme(("background", "whole")), WHOLE, "they are classes, not regions"),
        (WHOLE, LabelScheme(WHOLE.names, ((1, 2), (1,))), r"core is \[2\], not \[1\]"),
        (WHOLE, LabelScheme(("core", "whole"), WHOLE.regions), "0 is 'whole', not 'core'"),
    ],
)
def test_regions_and_what_is_ignored_have_to_be_those_of_the_folder(
    found: LabelScheme, used: LabelScheme, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        compare(Description(found, source="dataset.json"), used, 1, strict=False)


def test_the_task_may_ignore_what_the_folder_does_not_speak_of_and_write_regions_in_its_own_way() -> None:
    plain = LabelScheme(("background", "a"))
    assert compare(Description(plain), LabelScheme(plain.names, ignore=2), 1, strict=True) == ()
    painted = LabelScheme(WHOLE.names, WHOLE.regions, (1, 2))
    assert compare(Description(painted), WHOLE, 1, strict=True) == ()


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
    assert describe(tmp_path).labels == LabelScheme(("background", "a"))


def test_a_modality_without_channels(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text('{"modality": "MRI", "labels": {"0": "background", "1": "organ"}}')
    assert describe(tmp_path) == Description(LabelScheme(("background", "organ")), None, "dataset.json")
