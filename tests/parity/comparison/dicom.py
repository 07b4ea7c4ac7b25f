"""DICOM samples: arrays, places, frames and structures as a reader has to return them, or a refusal."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from comparison.checks import Check
from medvid.data.volumes.formats.format import Geometry, UnusableError
from medvid.data.volumes.structures import as_label_map
from medvid_dicom.config import DicomSegOptions
from medvid_dicom.contours import read_contours
from medvid_dicom.formats import DicomSeg
from medvid_dicom.images import Frames, read_frames
from medvid_dicom.pet import suv_factor
from medvid_dicom.segmentation import read_segmentation
from medvid_dicom.structures import Structure
from medvid_dicom.volume import Scan, read_scan

AFFINE = 1e-5
LOSSY, CONVERTED = 3, 2
"""Grey levels by which JPEG decoders, and conversions of colour, may differ."""


def compare_dicom(case: Mapping[str, Any], arrays: Mapping[str, np.ndarray], path: Path) -> Iterator[Check]:
    """Read a sample and compare it.

    Args:
        case: what is expected of it.
        arrays: its arrays by name, without the case's.
        path: of the sample.
    """
    expected, root = case["expected"], path.parents[len(Path(case["path"]).parts) - 1]
    if "positions_z" in expected:
        yield _refused(path, "evenly spaced")
    elif "positions" in expected:
        yield _refused(path, "series or volumes")
        for name, array in arrays.items():
            number = int(name.rsplit("_", 1)[1])
            yield _same(name, read_scan(path, {"AcquisitionNumber": number}).data, array)
    elif "series" in expected:
        yield from _several(expected["series"], arrays, path)
    elif "rois" in expected:
        scan = read_scan(root / case["source"])
        structures, _ = read_contours(path, scan.place.affine, scan.data.shape)
        yield from _masks({each.name: each for each in structures}, arrays, scan)
    elif "source" in case:
        yield from _segments(expected, arrays, path, read_scan(root / case["source"]))
    elif "array" in arrays:
        yield from _volume(case, expected, arrays, read_scan(path))
    else:
        yield from _frames(expected, arrays, read_frames(path), case["notes"])


def _volume(
    case: Mapping[str, Any], expected: Mapping[str, Any], arrays: Mapping[str, np.ndarray], scan: Scan
) -> Iterator[Check]:
    yield _same(
        "array (relative)", scan.data / _scale(arrays["array"]), arrays["array"] / _scale(arrays["array"]), 1e-6
    )
    yield _same("affine", scan.place.affine, arrays["affine"], AFFINE)
    for mark in expected.get("landmarks", ()):
        index = np.rint(np.linalg.inv(scan.place.affine) @ [*mark["ras"], 1])[:3].astype(int)
        value = scan.data[tuple(index)] / _scale(arrays["array"])
        yield _same(f"landmark {mark['index']} (relative)", value, mark["value"] / _scale(arrays["array"]), 1e-6)
    if "suv_factor" in case:
        yield _same("SUV factor (relative)", suv_factor(scan.place.frames) / case["suv_factor"], 1, 1e-9)


def _several(series: Mapping[str, Any], arrays: Mapping[str, np.ndarray], path: Path) -> Iterator[Check]:
    yield _refused(path, "series or volumes")
    for (uid, about), array in zip(series.items(), [*arrays.values(), *[None] * len(series)], strict=False):
        scan = read_scan(path, uid)
        yield Check(f"slices of {uid}", abs(scan.data.shape[2] - about["slices"]), 0)
        if array is not None:
            yield _same(uid, scan.data, array)


def _segments(expected: Mapping[str, Any], arrays: Mapping[str, np.ndarray], path: Path, scan: Scan) -> Iterator[Check]:
    shape = scan.data.shape
    structures = read_segmentation(path, scan.place.affine, shape)
    yield _same("affine", scan.place.affine, arrays["affine"], AFFINE)
    if "segments" in expected:
        names = {str(each.number): each.name for each in structures}
        yield Check("names of segments", float(names != expected["segments"]), 0)
    if "labels" in arrays:
        volume = DicomSeg(DicomSegOptions()).read_on(path, Geometry(shape, scan.place.affine))
        yield _same("labels", as_label_map(volume, ("background", *volume.masks)).data, arrays["labels"])
    if "masks" in arrays:
        masks = np.stack([each.mask(shape) for each in structures], axis=3)
        yield _same("masks", masks, arrays["masks"])
        yield Check("overlapping voxels", abs(int((masks.sum(3) > 1).sum()) - expected["overlapping_voxels"]), 0)
    if "fractions" in arrays:
        parts = np.stack([each.part(shape) for each in structures], axis=3)
        yield _same("fractions", parts * expected["maximum_fractional_value"], arrays["fractions"], 1e-3)


def _masks(structures: Mapping[str, Structure], arrays: Mapping[str, np.ndarray], scan: Scan) -> Iterator[Check]:
    for name, array in arrays.items():
        if name == "affine":
            yield _same(name, scan.place.affine, array, AFFINE)
        else:
            yield _same(name, structures[name].mask(scan.data.shape), array)


def _frames(
    expected: Mapping[str, Any], arrays: Mapping[str, np.ndarray], frames: Frames, notes: str
) -> Iterator[Check]:
    if "bright_is_high" in arrays:
        yield _same("bright is high", frames.data[0], arrays["bright_is_high"])
    if "frames" in arrays:
        tolerance = LOSSY if "JPEG" in notes else CONVERTED if "YBR" in notes else 0
        yield _same("frames", frames.data, arrays["frames"], tolerance)
    facts: dict[str, Callable[[], Any]] = {
        "frame_time_ms": lambda: frames.times[1] - frames.times[0] if frames.times is not None else np.nan,
        "physical_delta_cm_x_y": lambda: frames.regions[0].delta,
        "region_x0_y0_x1_y1": lambda: frames.regions[0].box,
        "imager_pixel_spacing_rows_columns": lambda: frames.spacing,
        "size_rows_columns": lambda: frames.data.shape[1:3],
    }
    for name, found in facts.items():
        if name in expected:
            yield _same(name, found(), expected[name], 1e-9)


def _scale(array: np.ndarray) -> float:
    """What differences are relative to: single precision rounds large values coarsely."""
    return max(1.0, float(np.abs(array).max()))


def _refused(path: Path, reason: str) -> Check:
    try:
        read_scan(path)
    except UnusableError as error:
        return Check("refused", float(reason not in str(error)), 0)
    return Check("refused", 1, 0)


def _same(name: str, ours: Any, expected: Any, tolerance: float = 0) -> Check:
    ours, expected = np.asarray(ours, np.float64), np.asarray(expected, np.float64)
    if ours.shape != expected.shape:
        return Check(f"{name}: shape {ours.shape}, not {expected.shape}", np.inf, tolerance)
    return Check(name, float(np.abs(ours - expected).max(initial=0)), tolerance)
