"""One scan in many files: however its axes are ordered and its header says where they lie, it is prepared alike."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from medvid.data.volumes.case import VolumeCase
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.formats.choice import shipped_formats
from medvid.data.volumes.labels import LabelScheme
from medvid.data.volumes.preparation import Prepared, VolumePreparation
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.testing.evaluation import evaluate_case, make_evaluator

SHAPE = (11, 9, 7)
SPACING = (0.75, 1.0, 2.5)
LABELS = ("background", "one", "two")
DEGREES = (0, 20, 45, 135, 225)
HOST = make_host()
PROTOCOLS = ("medvid", "unetr", "transunet")
PREPARATION = VolumePreparation(
    1, LabelScheme(LABELS), spacing=None, normalize="window", window=(0.0, 200.0), crop=False
)
PLAIN = {"version": 1, "endian": "<", "type": "i2", "slope": None, "axes": (), "has_unit": True, "ending": ".nii"}
STRAIGHT = {"order": (0, 1, 2), "signs": (1, 1, 1), "forms": "sform", "noise": 0, "unit": "mm"}


def scan() -> tuple[np.ndarray, np.ndarray]:
    """An image and its labels, neither of which looks the same from two sides."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:7, 2:5, 1:6], labels[6:10, 4:8, 3:6] = 1, 2
    return np.random.default_rng(0).integers(1, 90, SHAPE).astype(np.int16) + 50 * labels, labels


layouts = st.fixed_dictionaries(
    {
        "order": st.permutations(range(3)),
        "signs": st.tuples(*[st.sampled_from((1, -1))] * 3),
        "axis": st.sampled_from((0, 1, 2)),
        "degrees": st.sampled_from(DEGREES),
        "forms": st.sampled_from(("sform", "qform", "both")),
        "noise": st.integers(0, 2**16),
        "unit": st.sampled_from(("mm", "micron", "meter")),
    }
)
headers = st.fixed_dictionaries(
    {
        "version": st.sampled_from((1, 2)),
        "endian": st.sampled_from("<>"),
        "type": st.sampled_from(("u1", "i2", "u2", "i4", "i8", "f4", "f8")),
        "slope": st.sampled_from((None, 1.0, 0.5)),
        "axes": st.sampled_from(((), (1,), (1, 1))),
        "ending": st.sampled_from((".nii", ".nii.gz")),
    }
)


def save(path: Path, array: np.ndarray, layout: dict[str, Any], header: dict[str, Any], *, unit: bool = True) -> Path:
    """Store an array of the scan as it is laid out, its affine rounded differently for each file."""
    angles = np.zeros(3)
    angles[layout["axis"]] = np.radians(layout["degrees"])
    affine = np.eye(4)
    affine[:3, :3] = nib.eulerangles.euler2mat(*angles) * SPACING
    affine[:3, 3] = (-31, 42, 17)
    affine[:3] += np.random.default_rng([layout["noise"], *path.name.encode()]).uniform(-1e-6, 1e-6, (3, 4))
    affine[:3] *= {"meter": 1e-3, "micron": 1e3, "mm": 1.0}[layout["unit"]]
    turn = np.stack([layout["order"], layout["signs"]], axis=1).astype(float)
    affine = affine @ nib.orientations.inv_ornt_aff(turn, SHAPE)
    stored = np.rint(nib.apply_orientation(array, turn) / (header["slope"] or 1))
    stored = stored.reshape(*stored.shape, *header["axes"]).astype(header["type"])
    image = nib.Nifti1Image if header["version"] == 1 else nib.Nifti2Image
    saved = image(stored, affine, image.header_class(endianness=header["endian"]), dtype=stored.dtype)
    saved.set_sform(affine, 4 if layout["forms"] != "qform" else 0)
    saved.set_qform(affine, 1 if layout["forms"] != "sform" else 0)
    if header["slope"]:
        saved.header.set_slope_inter(header["slope"], 0)
    saved.header.set_xyzt_units(layout["unit"] if unit else "unknown")
    nib.save(saved, path)
    return path


class Thresholds(torch.nn.Module):
    """Decides by the gray value, so that it is often right."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        label = sum((input[:, 0] > threshold / 200).long() for threshold in (70, 110))
        return torch.nn.functional.one_hot(label, 3).movedim(-1, 1).float()


def score(files: CaseFiles, prepared: Prepared, folder: Path) -> list[float]:
    """The figures of each protocol and label; the predictions of the last are left in the folder."""
    rows = []
    for protocol in PROTOCOLS:
        info = InputInfo(axes="volume", channels=1, size=(16, 16, 16))
        target = TargetInfo("voxel", "class", LABELS)
        evaluator = make_evaluator(HOST, info, target, protocol=protocol, overlap=0.0, figures=0)
        case = VolumeCase(files, LabelScheme(("background", "a", "b")), shipped_formats(), lambda: prepared)
        rows += evaluate_case(evaluator, Thresholds(), case, final=True, folder=folder)
    return [value for row in rows for value in row.values() if isinstance(value, float)]


@cache
def plain(axis: int, degrees: int) -> tuple[Prepared, list[float]]:
    """The same scan from plain files, its axes as they are, of a patient turned about an axis."""
    layout = STRAIGHT | {"axis": axis, "degrees": degrees}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [save(folder / f"{i}.nii", array, layout, PLAIN) for i, array in enumerate(scan())]
        files = CaseFiles("plain", (paths[0],), paths[1])
        prepared = PREPARATION.prepare(files)
        return prepared, score(files, prepared, folder)


@settings(max_examples=25, deadline=None)
@given(layout=layouts, of_image=headers, of_label=headers, label_has_unit=st.booleans())
def test_a_scan_is_prepared_and_scored_alike_from_any_file(
    tmp_path_factory: pytest.TempPathFactory,
    layout: dict[str, Any],
    of_image: dict[str, Any],
    of_label: dict[str, Any],
    label_has_unit: bool,
) -> None:
    folder = tmp_path_factory.mktemp("case")
    image, labels = scan()
    if of_image["type"] == "u1":  # which does not hold twice the image's values
        of_image = of_image | {"slope": None}
    path = save(folder / f"image{of_image['ending']}", image, layout, of_image)
    mask = save(folder / f"label{of_label['ending']}", labels, layout, of_label, unit=label_has_unit)
    files = CaseFiles("a", (path,), mask)
    prepared = PREPARATION.prepare(files)
    expected, scores = plain(layout["axis"], layout["degrees"])
    np.testing.assert_array_equal(prepared.image, expected.image)
    np.testing.assert_array_equal(prepared.label, expected.label)
    np.testing.assert_allclose(prepared.grid.prepared_spacing, expected.grid.prepared_spacing, rtol=1e-4)
    np.testing.assert_allclose(score(files, prepared, folder), scores, rtol=1e-4)

    stored, written = nib.load(path), nib.load(folder / "predictions" / "a.nii.gz")
    for form in ("get_sform", "get_qform"):
        (matrix, code), (wanted, wanted_code) = (getattr(file, form)(coded=True) for file in (written, stored))
        assert code == wanted_code
        np.testing.assert_array_equal(matrix, wanted)
    np.testing.assert_array_equal(written.affine, stored.affine)
    assert written.header.get_xyzt_units()[0] == layout["unit"]
    assert written.shape == stored.shape[:3]
