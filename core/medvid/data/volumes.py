"""A data set of segmented NIfTI volumes: what the plugins for such data share."""

import hashlib
import logging
import zlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medvid.config.volumes import VolumeDatasetOptions
from medvid.data import nifti
from medvid.data.cache import PROCESS_BYTES, Fingerprint, VolumeCache, fingerprint, stored_content
from medvid.data.dataset import Dataset, Progress
from medvid.data.description import describe
from medvid.data.grid import Grid
from medvid.data.index import Index, find_cases, find_volumes
from medvid.data.patches import draw_patches
from medvid.data.preparation import Prepared, VolumePreparation
from medvid.data.sample import Batch
from medvid.data.splits import (
    check_copies,
    check_known,
    check_repeated,
    held_out_in_training,
    name_replaced,
    name_unused,
)
from medvid.data.volume_files import CaseFiles
from medvid.data.volume_survey import Extent, mixed_voxel_sizes, small_volumes, unknown_units
from medvid.errors import DataError
from medvid.machine import usable_memory
from medvid.plugin.specs import Layout

log = logging.getLogger(__name__)


class VolumeCase:
    """A case of a volume data set, see `medvid.data.dataset.SegmentationCase`.

    Args:
        files: its files.
        labels: number of labels.
        load: gives the prepared case; called when it is needed first.
        content: what the files held when the case was prepared; None for files that are only just opened.
        window: see `display_window`.
    """

    def __init__(
        self,
        files: CaseFiles,
        labels: int,
        load: Callable[[], Prepared],
        content: Fingerprint | None = None,
        window: tuple[float, float] | None = None,
    ) -> None:
        self._files = files
        self._labels = labels
        self._load = load
        self._content = content
        self._window = window

    @property
    def id(self) -> str:
        return self._files.id

    @property
    def sources(self) -> tuple[Path, ...]:
        return self._files.images

    @property
    def layout(self) -> Layout:
        return "volume"

    @property
    def grid(self) -> Grid:
        return self._prepared.grid

    def input(self) -> Tensor:
        return torch.from_numpy(self._prepared.image.astype(np.float32))

    def native_input(self) -> np.ndarray:
        self._check_unchanged()
        return nifti.read(self._files.images[0], self.id).channels_last[..., 0]

    @property
    def display_window(self) -> tuple[float, float] | None:
        return self._window

    def native_truth(self) -> np.ndarray:
        if self._files.label is None:
            raise DataError(f"case {self.id} has no label map")
        self._check_unchanged()
        return nifti.read_labels(self._files.label, self.id, self._labels).data

    def prepared_truth(self) -> np.ndarray:
        if self._prepared.label is None:
            raise DataError(f"case {self.id} has no label map")
        return np.array(self._prepared.label)

    def write(self, labels: np.ndarray, folder: Path) -> Path:
        path = folder / f"{self.id}.nii.gz"
        nifti.write_labels(path, labels, self._prepared.space)
        return path

    @cached_property
    def _prepared(self) -> Prepared:
        return self._load()

    def _check_unchanged(self) -> None:
        if self._content is not None and fingerprint(self._files) != self._content:
            raise DataError(f"case {self.id}: its files changed since they were prepared", hint="start the run again")


class VolumeDataset(Dataset):
    """Segmented NIfTI volumes in one of the layouts of `medvid.data.index`.

    Args:
        options: the validated options.
    """

    options: VolumeDatasetOptions

    def __init__(self, options: VolumeDatasetOptions) -> None:
        super().__init__(options)
        self._content: dict[str, Fingerprint] = {}

    @abstractmethod
    def default_split(self, cases: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """Split labelled cases into train and validation where neither the task nor a datalist does.

        Raises:
            DataError: these cases cannot be split.
        """

    def cases(self, split: str) -> tuple[str, ...]:
        if split not in self._splits:
            raise DataError(
                f"the data set in {self.options.root} has no split {split!r}; it has {', '.join(self._splits)}"
            )
        return self._splits[split]

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        return self._splits

    def check(
        self,
        cases: Sequence[str],
        progress: Progress,
        *,
        deep: bool = False,
        workers: int = 1,
        seconds: float | None = None,
    ) -> dict[str, DataError]:
        """As `Dataset.check`, by as many processes as memory is enough for."""
        fitting = max(1, min(workers, usable_memory() // PROCESS_BYTES))
        errors = super().check(cases, progress, deep=deep, workers=fitting, seconds=seconds)
        foreseen: list[Extent] = []
        for case in self._trained_on([case for case in cases if case not in errors]):
            try:
                foreseen.append(self._foresee(case))
            except DataError as error:  # of a case for which there was no time
                errors[case] = error
        _warn(self._survey(foreseen))
        return errors

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]:  # noqa: ARG002 (nothing is left out)
        """Prepare a case, without keeping it."""
        return self._preparation.prepare(self._files(case)).notes

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        files = [self._files(case) for case in cases]
        with ThreadPoolExecutor() as pool:  # hashing releases the interpreter's lock
            self._content.update(zip(cases, pool.map(fingerprint, files), strict=True))
        check_copies(self._splits, {case: content.image for case, content in self._content.items()})
        _warn(self._cache.prepare({file: self._content[file.id] for file in files}, progress))
        _warn(check_copies(self._splits, self._cache.equal_images({case: self._content[case] for case in cases})))
        trained = [(self._files(case), self._fingerprint(case)) for case in self._trained_on(cases)]
        _warn(self._survey([Extent.of(self._cache.read(*case)) for case in trained]))

    def _trained_on(self, cases: Sequence[str]) -> list[str]:
        trained = set(self._splits.get("train", ()))
        return [case for case in cases if case in trained]

    def _foresee(self, case: str) -> Extent:
        """What a case will be like, from the header of its first file."""
        return Extent.foreseen(*nifti.read_geometry(self._files(case).images[0], case), self.options.spacing)

    def _survey(self, trained: Sequence[Extent]) -> list[str]:
        """What is to be said of the training cases as a whole."""
        options = self.options
        mixed = "" if options.spacing else mixed_voxel_sizes(trained)
        small = small_volumes(trained, options.patch.size)
        lines = (
            f"{mixed}, and are not made equal: set dataset.spacing, in mm" if mixed else "",
            f"{small}: see dataset.patch.size and dataset.spacing" if small else "",
            unknown_units(trained),
        )
        return [line for line in lines if line]

    def digest(self, cases: Sequence[str]) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for case in cases:
            content = self._fingerprint(case)
            digest.update(f"{case}\0{content.image}\0{content.label}\n".encode())
        return digest.hexdigest()

    def fingerprint(self, case: str) -> str:
        files = self._files(case)
        try:
            return stored_content(files.images)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"case {case}: {files.images[0]} cannot be read: {error}") from error

    def labelled(self) -> tuple[str, ...]:
        return tuple(case.id for case in self._index.cases.values() if case.label is not None)

    def fix_splits(self, splits: Mapping[str, tuple[str, ...]]) -> None:
        self._splits = dict(splits)

    def sample(self, case: str, seed: int) -> Batch:
        prepared = self._cache.read(self._files(case), self._fingerprint(case))
        if prepared.label is None:
            raise DataError(f"case {case} has no label map, it cannot be trained on")
        images, labels = draw_patches(prepared, self.options.patch, self.options.augment, seed)
        return Batch(images, labels, (case,) * len(images))

    def case(self, case: str) -> VolumeCase:
        files, content = self._files(case), self._fingerprint(case)
        return self._case(files, partial(self._cache.read, files, content), content)

    def open(self, paths: Sequence[Path]) -> Iterator[VolumeCase]:
        preparation = self._preparation
        found = find_volumes(paths, preparation.channels, self.options.layout)
        _warn(found.notes)
        return (self._case(files, partial(_prepare_aloud, preparation, files)) for files in found.cases.values())

    def _case(self, files: CaseFiles, load: Callable[[], Prepared], content: Fingerprint | None = None) -> VolumeCase:
        options = self.options
        window = options.window if options.normalize == "window" else None
        return VolumeCase(files, self._preparation.labels, load, content, window)

    @cached_property
    def _index(self) -> Index:
        options = self.options
        found = describe(options.root, options.datalist)
        if options.ignore_description:
            log.warning("what %s says of labels and channels does not count, as the task asks", found.source)
        else:
            _warn(options.check_description(found))
        index = find_cases(options.root, options.layout, options.datalist, self.input_info.channels, options.fold)
        _warn(index.notes)
        return index

    @cached_property
    def _splits(self) -> dict[str, tuple[str, ...]]:
        splits = self._choose_splits()
        self._check_splits(splits)
        _warn(name_unused(splits, tuple(self._index.cases)))
        return splits

    def _choose_splits(self) -> dict[str, tuple[str, ...]]:
        """The task's split, else the folder's, else the data set's own."""
        declared = dict(self._index.splits)
        if self.options.split is not None:
            asked = {name: ids for name, ids in self.options.split if ids}
            _warn(name_replaced(declared, asked))
            return {**declared, **asked}
        if "validation" in declared:
            if not declared.get("train"):
                raise DataError(
                    f"{self.options.root} has validation cases, but none to train on",
                    hint="name your own: dataset.split: {train: [...], validation: [...]}",
                )
            return declared
        if self._index.folds:
            raise DataError(
                f"the list in {self.options.root} gives its cases the folds {', '.join(map(str, self._index.folds))}, "
                "and nothing says which of them is held out",
                hint="choose one: dataset.fold: 0",
            )
        return {**declared, **self.default_split(declared["train"])}

    def _check_splits(self, splits: Mapping[str, tuple[str, ...]]) -> None:
        check_known(splits, tuple(self._index.cases))
        check_repeated(splits)
        for name in ("train", "validation"):
            if bare := [case for case in splits.get(name, ()) if self._index.cases[case].label is None]:
                raise DataError(f"split {name} has {len(bare)} cases without a label map: {', '.join(bare[:10])}")
        if shared := held_out_in_training(splits):
            if self.options.split is None or set(shared) != set(splits["train"]):
                raise DataError(f"{len(shared)} cases are both trained on and held out: {', '.join(shared[:10])}")
            log.warning("validation uses training cases, as the task asks: figures show fit, not generalisation")

    @cached_property
    def _preparation(self) -> VolumePreparation:
        options = self.options
        return VolumePreparation(
            channels=self.input_info.channels,
            labels=len(self.target_info.labels),
            spacing=options.spacing,
            normalize=options.normalize,
            window=options.window,
            crop=options.crop,
        )

    @cached_property
    def _cache(self) -> VolumeCache:
        return VolumeCache(self.options.cache.expanduser(), self._preparation)

    def _files(self, case: str) -> CaseFiles:
        if case not in self._index.cases:
            raise DataError(f"there is no case {case} in {self.options.root}")
        return self._index.cases[case]

    def _fingerprint(self, case: str) -> Fingerprint:
        """Known for prepared cases, and sent along to loader workers, which so need not hash files."""
        if case not in self._content:
            self._content[case] = fingerprint(self._files(case))
        return self._content[case]


def _warn(notes: Sequence[str]) -> None:
    for note in notes:
        log.warning(note)


def _prepare_aloud(preparation: VolumePreparation, files: CaseFiles) -> Prepared:
    """Prepare a case of which nobody was told yet what is odd about it."""
    prepared = preparation.prepare(files)
    for note in prepared.notes:
        log.warning("case %s: %s (%s)", files.id, note, files.images[0])
    return prepared
