"""A data set of volumes in any format is the same data set; a third party's format works by being enabled."""

import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.volumes.formats.toy_format import SPEC

from medvid.config.examples import read_options
from medvid.data.volumes.formats.choice import Formats
from medvid.data.volumes.formats.format import Geometry, LabelMap
from medvid.errors import DataError
from medvid.plugin.specs import DatasetSpec, FormatSpec
from medvid.testing import host_with

HOST = host_with(SPEC)
MADE: Mapping[FormatSpec, Any] = HOST.build_all(FormatSpec)
WRITING = {spec.name: (spec, one) for spec, one in MADE.items() if spec.writes and not spec.folders}
SHAPE = (12, 10, 8)
AFFINE = np.diag([1.0, 2.0, 1.5, 1.0])


def write_cases(root: Path, name: str) -> Path:
    """Images of bytes and their labels, all written by a format, as label maps are."""
    spec, one = WRITING[name]
    for number, case in enumerate(("a", "b")):
        image = np.random.default_rng(number).integers(0, 100, SHAPE).astype(np.uint8)
        label = np.zeros(SHAPE, np.uint8)
        label[3:7, 3:7, 3:7] = 1
        for folder, voxels in (("images", image + 100 * label), ("labels", label)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            one.write(root / folder / f"{case}{spec.writes}", LabelMap(voxels, Geometry(SHAPE, AFFINE)))
    return root


def open_data(root: Path, **options: Any) -> Any:
    """The data set over them, as a task has it."""
    block = {"name": "nifti", "root": root, "cache": root / "cache", "labels": ["background", "cube"], **options}
    patch = {"size": [8, 8, 8], "per_case": 1}
    return HOST.build(read_options(HOST, HOST.spec(DatasetSpec, "nifti"), {"patch": patch, **block}))


@pytest.mark.parametrize("name", [name for name in WRITING if name not in {"nifti", "dicom_seg"}])
def test_the_format_does_not_change_the_data(tmp_path: Path, name: str) -> None:
    usual, other = (open_data(write_cases(tmp_path / each, each)) for each in ("nifti", name))
    for dataset in (usual, other):
        dataset.prepare(["a", "b"], lambda *_: None)
    np.testing.assert_array_equal(other.prepared("a").image, usual.prepared("a").image)
    np.testing.assert_array_equal(other.prepared("a").label, usual.prepared("a").label)
    copy = pickle.loads(pickle.dumps(other))
    np.testing.assert_array_equal(copy.draw("b", 3).input, usual.draw("b", 3).input)
    [case] = other.open([other.files("b").images[0]])
    [written] = case.write(other.prepared("b").label, tmp_path / "out")
    assert written.name == f"b{WRITING[name][0].writes}"
    one = WRITING[name][1]
    np.testing.assert_allclose(one.read(written).affine, one.read(case.sources[0]).affine)
    np.testing.assert_array_equal(one.read(written).data, other.open_case("b").native_truth())


def test_content_goes_before_the_name(tmp_path: Path) -> None:
    formats = Formats(MADE)
    for name, (spec, one) in WRITING.items():
        if name != "dicom_seg":
            one.write(tmp_path / f"a{spec.writes}", LabelMap(np.ones(SHAPE, np.uint8), Geometry(SHAPE, AFFINE)))
            shutil.copy(tmp_path / f"a{spec.writes}", tmp_path / "renamed.mhd")
            assert formats.of(tmp_path / "renamed.mhd").options.name == name
    (tmp_path / "noise.nrrd").write_bytes(b"no volume")
    assert formats.of(tmp_path / "noise.nrrd").options.name == "nrrd"


def test_a_forced_format_reads_all_images(tmp_path: Path) -> None:
    dataset = open_data(write_cases(tmp_path, "nrrd"), format="mha")
    with pytest.raises(DataError, match=r"case a: .*a\.nrrd has a MetaImage header without"):
        dataset.prepare(["a"], lambda *_: None)


def test_voxels_beside_the_header_are_part_of_the_case(tmp_path: Path) -> None:
    """A change of them makes another entry of the cache, and is noticed in a run."""
    root = write_cases(tmp_path, "nifti")
    header = "ObjectType = Image\nNDims = 3\nDimSize = 12 10 8\nElementType = MET_UCHAR\nElementDataFile = a.raw\n"
    (root / "images" / "a.nii.gz").unlink()
    (root / "images" / "a.mhd").write_text(f"TransformMatrix = -1 0 0 0 -1 0 0 0 1\nElementSpacing = 1 2 1.5\n{header}")
    voxels = np.random.default_rng(0).integers(1, 99, SHAPE).astype(np.uint8)
    (root / "images" / "a.raw").write_bytes(voxels.tobytes(order="F"))
    dataset = open_data(root)
    dataset.prepare(["a"], lambda *_: None)
    before, case = dataset.prepared("a").image.copy(), dataset.open_case("a")
    (root / "images" / "a.raw").write_bytes((voxels[::-1]).tobytes(order="F"))
    with pytest.raises(DataError, match="its files changed since they were prepared"):
        case.native_input()
    again = open_data(root)
    again.prepare(["a"], lambda *_: None)
    assert not np.array_equal(again.prepared("a").image, before)
    assert not again.index.notes
