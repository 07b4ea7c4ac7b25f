"""The files that the TransUNet authors prepared: a .npz per training slice, a .npy.h5 per test volume."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import ModuleType
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from medvid.data.dataset import Progress
from medvid.data.grid import Grid
from medvid.data.listing import by_name, check_usable, find_files, name_left_out
from medvid.data.problems import say_together
from medvid.data.splits import Splits, check_known, check_splits, choose_splits
from medvid.data.volumes.formats.nifti import write_labels, write_probabilities
from medvid.data.volumes.formats.nifti_space import Space
from medvid.digests import digest_of_files, digest_of_rows
from medvid.errors import DataError
from medvid.files import make_folder
from medvid.plugin.specs import Axes
from medvid.sentences import listed
from medvid_btcv.config import SYNAPSE_LABELS, SynapseOptions
from medvid_btcv.zoom import Size2D, zoom_grid, zoom_image, zoom_labels, zoom_slices

log = logging.getLogger(__name__)

SUFFIX = ".npy.h5"

_SLACK = 0.01  # tolerance of the scaling to [0, 1]

_SLICE = re.compile(r"(?P<case>.+)_slice(?P<number>[0-9]+)\.npz")


class StackCase:
    """A test volume (slices, H, W) of unknown orientation; see `medvid.data.dataset.SegmentationCase`.

    Args:
        path: the .npy.h5 file.
        size: height and width to which slices are resized.
    """

    def __init__(self, path: Path, size: Size2D) -> None:
        self._path = path
        self._size = size

    @property
    def id(self) -> str:
        return self._path.name.removesuffix(SUFFIX)

    @property
    def sources(self) -> tuple[Path, ...]:
        return (self._path,)

    @property
    def axes(self) -> Axes:
        return "image"

    @cached_property
    def grid(self) -> Grid:
        slices, height, width = shape = self.native_input().shape
        ones = (1.0, 1.0, 1.0)
        whole = Grid(shape, ones, (height, width, slices), ones, (1, 2, 0), ones, (0.0, 0.0, 0.0))
        return zoom_grid(whole, self._size)

    def input(self) -> Tensor:
        return torch.from_numpy(zoom_slices(np.moveaxis(self.native_input(), 0, 2), self._size, zoom_image))[None]

    def native_input(self) -> np.ndarray:
        image = self._read("image")
        _check_finite(image, self.id, self._path)
        return image

    @property
    def display_window(self) -> tuple[float, float]:
        """The authors' files are scaled."""
        return 0.0, 1.0

    def native_truth(self) -> np.ndarray:
        return _label_ids(self._read("label"), self.id, self._path)

    def prepared_truth(self) -> np.ndarray:
        return zoom_slices(np.moveaxis(self.native_truth(), 0, 2), self._size, zoom_labels)

    def write(self, labels: np.ndarray, folder: Path) -> tuple[Path, ...]:
        """Write as .nii.gz with the slices on the third axis, as the authors do."""
        path = folder / f"{self.id}.nii.gz"
        make_folder(folder)
        write_labels(path, labels.transpose(2, 1, 0), Space())
        return (path,)

    def write_probabilities(self, probabilities: np.ndarray, folder: Path) -> tuple[Path, ...]:
        """Write as .nii.gz with the slices on the third axis."""
        path = folder / f"{self.id}.nii.gz"
        write_probabilities(path, probabilities.transpose(0, 3, 2, 1), Space())
        return (path,)

    def _read(self, name: str) -> np.ndarray:
        h5py = _import_h5py(self._path)
        try:
            with h5py.File(self._path) as file:
                array = np.asarray(file[name])
        except (OSError, KeyError) as error:
            raise DataError(
                f"case {self.id}: {self._path} cannot be read: {error}", hint="download it again"
            ) from error
        if array.ndim != 3:
            raise DataError(f"case {self.id}: {name} in {self._path} has shape {array.shape}, not (slices, H, W)")
        return array


class Preprocessed:
    """``train_npz/case0005_slice000.npz`` ... and ``test_vol_h5/case0001.npy.h5`` ... below a folder.

    Args:
        options: those of the data set.
    """

    def __init__(self, options: SynapseOptions) -> None:
        self._options = options
        self._content: dict[str, str] = {}

    def declared(self) -> Splits:
        """The volumes by folder, which is the authors' split."""
        if self._options.fold is not None:
            raise DataError(
                "the authors' files of Synapse cannot be divided into folds: training volumes are slices, not scored",
                hint="use the volumes as they come from BTCV, or leave out dataset.fold",
            )
        folders = {"train": tuple(self._slices), "test": tuple(self._volumes)}
        return {name: ids for name, ids in folders.items() if ids}

    def divide(self) -> Splits:
        """The task's split of the volumes, else that of the folders."""
        asked, declared = self._options.split, self.declared()
        splits = choose_splits(asked, declared, dict)
        check_known({"train": splits.get("train", ())}, declared.get("train", ()))
        check_known({name: ids for name, ids in splits.items() if name != "train"}, declared.get("test", ()))
        everything = tuple(dict.fromkeys(case for ids in declared.values() for case in ids))
        check_splits(splits, asked, everything, everything)
        return splits

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        """Read and check the files of these volumes."""
        notes: dict[str, Sequence[str]] = {}
        for done, case in enumerate(cases, start=1):
            self._content[case], notes[case] = self._check(case)
            progress(done, len(cases))
        for note in say_together(notes):
            log.warning(note)

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]:  # noqa: ARG002 (nothing is left out)
        """Read and check the files of a volume."""
        return self._check(case)[1]

    def digest(self, cases: Sequence[str]) -> str:
        """See `medvid.data.dataset.Dataset.digest`."""
        return digest_of_rows((case, self._content.get(case) or self._check(case)[0]) for case in cases)

    def fingerprint(self, case: str) -> str:  # noqa: ARG002 (there is none)
        """Empty: the same scan has different files as slices and as a volume."""
        return ""

    def labelled(self) -> tuple[str, ...]:
        """The volumes, each of which comes with its labels."""
        return tuple(self._volumes)

    def fix_splits(self, splits: Splits) -> None:
        """Nothing to do: no method depends on another case's split."""

    def slices(self, case: str) -> tuple[str, ...]:
        """Names of the slices of a training volume."""
        return tuple(path.stem for path in self._slices[case])

    def slice(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Read one slice: image (H, W) float32 in [0, 1] and label ids (H, W) uint8."""
        return _read_slice(self._options.root / "train_npz" / f"{name}.npz")

    def stack(self, case: str) -> StackCase:
        """A test volume."""
        if case not in self._volumes:
            raise DataError(f"case {case} has only training slices and cannot be scored as a volume")
        return StackCase(self._volumes[case], self._options.size)

    def open_stacks(self, paths: Sequence[Path]) -> Iterator[StackCase]:
        """New volumes for prediction: .npy.h5 files or folders of them.

        Raises:
            DataError: a path is something else; volumes in other files have another orientation.
        """
        found: dict[Path, None] = {}  # each once, in their order
        for path in paths:
            all_files = find_files(path, recursive=False) if path.is_dir() else (path,)
            files = [file for file in all_files if file.name.endswith(SUFFIX) and file.is_file()]
            if not files:
                raise DataError(
                    f"{path} is not a {SUFFIX} file and contains none; this model needs the authors' preprocessed files"
                )
            for note in name_left_out(path, all_files, files, lambda _: f"not {SUFFIX}"):
                log.warning(note)
            found |= dict.fromkeys(files)
        return (StackCase(file, self._options.size) for file in _by_name(list(found)).values())

    def _check(self, case: str) -> tuple[str, tuple[str, ...]]:
        """Read the files of a volume to their end and hash them; also return what is odd about them."""
        files = self._slices.get(case) or (self._volumes[case],)
        low, high = 0.0, 1.0
        for path in files:
            if path.suffix == ".npz":
                image = _read_slice(path)[0]
            else:
                image = _read_stack(StackCase(path, self._options.size), path)
            low, high = min(low, float(image.min())), max(high, float(image.max()))
        if low < -_SLACK or high > 1 + _SLACK:
            return digest_of_files(files), ("its values exceed [0, 1], the authors' scale; they are used unchanged",)
        return digest_of_files(files), ()

    @property
    def _slices(self) -> Mapping[str, Sequence[Path]]:
        return self._files[0]

    @property
    def _volumes(self) -> Mapping[str, Path]:
        return self._files[1]

    @cached_property
    def _files(self) -> tuple[dict[str, list[Path]], dict[str, Path]]:
        """The slices of each training volume, and the test volumes; everything else is named as left out."""
        root = self._options.root
        slices: dict[str, list[Path]] = {}
        volumes: list[Path] = []
        files = find_files(root)
        for path in files:
            if path.parent == root / "train_npz" and (match := _SLICE.fullmatch(path.name)):
                slices.setdefault(match["case"], []).append(path)
            elif path.parent == root / "test_vol_h5" and path.name.endswith(SUFFIX):
                volumes.append(path)
        used = [*(path for group in slices.values() for path in group), *volumes]
        check_usable(root, used)
        notes = (
            *name_left_out(root, files, used, lambda _: f"not slices in train_npz or {SUFFIX} files in test_vol_h5"),
            *_missing_slices(slices),
        )
        for note in notes:
            log.warning(note)
        return slices, _by_name(volumes)


def _missing_slices(slices: Mapping[str, Sequence[Path]]) -> Iterator[str]:
    """Notes on volumes whose slices are not numbered from 0 without gaps."""
    for case, paths in slices.items():
        numbers = {int(match["number"]) for path in paths if (match := _SLICE.fullmatch(path.name))}
        if missing := sorted(set(range(max(numbers))) - numbers):
            yield f"{case} lacks the slices {listed([str(number) for number in missing])}"


def _by_name(paths: Sequence[Path]) -> dict[str, Path]:
    named = ((path.name.removesuffix(SUFFIX), path) for path in paths)
    return by_name(named, "volumes", "rename one of them, or predict them separately")


def _read_stack(case: StackCase, path: Path) -> np.ndarray:
    image = case.native_input()
    if image.shape != (label := case.native_truth().shape):
        raise DataError(f"case {case.id}: in {path} the image has shape {image.shape}, its label map {label}")
    return image


def _read_slice(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            image, label = arrays["image"], arrays["label"]
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise DataError(f"case {path.stem}: {path} cannot be read: {error}", hint="download it again") from error
    if image.ndim != 2 or image.shape != label.shape:
        raise DataError(f"case {path.stem}: in {path} the image has shape {image.shape}, its label map {label.shape}")
    _check_finite(image, path.stem, path)
    return image, _label_ids(label, path.stem, path)


def _check_finite(image: np.ndarray, case: str, path: Path) -> None:
    if image.dtype.kind not in "iuf" or not np.isfinite(image).all():
        raise DataError(f"case {case}: {path} has voxels that are NaN or infinite, or are not numbers")


def _label_ids(label: np.ndarray, case: str, path: Path) -> np.ndarray:
    ids = np.unique(label)
    if strange := [i for i in ids.tolist() if i not in range(len(SYNAPSE_LABELS))]:
        raise DataError(
            f"case {case}: {path} has the labels {strange[:5]}; the authors' files hold 0..{len(SYNAPSE_LABELS) - 1}",
            hint="use the authors' files: others can number the organs differently",
        )
    return label.astype(np.uint8)


def _import_h5py(path: Path) -> ModuleType:
    try:
        import h5py
    except ImportError:
        raise DataError(f"{path} can only be read with h5py, which is not installed", hint="pip install h5py") from None
    module: ModuleType = h5py
    return module
