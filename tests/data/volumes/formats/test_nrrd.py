"""NRRD as pynrrd, Teem and 3D Slicer write it: read right, noted or refused by name."""

from pathlib import Path

import nrrd
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medvid.data.volumes.formats.format import UnusableError
from medvid.data.volumes.formats.nrrd import Nrrd
from medvid.data.volumes.formats.options import NrrdOptions
from medvid.data.volumes.structures import as_bits

FORMAT = Nrrd(NrrdOptions())
VOXELS = np.random.default_rng(0).integers(-300, 300, (5, 4, 3)).astype(np.int16)
BASE = "NRRD0004\ntype: short\ndimension: 3\nsizes: 5 4 3\nencoding: raw\nendian: little\n"
LPS = "space: left-posterior-superior\nspace directions: (1,0,0) (0,2,0) (0,0,3)\nspace origin: (7, 8, 9)\n"
RAW = VOXELS.tobytes(order="F")


def write(path: Path, header: str, voxels: bytes = RAW) -> Path:
    path.write_bytes(header.encode() + b"\n" + voxels)
    return path


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["raw", "gzip", "bzip2", "ascii"]),
    st.sampled_from(["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]),
    st.sampled_from("<>"),
    st.booleans(),
    st.sampled_from([None, 0, 3]),
)
def test_what_pynrrd_writes_is_read(
    tmp_path: Path, encoding: str, kind: str, order: str, detached: bool, channels: int | None
) -> None:
    voxels = np.abs(VOXELS % 100).astype(order + kind)
    directions = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0] * (0.7, 0.9, 2.1)
    if channels is not None:
        voxels = np.stack([voxels, voxels + 1], axis=channels)
        directions = np.insert(directions, channels, np.nan, axis=0)
    header = {"encoding": encoding, "space": "LPS", "space directions": directions, "space origin": [1.5, -2, 3]}
    path = tmp_path / ("a.nhdr" if detached else "a.nrrd")
    nrrd.write(str(path), voxels, header, detached_header=detached)
    volume = FORMAT.read(path)
    expected = voxels if channels is None else np.moveaxis(voxels, channels, 3)
    np.testing.assert_array_equal(volume.data, expected)
    assert volume.data.dtype == voxels.dtype.newbyteorder("=")
    steps = directions[~np.isnan(directions).any(axis=1)].T
    np.testing.assert_array_equal(volume.affine[:3, :3], np.diag([-1, -1, 1]) @ steps)
    np.testing.assert_array_equal(volume.affine[:3, 3], [-1.5, 2, 3])
    assert len(FORMAT.files(path)) == 1 + detached


@pytest.mark.parametrize("space", ["left-posterior-superior", "LPS", "lps"])
def test_the_space_says_which_way_axes_run(tmp_path: Path, space: str) -> None:
    found = FORMAT.read(write(tmp_path / "a.nrrd", BASE + LPS.replace("left-posterior-superior", space)))
    np.testing.assert_array_equal(found.affine[:3], [[-1, 0, 0, -7], [0, -2, 0, -8], [0, 0, 3, 9]])
    assert found.notes == ()
    front = write(tmp_path / "b.nrrd", BASE + LPS.replace("left-posterior-superior", "left-anterior-superior"))
    np.testing.assert_array_equal(FORMAT.read(front).affine[:3], [[-1, 0, 0, -7], [0, 2, 0, 8], [0, 0, 3, 9]])


def test_lengths_are_in_the_unit_of_the_file(tmp_path: Path) -> None:
    found = FORMAT.read(write(tmp_path / "a.nrrd", BASE + LPS + 'space units: "cm" "cm" "cm"\n'))
    assert found.geometry.spacing == (10, 20, 30)
    doubtful = FORMAT.read(write(tmp_path / "b.nrrd", BASE + LPS + 'space units: "ell" "ell" "ell"\n'))
    assert (doubtful.geometry.millimetres, doubtful.notes) == (None, ("has lengths in ell, ell, ell; mm are assumed",))


@pytest.mark.parametrize(("line", "spacing"), [("spacings: 0.5 1 2\n", (0.5, 1, 2)), ("", (1, 1, 1))])
def test_without_a_space_the_orientation_is_unknown(tmp_path: Path, line: str, spacing: tuple[float, ...]) -> None:
    found = FORMAT.read(write(tmp_path / "a.nrrd", BASE + line))
    assert found.geometry.spacing == spacing
    assert found.geometry.millimetres is None
    assert "gives no orientation" in found.notes[0]
    assert ("gives no voxel size; 1 mm is assumed" in found.notes) is not bool(line)


@pytest.mark.parametrize("named", ["s%02d.raw 0 2 1", "LIST 2\ns00.raw\ns01.raw\ns02.raw"])
def test_voxels_in_a_file_for_each_slice(tmp_path: Path, named: str) -> None:
    for number in range(3):
        (tmp_path / f"s{number:02d}.raw").write_bytes(VOXELS[..., number].tobytes(order="F"))
    path = tmp_path / "a.nhdr"
    path.write_text(BASE + LPS + f"data file: {named}\n")
    np.testing.assert_array_equal(FORMAT.read(path).data, VOXELS)
    assert [file.name for file in FORMAT.files(path)] == ["a.nhdr", "s00.raw", "s01.raw", "s02.raw"]


@pytest.mark.parametrize("skip", ["byte skip: 50", "byte skip: -1", "line skip: 1\nbyte skip: 40"])
def test_bytes_before_the_voxels_are_left_out(tmp_path: Path, skip: str) -> None:
    (tmp_path / "a.raw").write_bytes(b"123456789\n" + b"x" * 40 + RAW)
    (tmp_path / "a.nhdr").write_text(f"{BASE}{LPS}{skip}\ndata file: a.raw\n")
    np.testing.assert_array_equal(FORMAT.read(tmp_path / "a.nhdr").data, VOXELS)


SEGMENTS = "".join(
    f"Segment{number}_Name:={name}\nSegment{number}_Layer:={layer}\nSegment{number}_LabelValue:={value}\n"
    for number, (name, layer, value) in enumerate([("liver", 0, 4), ("spleen", 0, 9), ("tumour", 1, 1)])
)


def test_segments_of_slicer_overlap_on_layers(tmp_path: Path) -> None:
    layers = np.stack([np.where(VOXELS > 100, 4, np.where(VOXELS < 0, 9, 0)), VOXELS > 150]).astype("<i2")
    header = BASE.replace("dimension: 3", "dimension: 4").replace("5 4 3", "2 5 4 3")
    lps = LPS.replace("directions:", "directions: none")
    path = write(tmp_path / "a.seg.nrrd", header + lps + SEGMENTS, layers.tobytes(order="F"))
    volume = FORMAT.read(path)
    assert volume.masks == ("liver", "spleen", "tumour")
    np.testing.assert_array_equal(np.moveaxis(volume.data, 3, 0), [VOXELS > 100, VOXELS < 0, VOXELS > 150])
    bits = as_bits(volume, ("tumour", "liver")).data
    np.testing.assert_array_equal(bits, (VOXELS > 150) + 2 * (VOXELS > 100))
    with pytest.raises(UnusableError, match="has 1 layers; the segment tumour is on another one"):
        FORMAT.read(write(path, BASE + LPS + SEGMENTS))


def test_segments_of_one_layer_are_numbered(tmp_path: Path) -> None:
    layer = np.where(VOXELS > 100, 4, np.where(VOXELS < 0, 9, 0)).astype("<i2")
    one = SEGMENTS[: SEGMENTS.index("Segment2")]
    volume = FORMAT.read(write(tmp_path / "a.seg.nrrd", BASE + LPS + one, layer.tobytes(order="F")))
    assert volume.masks == ("liver", "spleen")
    np.testing.assert_array_equal(volume.data, np.array([0, 0, 0, 0, 1, 0, 0, 0, 0, 2])[layer])


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("short", "block", "stores voxels of the type 'block'"),
        ("raw", "hex", "has the encoding 'hex'"),
        ("5 4 3", "50000 60000 3", "declares the shape"),
        ("5 4 3", "-5 4 3", "declares the shape"),
        ("5 4 3", "5 4", "has 2 sizes for 3 axes"),
        ("5 4 3", "5 4 three", "where numbers have to be"),
        ("5 4 3", "5 4 4", "is truncated"),
        ("dimension: 3\nsizes: 5 4 3", "dimension: 4\nsizes: 5 4 3 1", "4 values|3 values|4 axes"),
        ("sizes: 5 4 3\n", "", "without 'sizes'"),
        ("(0,2,0)", "(2,0,0)", "do not span three dimensions"),
        ("space origin: (7, 8, 9)", "data file: ../a.raw", "not in its own folder"),
        ("space origin: (7, 8, 9)", "data file: /dev/zero", "not in its own folder"),
        ("space origin: (7, 8, 9)", "data file: b.raw", "does not exist"),
        ("space origin: (7, 8, 9)", "data file: b%03d.raw 1 9 0", "counts its files wrongly"),
    ],
)
def test_a_header_that_cannot_be_right_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    header = BASE + LPS
    assert old in header
    with pytest.raises(UnusableError, match=reason):
        FORMAT.read(write(tmp_path / "a.nrrd", header.replace(old, new)))
