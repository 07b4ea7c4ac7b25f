"""Segmentations and contours on the grid of the scan that they belong to."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.datasets.dicom_files import box, write_contours, write_series

from medvid.data.volumes.formats.format import Geometry, UnusableError, Volume
from medvid.data.volumes.structures import as_bits, as_label_map
from medvid_dicom.config import DicomSegOptions
from medvid_dicom.contours import inside, read_contours
from medvid_dicom.formats import DicomSeg
from medvid_dicom.segmentation import read_segmentation
from medvid_dicom.volume import Place, read_place
from medvid_dicom.writing import write_segmentation

NAMES = ("background", "liver", "odd_thing")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    write_series(tmp_path / "scan", (7, 5, 4), step=(0, 0.3, 2))
    return read_place(tmp_path / "scan")


def labels_of(path: Path, place: Place) -> np.ndarray:
    volume = DicomSeg(DicomSegOptions()).read_on(path, Geometry(place.shape, place.affine))
    return as_label_map(volume, NAMES).data


@pytest.mark.parametrize("filled", [True, False])
def test_a_written_segmentation_is_read_back(tmp_path, place, filled):
    labels = np.random.default_rng(0).integers(0, 3, place.shape).astype(np.uint8) * filled
    labels[..., 1] = 0
    write_segmentation(tmp_path / "seg.dcm", labels, NAMES, place.frames)
    np.testing.assert_array_equal(labels_of(tmp_path / "seg.dcm", place), labels)
    written = pydicom.dcmread(tmp_path / "seg.dcm")
    assert (written.PatientID, written.FrameOfReferenceUID) == ("p1", place.frames[0].get("FrameOfReferenceUID"))


def test_a_segmentation_of_turned_or_cropped_slices_finds_its_voxels(tmp_path, place):
    labels = np.zeros(place.shape, np.uint8)
    labels[1:4, 2, 1], labels[3, :, 2] = 1, 2
    write_segmentation(tmp_path / "seg.dcm", labels, NAMES, place.frames)
    flipped = place.affine.copy()  # a grid that counts columns from the other side, and lacks the first one
    flipped[:3, 0] *= -1
    flipped[:3, 3] += place.affine[:3, 0] * (place.shape[0] - 1)
    grid = Place((6, 5, 4), flipped, place.frames)
    np.testing.assert_array_equal(labels_of(tmp_path / "seg.dcm", grid), labels[::-1][:6])


def test_a_segmentation_of_another_grid_is_refused(tmp_path, place):
    write_segmentation(tmp_path / "seg.dcm", np.ones(place.shape, np.uint8), NAMES, place.frames)
    shifted = place.affine.copy()
    shifted[0, 3] += 0.3
    with pytest.raises(UnusableError, match="does not lie on voxels of the image"):
        read_segmentation(tmp_path / "seg.dcm", shifted, place.shape)
    with pytest.raises(UnusableError, match="35 voxels outside the image"):
        read_segmentation(tmp_path / "seg.dcm", place.affine, (7, 5, 3))


def test_structures_are_labels_by_name_else_in_their_order(place):
    geometry = Geometry(place.shape, place.affine)
    masks = np.zeros((*place.shape, 2), np.uint8)
    masks[0, ..., 0] = masks[1, ..., 1] = 1
    for data in (masks, masks @ [1, 2]):
        volume = Volume(data, geometry, ("Liver", "odd thing"))
        assert as_label_map(volume, ("background", "x", "liver")).data[:3, 0, 0].tolist() == [2, 0, 0]
        by_order = as_label_map(volume, ("background", "a", "b"))
        assert by_order.data[:3, 0, 0].tolist() == [1, 2, 0]
        assert "taken for the labels in their order: Liver, odd thing" in by_order.notes[0]
        with pytest.raises(UnusableError, match="has the structures Liver, odd thing, none of which is a label"):
            as_label_map(volume, ("background", "a"))
    with pytest.raises(UnusableError, match="has several structures named liver"):
        as_label_map(Volume(masks, geometry, ("Liver", "LIVER")), ("background", "liver"))


corners = st.lists(st.tuples(st.floats(-2, 9), st.floats(-2, 9)), min_size=3, max_size=7)


@given(st.lists(corners, min_size=1, max_size=3))
def test_being_inside_does_not_depend_on_the_direction_of_looking(polygons):
    contours = [np.add(polygon, (0.123456, 0.0789)).T for polygon in polygons]  # no edge meets a centre
    turned = [contour[::-1] for contour in contours]
    np.testing.assert_array_equal(inside(contours, 8, 6), inside(turned, 6, 8).T)


def test_contours_are_filled_by_centres_with_holes_and_nothing_in_between(tmp_path, place):
    rois = {"ring": [(0, box(-0.5, 4.5)), (0, box(0.5, 3.5)), (3, box(0.5, 2.5)), (1, [(1, 1)])], "empty": []}
    write_contours(tmp_path / "rt.dcm", place.affine, rois)
    (ring, empty), notes = read_contours(tmp_path / "rt.dcm", place.affine, place.shape)
    expected = np.zeros(place.shape, bool)
    expected[:5, :5, 0], expected[1:4, 1:4, 0], expected[1:3, 1:3, 3] = True, False, True
    np.testing.assert_array_equal(ring.mask(place.shape), expected)
    assert not empty.mask(place.shape).any()
    assert notes == ("region ring has 1 points or open contours, which enclose nothing",)


def test_contours_between_slices_are_refused(tmp_path, place):
    write_contours(tmp_path / "rt.dcm", place.affine, {"a": [(1.4, box(0, 3))]})
    with pytest.raises(UnusableError, match=r"a contour of a at 1\.40 slices, not on a slice"):
        read_contours(tmp_path / "rt.dcm", place.affine, place.shape)


def test_overlapping_structures_are_no_label_map(tmp_path, place):
    write_contours(
        tmp_path / "rt.dcm", place.affine, {"liver": [(1, box(-0.5, 2.5))], "odd thing": [(1, box(1.5, 3.5))]}
    )
    with pytest.raises(UnusableError, match="has 1 voxels of odd thing that belong to liver as well"):
        labels_of(tmp_path / "rt.dcm", place)
    volume = DicomSeg(DicomSegOptions()).read_on(tmp_path / "rt.dcm", Geometry(place.shape, place.affine))
    found = as_bits(volume, ("odd_thing", "spleen", "liver"))
    odd, spleen, liver = (found.data >> bit & 1 for bit in range(3))
    assert ((odd & liver).sum(), spleen.any(), found.has) == (1, False, ("odd_thing", "liver"))
    np.testing.assert_array_equal(np.argwhere(liver), [[x, y, 1] for x in range(3) for y in range(3)])
