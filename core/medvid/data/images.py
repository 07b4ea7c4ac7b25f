"""A data set of segmented images: what the plugins for such data share.

Images are read from their files each time, there is no cache: decoding and shrinking one takes a loader process some
20 ms at GlaS's 775 x 522 and 50 ms at MoNuSeg's 1000 x 1000, less than the step that it feeds.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from medvid.config.images import ImageDatasetOptions, Size2D
from medvid.data.dataset import Dataset, Progress
from medvid.data.image_augment import augment
from medvid.data.image_case import Findings, ImageCase
from medvid.data.image_files import read_head
from medvid.data.image_findings import check_palettes, tell_findings, tell_palette, tell_sizes, tell_training_sizes
from medvid.data.image_index import ImageFiles, ImageIndex, find_images, find_pairs
from medvid.data.image_scale import TrainingSizes
from medvid.data.listing import listed
from medvid.data.mask_files import Colour
from medvid.data.problems import raise_together
from medvid.data.sample import Batch
from medvid.data.splits import (
    check_copies,
    check_known,
    check_repeated,
    held_out_in_training,
    hold_out,
    name_replaced,
    name_unused,
)
from medvid.errors import DataError
from medvid.machine import usable_cores

log = logging.getLogger(__name__)

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class _Content:
    """What a case's files held when they were checked.

    Args:
        image: hash of the image's file.
        mask: hashes of the masks' files.
        pixels: hash of the image's pixels.
        state: sizes and times of the files, by which a change is noticed.
    """

    image: str
    mask: str
    pixels: str
    state: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, files: ImageFiles, case: ImageCase) -> "_Content":
        hashes = [hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest() for path in _paths(files)]
        return cls(hashes[0], "".join(hashes[1:]), case.hash_pixels(), _state(files))


class ImageDataset(Dataset):
    """Segmented images in the folders of `medvid.data.image_index`.

    Args:
        options: the validated options.
    """

    options: ImageDatasetOptions

    def __init__(self, options: ImageDatasetOptions) -> None:
        super().__init__(options)
        self._content: dict[str, _Content] = {}
        self._palette: dict[int, Colour] = {}
        self._remembered: Mapping[str, Any] = {}

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

    def check(
        self,
        cases: Sequence[str],
        progress: Progress,
        *,
        deep: bool = False,  # noqa: ARG002 (nothing is left out)
        workers: int = 1,
        seconds: float | None = None,
    ) -> dict[str, DataError]:
        return self._read(cases, progress, workers, seconds)[1]

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        content, errors = self._read(cases, progress, usable_cores())
        raise_together(list(errors.values()))
        self._content |= content
        _warn(check_copies(self._splits, {case: content.pixels for case, content in self._content.items()}))

    def describe(self, cases: Sequence[str]) -> dict[str, Any]:
        """Sizes of the images and bits of their pixels, and what the masks' palette indices look like."""
        heads = self._heads({case: self._files(case).image for case in cases})
        return {
            "sizes": TrainingSizes.of([size for size, _ in heads.values()]).to_json(),
            "bits": sorted({max(bits, 8) for _, bits in heads.values()}),
            "palette": {str(index): list(colour) for index, colour in sorted(self._palette.items())},
        }

    def remember(self, description: Mapping[str, Any]) -> None:
        self._remembered = description
        red_green_blue = description.get("palette", {}).items()
        self._palette = {int(index): (colour[0], colour[1], colour[2]) for index, colour in red_green_blue}

    def digest(self, cases: Sequence[str]) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for case in cases:
            content = self._content_of(case)
            digest.update(f"{case}\0{content.image}\0{content.mask}\n".encode())
        return digest.hexdigest()

    def fingerprint(self, case: str) -> str:
        return self._content_of(case).pixels

    def labelled(self) -> tuple[str, ...]:
        return tuple(case.id for case in self._index.cases.values() if case.masks)

    def fix_splits(self, splits: Mapping[str, tuple[str, ...]]) -> None:
        self._splits = dict(splits)

    def sample(self, case: str, seed: int) -> Batch:
        opened = self._case(case, None)
        image, mask = opened.input(), torch.from_numpy(opened.prepared_truth())
        image, mask = augment(image, mask, self.options.augment, self.options.crop, seed)
        return Batch(image[None].contiguous(), mask[None].long(), (case,))

    def case(self, case: str) -> ImageCase:
        return self._case(case, self._trained_sizes)

    def open(self, paths: Sequence[Path]) -> Iterator[ImageCase]:
        index = find_images(paths, self.options.mask_suffix)
        _warn(index.notes)
        self._tell_differences({case: files.image for case, files in index.cases.items()})
        for files in index.cases.values():
            yield ImageCase(files, self.options, self._trained_sizes)

    @cached_property
    def _index(self) -> ImageIndex:
        options = self.options
        index = find_pairs(options.root, options.images, options.masks, options.mask_suffix)
        _warn(index.notes)
        return index

    @cached_property
    def _trained_sizes(self) -> TrainingSizes | None:
        """Sizes of the training images: as the run remembers them, else of the files; None if none is there."""
        with suppress(KeyError):
            return TrainingSizes.from_json(self._remembered["sizes"])
        try:
            heads = self._heads({case: self._files(case).image for case in self.cases("train")}, skip=True)
        except DataError:
            return None
        return TrainingSizes.of([size for size, _ in heads.values()]) if heads else None

    @cached_property
    def _splits(self) -> Mapping[str, tuple[str, ...]]:
        """The task's split, else the folder's, else the data set's own."""
        asked = self.options.split
        if asked is None:
            splits = self._index.splits or self.default_split(tuple(self._index.cases))
        else:
            splits = {name: ids for name, ids in asked if ids}
            _warn(name_replaced(self._index.splits, splits))
        check_known(splits, tuple(self._index.cases))
        check_repeated(splits)
        if shared := held_out_in_training(splits):
            if set(splits["train"]) != set(shared):
                raise DataError(f"{len(shared)} cases are both trained on and held out: {', '.join(shared[:_SHOWN])}")
            log.warning("training cases are held out too, as the task asks: figures show fit, not generalisation")
        _warn(name_unused(splits, tuple(self._index.cases)))
        return splits

    def _read(
        self, cases: Sequence[str], progress: Progress, workers: int, seconds: float | None = None
    ) -> tuple[dict[str, _Content], dict[str, DataError]]:
        """Read the files of cases to their end, as many as there is time for, and tell what is odd.

        Returns:
            What is in the files of those that can be used, and what is wrong with the others.
        """
        content: dict[str, _Content] = {}
        findings: dict[str, Findings] = {}
        errors: dict[str, DataError] = {}
        start, pool = monotonic(), ThreadPoolExecutor(workers)  # hashing and decoding release the interpreter's lock
        try:
            for done, (case, read) in enumerate([(case, pool.submit(self._inspect, case)) for case in cases]):
                if seconds is not None and monotonic() - start > seconds:
                    break
                try:
                    content[case], findings[case] = read.result()
                except DataError as error:
                    errors[case] = error
                progress(done + 1, len(cases))
        finally:
            pool.shutdown(cancel_futures=True)
        disagreeing, self._palette = check_palettes(findings, self._palette)
        tell_findings(findings, self.options)
        tell_palette(self._palette, self.options.labels)
        if trained := self._trained_sizes:
            tell_training_sizes(trained, self.options)
        self._tell_differences({case: self._files(case).image for case in findings})
        errors |= disagreeing
        return content, {case: errors[case] for case in cases if case in errors}

    def _inspect(self, case: str) -> tuple[_Content, Findings]:
        """Read a case's files to their end and check that they fit together."""
        files = self._files(case)
        opened = ImageCase(files, self.options)
        findings = opened.inspect()
        return _Content.of(files, opened), findings

    def _content_of(self, case: str) -> _Content:
        files = self._files(case)
        return self._content.get(case) or _Content.of(files, ImageCase(files, self.options))

    def _tell_differences(self, images: Mapping[str, Path]) -> None:
        """Log in what images differ from those of training; those that cannot be read are named elsewhere."""
        heads = self._heads(images, skip=True)
        tell_sizes({case: size for case, (size, _) in heads.items()}, self.options, self._trained_sizes)
        known = self._remembered.get("bits")
        others = [f"{case} ({bits} bits)" for case, (_, bits) in heads.items() if known and max(bits, 8) not in known]
        if others and self.options.window is None:
            log.warning(
                "%d of %d images have other bit depths than those of training (%s bits): %s; each is scaled by the "
                "largest value of its own",
                len(others),
                len(heads),
                ", ".join(map(str, known or ())),
                listed(others),
            )

    def _heads(self, images: Mapping[str, Path], *, skip: bool = False) -> dict[str, tuple[Size2D, int]]:
        """Size and bits of images, without decoding them.

        Raises:
            DataError: one cannot be read, and is not to be skipped.
        """
        heads: dict[str, tuple[Size2D, int]] = {}
        for case, path in images.items():
            try:
                heads[case] = read_head(path)
            except OSError as error:
                if not skip:
                    raise DataError(f"case {case}: {path} cannot be read: {error}") from error
        return heads

    def _case(self, case: str, sizes: TrainingSizes | None) -> ImageCase:
        """A case whose files are as they were when they were checked, if they were."""
        files, checked = self._files(case), case in self._content
        if checked and _state(files) != self._content[case].state:
            raise DataError(f"case {case}: its files changed since they were checked", hint="start the run again")
        return ImageCase(files, self.options, sizes, checked=checked)

    def _files(self, case: str) -> ImageFiles:
        if case not in self._index.cases:
            raise DataError(f"there is no case {case} in {self.options.root}")
        return self._index.cases[case]


def _warn(lines: Sequence[str]) -> None:
    for line in lines:
        log.warning("%s", line)


def _paths(files: ImageFiles) -> tuple[Path, ...]:
    return (files.image, *files.masks)


def _state(files: ImageFiles) -> tuple[tuple[int, int], ...]:
    try:
        states = [path.stat() for path in _paths(files)]
    except OSError as error:
        raise DataError(f"case {files.id}: {error.filename} cannot be read: {error.strerror}") from error
    return tuple((state.st_size, state.st_mtime_ns) for state in states)
