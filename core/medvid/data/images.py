"""A data set of segmented images: what the plugins for such data share.

Images are read from their files each time, there is no cache: decoding and shrinking one takes a loader process some
20 ms at GlaS's 775 x 522 and 50 ms at MoNuSeg's 1000 x 1000, less than the step that it feeds.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from medvid.config.images import ImageDatasetOptions
from medvid.data.dataset import Dataset, Progress
from medvid.data.image_augment import augment
from medvid.data.image_case import ImageCase
from medvid.data.image_index import ImageFiles, ImageIndex, find_images, find_pairs
from medvid.data.problems import raise_together
from medvid.data.sample import Batch
from medvid.data.splits import check_copies, check_known, held_out_in_training, hold_out
from medvid.errors import DataError

log = logging.getLogger(__name__)

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class _Content:
    """What a case's files held when they were checked: hashes, and sizes and times by which a change is noticed."""

    image: str
    mask: str
    state: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, files: ImageFiles) -> "_Content":
        hashes = [hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest() for path in _paths(files)]
        return cls(hashes[0], "".join(hashes[1:]), _state(files))


class ImageDataset(Dataset):
    """Segmented images in the folders of `medvid.data.image_index`.

    Args:
        options: the validated options.
    """

    options: ImageDatasetOptions

    def __init__(self, options: ImageDatasetOptions) -> None:
        super().__init__(options)
        self._content: dict[str, _Content] = {}

    def default_split(self, cases: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """Split the cases where neither the task nor folders do: at random, but always the same way.

        Raises:
            DataError: these cases cannot be split.
        """
        return hold_out(cases, self.options.validation_fraction, self.options.split_seed)

    def cases(self, split: str) -> tuple[str, ...]:
        if split not in self._splits:
            raise DataError(
                f"the data set in {self.options.root} has no split {split!r}; it has {', '.join(self._splits)}"
            )
        return self._splits[split]

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        return self._splits

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]:  # noqa: ARG002 (nothing is left out)
        """Read a case's files to their end."""
        if isinstance(problem := self._check(case), DataError):
            raise problem
        return ()

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        errors: list[DataError] = []
        with ThreadPoolExecutor() as pool:  # hashing and decoding release the interpreter's lock
            for done, (case, result) in enumerate(zip(cases, pool.map(self._check, cases), strict=True), start=1):
                if isinstance(result, DataError):
                    errors.append(result)
                else:
                    self._content[case] = result
                progress(done, len(cases))
        raise_together(errors)
        check_copies(self._splits, {case: content.image for case, content in self._content.items()})

    def digest(self, cases: Sequence[str]) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for case in cases:
            content = self._content.get(case) or _Content.of(self._files(case))
            digest.update(f"{case}\0{content.image}\0{content.mask}\n".encode())
        return digest.hexdigest()

    def sample(self, case: str, seed: int) -> Batch:
        opened = self.case(case)
        image, mask = opened.input(), torch.from_numpy(opened.prepared_truth())
        image, mask = augment(image, mask, self.options.augment, self.options.crop, seed)
        return Batch(image[None].contiguous(), mask[None].long(), (case,))

    def case(self, case: str) -> ImageCase:
        files = self._files(case)
        if case in self._content and _state(files) != self._content[case].state:
            raise DataError(f"case {case}: its files changed since they were checked", hint="start the run again")
        return ImageCase(files, self.options)

    def open(self, paths: Sequence[Path]) -> Iterator[ImageCase]:
        for files in find_images(paths):
            yield ImageCase(files, self.options)

    @cached_property
    def _index(self) -> ImageIndex:
        options = self.options
        index = find_pairs(options.root, options.images, options.masks, options.mask_suffix)
        if index.strangers:
            names = ", ".join(path.name for path in index.strangers[:_SHOWN])
            log.warning("%d masks have no image and are left out: %s", len(index.strangers), names)
        return index

    @cached_property
    def _splits(self) -> Mapping[str, tuple[str, ...]]:
        """The task's split, else the folder's, else the data set's own."""
        asked = self.options.split
        if asked is None:
            splits = self._index.splits or self.default_split(tuple(self._index.cases))
        else:
            splits = {name: ids for name, ids in asked if ids}
        check_known(splits, tuple(self._index.cases))
        if shared := held_out_in_training(splits):
            if set(splits["train"]) != set(shared):
                raise DataError(f"{len(shared)} cases are both trained on and held out: {', '.join(shared[:_SHOWN])}")
            log.warning("training cases are held out too, as the task asks: figures show fit, not generalisation")
        return splits

    def _check(self, case: str) -> "_Content | DataError":
        """Read a case's files to their end and check that they fit together."""
        files = self._files(case)
        try:
            opened = ImageCase(files, self.options)
            opened.input()
            opened.native_truth()
            return _Content.of(files)
        except DataError as error:
            return error

    def _files(self, case: str) -> ImageFiles:
        if case not in self._index.cases:
            raise DataError(f"there is no case {case} in {self.options.root}")
        return self._index.cases[case]


def _paths(files: ImageFiles) -> tuple[Path, ...]:
    return (files.image,) if files.mask is None else (files.image, files.mask)


def _state(files: ImageFiles) -> tuple[tuple[int, int], ...]:
    try:
        states = [path.stat() for path in _paths(files)]
    except OSError as error:
        raise DataError(f"case {files.id}: {error.filename} cannot be read: {error.strerror}") from error
    return tuple((state.st_size, state.st_mtime_ns) for state in states)
