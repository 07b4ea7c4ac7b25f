"""Structures that overlap, in every form that files have them, and labels that were not drawn in some cases."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medvid.data.volumes.annotations import drawn_in, read_annotation
from medvid.data.volumes.formats.choice import shipped_formats
from medvid.data.volumes.formats.format import Geometry, Volume
from medvid.data.volumes.labels import LabelScheme, read_structures
from medvid.data.volumes.locations import locate
from medvid.data.volumes.structures import as_bits
from medvid.data.volumes.truth import truth_of
from medvid.errors import DataError
from medvid.plugin.info import UNKNOWN, none_of
from medvid_nifti.config import NIfTIOptions
from medvid_nifti.data import NIfTI

FORMATS = shipped_formats()
SHAPE = (9, 8, 7)
NAMES = ("lung", "heart", "tumour")
SCHEME = read_structures(NAMES)
AFFINE = np.diag([-2.0, 1.0, 3.0, 1.0])
MASKS = np.random.default_rng(0).random((3, *SHAPE)) < 0.4
CLASSES = LabelScheme(("background", "liver", "spleen", "kidney"), partial=True)


def save(array: np.ndarray, path: Path, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def masks_in(folder: Path, **masks: np.ndarray) -> Path:
    for name, mask in masks.items():
        save(mask.astype(np.uint8), folder / f"{name}.nii.gz")
    return folder


def named(*order: int) -> dict[str, np.ndarray]:
    return {NAMES[number]: MASKS[number] for number in order}


def test_overlapping_masks_in_one_file_or_a_folder_of_files_are_the_same_truth(tmp_path: Path) -> None:
    whole = save(np.moveaxis(MASKS, 0, 3).astype(np.float32), tmp_path / "all.nii.gz")
    parts = masks_in(tmp_path / "parts", **named(2, 0, 1))
    for path in (whole, parts):
        read = read_annotation(FORMATS, path, "a", SCHEME)
        np.testing.assert_array_equal(truth_of(read.data, SCHEME), MASKS)
    assert read.data.dtype == np.uint8
    assert drawn_in(read, SCHEME, None, "a") is None


def test_what_a_folder_lacks_is_absent_or_was_not_drawn(tmp_path: Path) -> None:
    path = masks_in(tmp_path / "parts", **named(0, 2), aorta=MASKS[1])
    read = read_annotation(FORMATS, path, "a", SCHEME)
    assert "has structures that are no labels, which are left out: aorta" in read.notes
    np.testing.assert_array_equal(truth_of(read.data, SCHEME)[1], np.zeros(SHAPE))
    scheme = read_structures(NAMES, "undrawn")
    drawn = drawn_in(read, scheme, None, "a")
    assert drawn == ("lung", "tumour")
    truth = truth_of(read.data, scheme, drawn)
    np.testing.assert_array_equal(truth[[0, 2]], MASKS[[0, 2]])
    assert (truth[1] == UNKNOWN).all()
    with pytest.raises(DataError, match="heart should be drawn, but its annotation has only lung, tumour"):
        drawn_in(read, scheme, ("heart",), "a")


def test_files_of_structures_that_exclude_each_other_are_a_label_map(tmp_path: Path) -> None:
    liver, spleen = MASKS[0] & ~MASKS[1], MASKS[1] & ~MASKS[0]
    scheme = LabelScheme(("background", "spleen", "liver"))
    read = read_annotation(FORMATS, masks_in(tmp_path / "a", liver=liver, spleen=spleen), "a", scheme)
    np.testing.assert_array_equal(read.data, spleen + 2 * liver)
    with pytest.raises(DataError, match="belong to"):
        read_annotation(FORMATS, masks_in(tmp_path / "b", liver=MASKS[0], spleen=MASKS[1]), "b", scheme)


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((*SHAPE, 2), np.uint8), "3 masks along the fourth axis are needed, of lung, heart, tumour"),
        (np.zeros(SHAPE, np.uint8), "3 masks along the fourth axis"),
        (np.full((*SHAPE, 3), 2, np.uint8), "other values than 0 and 1"),
    ],
)
def test_other_files_are_refused(array: np.ndarray, sentence: str, tmp_path: Path) -> None:
    path = save(array, tmp_path / "x.nii.gz")
    with pytest.raises(DataError, match=f"case a: .*x.nii.gz .*{sentence}"):
        read_annotation(FORMATS, path, "a", SCHEME)


def test_files_of_a_folder_have_to_lie_on_one_another(tmp_path: Path) -> None:
    path = masks_in(tmp_path / "parts", **named(0, 1))
    save(MASKS[2].astype(np.uint8), path / "tumour.nii.gz", np.diag([2.0, 1, 3, 1]))
    with pytest.raises(DataError, match="parts: a structure do not lie on one another"):
        read_annotation(FORMATS, path, "a", SCHEME)


@settings(max_examples=15)
@given(st.integers(1, 32), st.integers(0, 2**32))
def test_any_number_of_structures_comes_through(count: int, seed: int) -> None:
    masks = np.random.default_rng(seed).random((count, 3, 2, 2)) < 0.5
    scheme = read_structures([f"s{number}" for number in range(count)])
    stack = Volume(np.moveaxis(masks, 0, 3).astype(np.float32), Geometry((3, 2, 2), np.eye(4)), scheme.names)
    bits = as_bits(stack, scheme.names).data
    np.testing.assert_array_equal(truth_of(bits, scheme), masks)
    found = locate(bits, scheme).structures
    assert {name: len(voxels) for name, voxels in found.items()} == {
        name: mask.sum() for name, mask in zip(scheme.names, masks, strict=True) if mask.any()
    }


@settings(max_examples=30)
@given(st.sets(st.sampled_from(CLASSES.names[1:])), st.booleans())
def test_other_voxels_are_none_of_what_was_drawn(drawn: set[str], ignoring: bool) -> None:
    scheme = LabelScheme(CLASSES.names, ignore=4, partial=True) if ignoring else CLASSES
    ids = [0, *(scheme.names.index(name) for name in drawn), *([4] if ignoring else [])]
    label_map = np.random.default_rng(0).choice(ids, SHAPE).astype(np.uint8)
    names = scheme.canonical([*drawn])
    wanted = label_map.astype(int)
    wanted[label_map == 0] = none_of(ids[1 : 1 + len(drawn)])
    wanted[label_map == 4] = UNKNOWN
    np.testing.assert_array_equal(truth_of(label_map, scheme, names), wanted)


def test_voxels_of_what_was_not_drawn_are_refused() -> None:
    label_map = np.zeros(SHAPE, np.uint8)
    label_map[0] = 2
    with pytest.raises(DataError, match="case a has voxels of spleen, which nobody drew in it"):
        drawn_in(Volume(label_map, Geometry(SHAPE, AFFINE)), CLASSES, ("liver",), "a")
    regions = LabelScheme(("whole", "core"), ((1, 2), (2,)), partial=True)
    assert drawn_in(Volume(label_map, Geometry(SHAPE, AFFINE)), regions, ("whole",), "a") == ("whole",)
    label_map[0] = 1
    with pytest.raises(DataError, match="voxels of label 1"):
        drawn_in(Volume(label_map, Geometry(SHAPE, AFFINE)), regions, ("core",), "a")


def organs(root: Path, **content: Any) -> dict[str, Any]:
    """Two cases with a list; returns options of the data set."""
    for case in ("a", "b"):
        save(np.random.default_rng(1).random(SHAPE).astype(np.float32), root / f"images/{case}.nii.gz")
        save(np.zeros(SHAPE, np.uint8), root / f"labels/{case}.nii.gz")
    (root / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "liver": 1, "spleen": 2}, **content}))
    return {"name": "nifti", "root": root, "cache": root / "cache", "crop": False}


def test_a_list_or_the_description_says_what_was_drawn(tmp_path: Path) -> None:
    entries = [{"image": f"images/{case}.nii.gz", "label": f"labels/{case}.nii.gz"} for case in ("a", "b")]
    for name, content in (
        ("list", {"training": [entries[0] | {"drawn": ["Liver"]}, entries[1]]}),
        ("folders", {"drawn": {"a": ["liver"]}}),
        ("both", {"training": [entries[0] | {"drawn": ["liver"]}, entries[1]], "drawn": {"a": ["liver"]}}),
    ):
        options = NIfTIOptions.model_validate(organs(tmp_path / name, **content))
        assert options.partial
        assert options.target_info().has_partial
        dataset = NIfTI(options)
        assert (dataset.files("a").drawn, dataset.files("b").drawn) == (("liver",), None)
        assert set(np.unique(dataset.open_case("a").native_truth())) == {none_of([1])}
        assert set(np.unique(dataset.draw("a", 0).target)) == {none_of([1])}
        assert set(np.unique(dataset.open_case("b").native_truth())) == {0}
        assert any("not drawn, of 2 cases: spleen in 1" in note for note in dataset.index.notes)


def test_a_change_of_what_was_drawn_is_another_content(tmp_path: Path) -> None:
    before = NIfTI(NIfTIOptions.model_validate(organs(tmp_path, drawn={"a": ["liver"]})))
    digests = [before.digest([case]) for case in "ab"]
    after = NIfTI(NIfTIOptions.model_validate(organs(tmp_path, drawn={"a": ["spleen"]})))
    assert [after.digest([case]) for case in "ab"] == [after.digest(["a"]), digests[1]] != digests


@pytest.mark.parametrize(
    ("content", "options", "sentence"),
    [
        ({"drawn": {"c": ["liver"]}}, {}, "cases that do not exist: c"),
        ({"drawn": {"a": ["kidney"]}}, {}, "case a: drawn: 'kidney' is not one of the labels liver, spleen"),
        ({"drawn": {"a": "liver"}}, {}, "drawn has to be"),
        ({"drawn": {"a": ["liver"]}}, {"partial": False}, r"which labels were drawn in a, but the task has all"),
    ],
)
def test_what_makes_no_sense_is_refused(
    content: dict[str, Any], options: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=sentence):
        _ = NIfTI(NIfTIOptions.model_validate(organs(tmp_path, **content) | options)).index
