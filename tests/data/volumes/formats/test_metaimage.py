"""MetaImage as ITK and others write it: read right, noted or refused by name."""

from pathlib import Path

import numpy as np
import pytest

from medvid.data.volumes.formats.format import UnusableError
from medvid.data.volumes.formats.metaimage import MetaImage
from medvid.data.volumes.formats.options import MetaImageOptions

FORMAT = MetaImage(MetaImageOptions())
VOXELS = np.random.default_rng(0).integers(-300, 300, (5, 4, 3)).astype(np.int16)
RAW = VOXELS.astype("<i2").tobytes(order="F")
BASE = "ObjectType = Image\nNDims = 3\nDimSize = 5 4 3\nElementType = MET_SHORT\n"
PLACE = "TransformMatrix = 0 1 0 -1 0 0 0 0 1\nOffset = 7 8 9\nElementSpacing = 1 2 3\nAnatomicalOrientation = RAI\n"
LOCAL = "ElementDataFile = LOCAL\n"


def write(path: Path, header: str, voxels: bytes = RAW) -> Path:
    path.write_bytes(header.encode() + voxels)
    return path


def test_the_matrix_has_the_direction_of_an_axis_after_another(tmp_path: Path) -> None:
    """Axis 0 runs to the back, axis 1 to the right: in LPS the first column of the affine is (0, 1, 0), in RAS -1."""
    volume = FORMAT.read(write(tmp_path / "a.mha", BASE + PLACE + LOCAL))
    np.testing.assert_array_equal(volume.data, VOXELS)
    np.testing.assert_array_equal(volume.affine[:3], [[0, 2, 0, -7], [-1, 0, 0, -8], [0, 0, 3, 9]])
    assert volume.notes == ()


@pytest.mark.parametrize(
    ("line", "voxels"),
    [
        ("BinaryDataByteOrderMSB = True\n", VOXELS.astype(">i2").tobytes(order="F")),
        ("ElementByteOrderMSB = True\n", VOXELS.astype(">i2").tobytes(order="F")),
        ("BinaryData = False\n", " ".join(map(str, VOXELS.ravel(order="F"))).encode()),
        ("HeaderSize = 7\n", b"1234567" + RAW),
        ("HeaderSize = -1\n", b"1234567" + RAW),
    ],
)
def test_voxels_as_the_header_says(tmp_path: Path, line: str, voxels: bytes) -> None:
    np.testing.assert_array_equal(FORMAT.read(write(tmp_path / "a.mha", BASE + line + LOCAL, voxels)).data, VOXELS)


@pytest.mark.parametrize("named", ["s%02d.raw 0 2 1", "LIST\ns00.raw\ns01.raw\ns02.raw"])
def test_voxels_in_a_file_for_each_slice(tmp_path: Path, named: str) -> None:
    for number in range(3):
        (tmp_path / f"s{number:02d}.raw").write_bytes(VOXELS[..., number].tobytes(order="F"))
    path = write(tmp_path / "a.mhd", f"{BASE}{PLACE}ElementDataFile = {named}\n", b"")
    np.testing.assert_array_equal(FORMAT.read(path).data, VOXELS)
    assert [file.name for file in FORMAT.files(path)] == ["a.mhd", "s00.raw", "s01.raw", "s02.raw"]


def test_channels_and_time_come_last(tmp_path: Path) -> None:
    both = np.stack([VOXELS, VOXELS + 1])
    header = BASE + PLACE + "ElementNumberOfChannels = 2\n" + LOCAL
    found = FORMAT.read(write(tmp_path / "a.mha", header, both.tobytes(order="F"))).data
    np.testing.assert_array_equal(found, np.moveaxis(both, 0, 3))
    header = BASE.replace("NDims = 3", "NDims = 4").replace("5 4 3", "5 4 3 2") + LOCAL
    np.testing.assert_array_equal(
        FORMAT.read(write(tmp_path / "b.mha", header, RAW * 2)).data, np.stack([VOXELS] * 2, axis=3)
    )


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    volume = FORMAT.read(write(tmp_path / "a.mha", BASE + LOCAL))
    np.testing.assert_array_equal(volume.affine, np.diag([-1, -1, 1, 1]))
    assert [note[:20] for note in volume.notes] == ["gives no orientation", "gives no voxel size;"]
    flat = BASE.replace("NDims = 3", "NDims = 2").replace("5 4 3", "5 12") + "ElementSpacing = 0.5 0.25\n" + LOCAL
    volume = FORMAT.read(write(tmp_path / "b.mha", flat))
    assert (volume.data.shape, volume.geometry.spacing) == ((5, 12, 1), (0.5, 0.25, 1.0))
    assert "single plane" in volume.notes[-1]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("Image", "Tube", "holds a Tube"),
        ("MET_SHORT", "MET_STRING", "type MET_STRING"),
        ("DimSize = 5 4 3\n", "", "without DimSize"),
        ("5 4 3", "5 4", "has 2 axes"),
        ("5 4 3", "5 4 4", "is truncated"),
        ("1 2 3", "1 2", "has 2 voxel sizes for 3 axes"),
        ("0 1 0 -1 0 0 0 0 1", "0 1 0 0 1 0 0 0 1", "do not span three dimensions"),
        ("0 1 0 -1 0 0 0 0 1", "0 1 0 -1", "has 4 numbers in TransformMatrix, not 9"),
        ("LOCAL", "../a.raw", "not in its own folder"),
        (LOCAL, "", "without ElementDataFile"),
    ],
)
def test_a_header_that_cannot_be_right_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    header = BASE + PLACE + LOCAL
    assert old in header
    with pytest.raises(UnusableError, match=reason):
        FORMAT.read(write(tmp_path / "a.mha", header.replace(old, new)))
