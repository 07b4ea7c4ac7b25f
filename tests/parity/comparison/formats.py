"""Samples of file formats (fixture ``formats``): arrays, places, sizes and names as a reader has to return them."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from comparison.checks import Check
from comparison.dicom import compare_dicom
from comparison.fixture import UnknownFormatError
from comparison.layouts import compare_medmnist, compare_tables
from comparison.surgeries import compare_cholec80
from medvid.data.volumes import reading
from medvid.data.volumes.formats.choice import shipped_formats
from medvid.data.volumes.formats.format import Volume
from medvid_dicom.container import kinds_of
from medvid_echonet.index import read_file_list
from medvid_echonet.tracing_table import read_tracings
from medvid_echonet.tracings import mask_of

FORMATS = shipped_formats()
AFFINE, RELATIVE, SINGLE = 1e-5, 1e-9, 1e-6
LAYOUTS = {"medmnist": compare_medmnist, "tables": compare_tables}
"""Folders and tables of data sets, which are not read by a format."""

Arrays = Mapping[str, np.ndarray]
Case = Mapping[str, Any]


def is_formats_fixture(path: Path) -> bool:
    """Whether there is a sidecar of such a fixture, rather than of another kind or none."""
    try:
        cases = json.loads(path.with_suffix(".json").read_text())["cases"].values()
        return all("path" in case and "expected" in case for case in cases)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False


def compare_formats(path: Path) -> Iterator[Check]:
    """Read the files of all cases, which lie beside the fixture.

    Raises:
        UnknownFormatError: a case of a kind that is not known.
        DataError: a file cannot be read.
    """
    cases: Mapping[str, Case] = json.loads(path.with_suffix(".json").read_text())["cases"]
    arrays = load_file(path.with_suffix(".safetensors"))
    for name, case in cases.items():
        if compare := LAYOUTS.get(name):
            for check in compare(case, path.parent / case["path"]):
                yield Check(f"{name}: {check.name}", check.difference, check.tolerance)
            continue
        own = {key.removeprefix(f"{name}."): array for key, array in arrays.items() if key.startswith(f"{name}.")}
        for check in _adapter(name, path.parent / case["path"])(case, own, path.parent / case["path"]):
            yield Check(f"{name}: {check.name}", check.difference, check.tolerance)


def _adapter(name: str, path: Path) -> Callable[[Case, Arrays, Path], Iterator[Check]]:
    if name in STUDIES:
        return STUDIES[name]
    if any(kinds_of(path)):
        return compare_dicom
    if FORMATS.is_volume(path):
        return _volume
    raise UnknownFormatError(f"no adapter for the case {name!r}")


def _volume(case: Case, arrays: Arrays, path: Path) -> Iterator[Check]:
    expected, volume = case["expected"], reading.read(FORMATS, path, path.name)
    for name, array in arrays.items():
        if name == "affine":
            yield _same(name, volume.affine, array, AFFINE)
        elif name in volume.masks:
            yield _same(name, _mask(volume, name), array)
        elif name != "stored":
            rounding = SINGLE * float(np.abs(array).max()) if array.dtype == np.float32 else 0
            yield _same(name, volume.data, _ordered(name, array).reshape(volume.data.shape), rounding)
    for mark in expected.get("landmarks", ()):
        index = np.rint(np.linalg.inv(volume.affine) @ [*mark["ras"], 1])[:3].astype(int)
        yield _same(f"landmark {mark['index']}", volume.data[tuple(index)], mark["value"])
    if "segments" in expected:
        yield Check("names of segments", float(list(volume.masks) != list(expected["segments"])), 0)
    spacing = volume.geometry.spacing
    if size := expected.get("spacing"):
        yield _same("spacing in mm", spacing[: len(size)], size, 1e-6)
    elif "spacing" in expected:
        yield Check(
            "no voxel size is known, and said", float(not any("voxel size" in each for each in volume.notes)), 0
        )
    if size := expected.get("spacing_z_y_x_um"):
        yield _same("spacing in um", np.multiply(spacing[::-1], 1000), size, 1e-6)


def _ordered(name: str, array: np.ndarray) -> np.ndarray:
    """A recorded array as X, Y, Z and channels; its name tells its own order."""
    order = name.removeprefix("array").removeprefix("_")
    if order == "channel_first":
        return np.moveaxis(array, 0, -1)
    if not set(order) <= set("zyxc"):
        raise UnknownFormatError(f"no adapter for the array {name!r}")
    return array.transpose([order.index(axis) for axis in "xyzc" if axis in order]) if order else array


def _mask(volume: Volume, name: str) -> np.ndarray:
    number = volume.masks.index(name)
    return volume.data[..., number] if volume.data.ndim == 4 else volume.data == number + 1


def _acdc(case: Case, arrays: Arrays, path: Path) -> Iterator[Check]:
    """Frames count from 1; volumes of structures from label maps and voxel sizes."""
    expected, cine = case["expected"], reading.read(FORMATS, path / f"{path.name}_4d.nii.gz", path.name)
    labels = {
        phase: reading.read_labels(FORMATS, path / f"{path.name}_frame{expected[phase]:02d}_gt.nii.gz", path.name, 4)
        for phase in ("ED", "ES")
    }
    yield _same("cine", cine.data, arrays["cine"])
    yield _same("affine", cine.affine, arrays["affine"], AFFINE)
    for phase, found in labels.items():
        yield _same(f"labels at {phase}", found.data, arrays[f"gt_{phase.lower()}"])
    volumes = [
        np.bincount(one.data.ravel(), minlength=4) * np.prod(one.geometry.spacing) / 1e3 for one in labels.values()
    ]
    diastole, systole = (volume[3] for volume in volumes)
    yield _same("volume at ED in ml", diastole, expected["lv_edv_ml"], RELATIVE * diastole)
    yield _same("volume at ES in ml", systole, expected["lv_esv_ml"], RELATIVE * systole)


def _camus(_: Case, arrays: Arrays, path: Path) -> Iterator[Check]:
    files = sorted(path.glob("*_half_sequence.nii.gz"))
    found = [reading.read(FORMATS, file, path.name).data for file in files]
    labels = [
        reading.read(FORMATS, file.with_name(file.name.replace(".nii", "_gt.nii")), path.name).data for file in files
    ]
    for name, views in (("sequence", found), ("gt", labels)):
        matching = [view for view in views if view.squeeze().shape == arrays[name].squeeze().shape]
        yield Check(name, min(float(np.abs(view.squeeze() - arrays[name].squeeze()).max()) for view in matching), 0)


def _echonet(case: Case, arrays: Arrays, path: Path) -> Iterator[Check]:
    """Videos by split with their ejection fraction, and masks of traced frames, whichever comes first in the file."""
    expected, files, tracings = case["expected"], read_file_list(path, drop_untraced=False), read_tracings(path)
    splits = {"TRAIN": "train", "VAL": "validation", "TEST": "test"}
    found = {name: list(files.index.splits[split]) for name, split in splits.items()}
    yield Check("splits", float(found != expected["splits"]), 0)
    for video, ef in expected["ef"].items():
        yield _same(f"ejection fraction of {video}", files.measured[video]["EF"], ef)
    for name, mask in arrays.items():
        _, video, frame = name.split(".")
        yield _same(f"mask of {video}, {frame}", mask_of(tracings[video][int(frame)], mask.shape), mask)


STUDIES: Mapping[str, Callable[[Case, Arrays, Path], Iterator[Check]]] = {
    "acdc": _acdc,
    "camus": _camus,
    "cholec80": compare_cholec80,
    "echonet": _echonet,
}


def _same(name: str, ours: Any, expected: Any, tolerance: float = 0) -> Check:
    ours, expected = np.asarray(ours, np.float64), np.asarray(expected, np.float64)
    if ours.shape != expected.shape:
        return Check(f"{name}: shape {ours.shape}, not {expected.shape}", np.inf, tolerance)
    return Check(name, float(np.abs(ours - expected).max(initial=0)), tolerance)
