"""Checks of a data set's cases: the contract with evaluators, and with what is written for people."""

import tempfile
from pathlib import Path
from typing import cast

import numpy as np
import torch

from medvid.config.axes import SLICES
from medvid.data.dataset import Dataset, FilmedCase, SegmentationCase, ViewedCase
from medvid.data.framed import PLACES, FramedCase, filled
from medvid.data.targets import case_target, frame_target
from medvid.plugin.info import TargetInfo
from medvid.testing.check import NotApplicableError, expect
from medvid.testing.dataset_subject import DatasetSubject


def check_evaluation(subject: DatasetSubject) -> None:
    """A case opened for evaluation has the declared input, labels in range, and what its task needs."""
    dataset = subject.prepared()
    for name in subject.held_out[:2]:
        case = dataset.open_case(name)
        expect(case.id == name, f"case {name} calls itself {case.id!r}")
        x = case.input()
        expect(x.dtype == torch.float32, f"the input of {name} is {x.dtype}, not float32")
        expect(len(x) == dataset.input_info.channels, f"the input of {name} has {len(x)} channels")
        expect(bool(torch.isfinite(x).all()), f"the input of {name} is not finite")
        if dataset.target_info.where == "frame":
            _check_framed(cast(FramedCase, case), dataset)
        elif subject.is_dense:
            _check_segmentation(cast(SegmentationCase, case), tuple(x.shape[1:]), dataset.target_info)
        else:
            _check_viewed(cast(ViewedCase, case), dataset)


def check_geometry(subject: DatasetSubject) -> None:
    """A written prediction lies on the grid of the case's file, label by label."""
    dataset = subject.prepared()
    if not subject.is_dense or dataset.target_info.what != "class":
        raise NotApplicableError("only a class per voxel is written as a file whose parts are its labels")
    case = cast(SegmentationCase, dataset.open_case(subject.held_out[0]))
    truth = case.native_truth().clip(min=0).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        [path] = case.write(truth, Path(folder))
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


def check_probabilities(subject: DatasetSubject) -> None:
    """Probabilities of voxels are written into files of the case's own, and only where they are asked to be."""
    dataset = subject.prepared()
    if not subject.is_dense or dataset.target_info.what == "value":
        raise NotApplicableError("only classes and labels per voxel have probabilities")
    one, other = (cast(SegmentationCase, dataset.open_case(name)) for name in (subject.held_out * 2)[:2])
    with tempfile.TemporaryDirectory() as folder:
        written: list[set[Path]] = []
        for case in (one, other):
            values = np.zeros((len(dataset.target_info.names), *case.grid.native_shape), np.uint8)
            values[0] = 255
            paths = case.write_probabilities(values, Path(folder))
            expect(bool(paths) and all(path.is_file() for path in paths), f"{case.id}: {paths} are not all files")
            written.append(set(paths))
        found = {path for path in Path(folder).rglob("*") if path.is_file()}
        expect(found == written[0] | written[1], f"write_probabilities made {found}, and names {written}")
        expect(one.id == other.id or not written[0] & written[1], f"two cases share files: {written[0] & written[1]}")


CASE_CHECKS = (check_evaluation, check_geometry, check_probabilities)


def _check_segmentation(case: SegmentationCase, prepared: tuple[int, ...], info: TargetInfo) -> None:
    grid, labels = case.grid, len(info.names)
    expect(prepared == grid.prepared_shape, f"the input of {case.id} is {prepared}, its grid {grid.prepared_shape}")
    for name, truth, shape in (
        ("native_truth", case.native_truth(), grid.native_shape),
        ("prepared_truth", case.prepared_truth(), grid.prepared_shape),
    ):
        wanted, highest = (shape, labels - 1) if info.what == "class" else ((labels, *shape), 1)
        if info.what == "value":
            expect(truth.shape == wanted, f"{name} of {case.id} is {truth.shape}, not {wanted} by its grid")
            expect(truth.dtype == np.float32, f"{name} of {case.id} is {truth.dtype}, not float32")
            expect(not np.isinf(truth).any(), f"{name} of {case.id} has infinite values")
            continue
        of_unknown = [np.int8, np.int16] if info.has_unknown else []
        types = [np.uint8, *of_unknown, *([np.int32, np.int64] if info.has_partial else [])]
        expect(truth.shape == wanted, f"{name} of {case.id} is {truth.shape}, not {wanted} by its grid")
        expect(
            truth.dtype in types, f"{name} of {case.id} is {truth.dtype}, not {' or '.join(t.__name__ for t in types)}"
        )
        expect(int(truth.max()) <= highest, f"{name} of {case.id} holds {truth.max()}, above {highest}")
    shown = case.native_input().shape
    expect(shown[: len(grid.native_shape)] == grid.native_shape, f"native_input of {case.id} is {shown}")


def _check_framed(case: FramedCase, dataset: Dataset) -> None:
    count, axis = case.frame_count, 1 + SLICES[dataset.input_info.axes]
    columns = tuple(case.places)
    expect(columns in list(PLACES.items()), f"the places of {case.id} are called {columns}, not as one of {PLACES}")
    expect({*map(len, case.places.values())} == {count}, f"the places of {case.id} are not {count} each")
    expect(case.target is not None, f"{case.id} has no target")
    assert case.target is not None, "just checked"
    expect(len(case.target) == count, f"{case.id} has {count} frames and {len(case.target)} targets")
    frame_target(case.target.numpy(), dataset.target_info, case.id)
    whole, length = case.input(), dataset.input_info.size[axis - 1]
    expect(whole.shape[axis] == count, f"{case.id} has {count} frames, of which {whole.shape[axis]} are given")
    for step in {1, 2, dataset.input_info.step}:
        for start in (0, count // 2, 1 - step * length, count - 1):
            window = range(start, start + step * length, step)
            given = case.frames(window.start, window.stop, step)
            wanted = (dataset.input_info.channels, *dataset.input_info.size)
            expect(given.shape == wanted, f"{length} frames of {case.id} are {tuple(given.shape)}, not {wanted}")
            same = torch.equal(given, whole.index_select(axis, torch.tensor(filled(window, count))))
            expect(same, f"frames {[*window]} of {case.id} are others than those of the whole, or filled otherwise")


def _check_viewed(case: ViewedCase, dataset: Dataset) -> None:
    expect(case.target is not None, f"{case.id} has no target")
    assert case.target is not None, "just checked"
    case_target(case.target.numpy(), dataset.target_info, case.id)
    info = dataset.input_info
    for clips, crops in ((1, 1), (2, 3)):
        count = crops * (clips if info.axes == "video" else 1)
        views = case.views(clips, crops, "spread")
        expect(
            views.shape[:2] == (count, info.channels) and views.dtype == torch.float32,
            f"{clips} x {crops} views of {case.id} are {tuple(views.shape)} of {views.dtype}",
        )
    if isinstance(case, FilmedCase):
        every = case.all_views(1, 3)
        same = len(every) % 3 == 0 and torch.equal(every[0:3], case.views(1, 3, "segments"))
        expect(
            same, f"the views of {case.id} from every frame are not three crops each, or begin otherwise than a clip"
        )
    shown = case.thumbnails(2)
    expect(shown.dtype == np.uint8 and shown.shape[-1:] == (3,) and shown.ndim == 4, f"thumbnails are {shown.shape}")


def _same_parts(shown: np.ndarray, labels: np.ndarray) -> bool:
    """Whether two arrays are divided into the same parts, whatever their values are; `shown` may have colours."""
    if shown.ndim > labels.ndim:
        shown = shown.astype(np.int64) @ np.array([1, 1 << 10, 1 << 20])
    pairs = np.unique(np.stack([shown.ravel(), labels.ravel()]), axis=1)
    return len(pairs[0]) == len(np.unique(labels)) == len(np.unique(shown))
