"""Checks of a data set's cases: the contract with evaluators, and with what is written for people."""

import tempfile
from pathlib import Path
from typing import cast

import numpy as np
import torch

from medvid.data.dataset import ClassificationCase, Dataset, SegmentationCase
from medvid.testing.check import NotApplicableError, expect
from medvid.testing.dataset_subject import DatasetSubject


def evaluation(subject: DatasetSubject) -> None:
    """A case opened for evaluation has the declared input, labels in range, and what its task needs."""
    dataset, labels = subject.prepared(), len(subject.options.target_info().labels)
    for name in subject.held_out[:2]:
        case = dataset.case(name)
        expect(case.id == name, f"case {name} calls itself {case.id!r}")
        x = case.input()
        expect(x.dtype == torch.float32, f"the input of {name} is {x.dtype}, not float32")
        expect(len(x) == dataset.input_info.channels, f"the input of {name} has {len(x)} channels")
        expect(bool(torch.isfinite(x).all()), f"the input of {name} is not finite")
        if subject.is_segmentation:
            _check_segmentation(cast(SegmentationCase, case), tuple(x.shape[1:]), labels)
        else:
            _check_classification(cast(ClassificationCase, case), dataset, labels)


def geometry(subject: DatasetSubject) -> None:
    """A written prediction lies on the grid of the case's file, label by label."""
    if not subject.is_segmentation:
        raise NotApplicableError("only segmentations are written as files with a grid")
    dataset = subject.prepared()
    case = cast(SegmentationCase, dataset.case(subject.held_out[0]))
    truth = case.native_truth()
    with tempfile.TemporaryDirectory() as folder:
        path = case.write(truth, Path(folder))
        expect(path.is_file() and path.parent == Path(folder), f"write did not make the file that it names: {path}")
        again = cast(SegmentationCase, next(iter(dataset.open([path]))))
        for part in ("native_shape", "native_spacing", "axes"):
            found, wanted = getattr(again.grid, part), getattr(case.grid, part)
            same = np.allclose(found, wanted, rtol=1e-4)
            expect(same, f"the written prediction has {part} {found}, the file of the case {wanted}")
        expect(
            np.sign(again.grid.scale).tolist() == np.sign(case.grid.scale).tolist(),
            "the axes of the written prediction run another way than those of the case's file",
        )
        expect(_same_parts(again.native_input(), truth), "the written labels are not where they belong")


CASE_CHECKS = (evaluation, geometry)


def _check_segmentation(case: SegmentationCase, prepared: tuple[int, ...], labels: int) -> None:
    grid = case.grid
    expect(prepared == grid.prepared_shape, f"the input of {case.id} is {prepared}, its grid {grid.prepared_shape}")
    for name, truth, shape in (
        ("native_truth", case.native_truth(), grid.native_shape),
        ("prepared_truth", case.prepared_truth(), grid.prepared_shape),
    ):
        expect(truth.shape == shape, f"{name} of {case.id} is {truth.shape}, its grid {shape}")
        expect(truth.dtype == np.uint8, f"{name} of {case.id} is {truth.dtype}, not uint8")
        expect(int(truth.max()) < labels, f"{name} of {case.id} holds label {truth.max()} of {labels}")
    shown = case.native_input().shape
    expect(shown[: len(grid.native_shape)] == grid.native_shape, f"native_input of {case.id} is {shown}")


def _check_classification(case: ClassificationCase, dataset: Dataset, labels: int) -> None:
    expect(case.label is not None and 0 <= case.label < labels, f"{case.id} has label {case.label} of {labels}")
    info = dataset.input_info
    for clips, crops in ((1, 1), (2, 3)):
        count = crops * (clips if info.layout == "video" else 1)
        views = case.views(clips, crops, "spread")
        expect(
            views.shape[:2] == (count, info.channels) and views.dtype == torch.float32,
            f"{clips} x {crops} views of {case.id} are {tuple(views.shape)} of {views.dtype}",
        )
    shown = case.thumbnails(2)
    expect(shown.dtype == np.uint8 and shown.shape[-1:] == (3,) and shown.ndim == 4, f"thumbnails are {shown.shape}")


def _same_parts(shown: np.ndarray, labels: np.ndarray) -> bool:
    """Whether two arrays are divided into the same parts, whatever their values are; `shown` may have colours."""
    if shown.ndim > labels.ndim:
        shown = shown.astype(np.int64) @ np.array([1, 1 << 10, 1 << 20])
    pairs = np.unique(np.stack([shown.ravel(), labels.ravel()]), axis=1)
    return len(pairs[0]) == len(np.unique(labels)) == len(np.unique(shown))
