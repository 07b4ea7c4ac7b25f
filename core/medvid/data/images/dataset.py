"""A data set of segmented images: what the plugins for such data share.

Images are read from their files each time, without a cache: decoding and shrinking one takes a loader process about
20 ms at GlaS's 775 x 522 and 50 ms at MoNuSeg's 1000 x 1000, less than the step that it feeds.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from torch.nn import functional
from torchvision import tv_tensors
from torchvision.transforms import v2

from medvid.data.batch import Batch
from medvid.data.dataset import Dataset, Progress
from medvid.data.images.case import Findings, ImageCase
from medvid.data.images.files import read_head
from medvid.data.images.findings import check_palettes, tell_findings, tell_palette, tell_sizes, tell_training_sizes
from medvid.data.images.index import ImageFiles, ImageIndex, find_images, find_pairs
from medvid.data.images.options import Colour, ImageDatasetOptions, Size2D
from medvid.data.images.scale import TrainingSizes
from medvid.data.problems import raise_together
from medvid.data.splits import Splits, check_copies, check_splits, choose_splits, hold_out
from medvid.data.transform import apply, drawing_from, initial_size
from medvid.digests import digest_of, digest_of_rows
from medvid.errors import DataError
from medvid.machine import usable_cores
from medvid.sentences import listed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Content:
    """The content of a case's files when they were checked.

    Args:
        image: hash of the image's file.
        mask: hashes of the masks' files.
        pixels: hash of the image's pixels.
        state: sizes and times of the files, by which changes are noticed.
    """

    image: str
    mask: str
    pixels: str
    state: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, files: ImageFiles, case: ImageCase) -> "_Content":
        hashes = [digest_of(path.read_bytes()) for path in _paths(files)]
        return cls(hashes[0], "".join(hashes[1:]), case.hash_pixels(), _state(files))


class ImageDataset(Dataset):
    """Segmented images in the folders of `medvid.data.images.index`.

    Args:
        options: the validated options.
    """

    options: ImageDatasetOptions

    def __init__(self, options: ImageDatasetOptions) -> None:
        super().__init__(options)
        self._content: dict[str, _Content] = {}
        self._palette: dict[int, Colour] = {}
        self._remembered: Mapping[str, Any] = {}

    def default_split(self, cases: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Split the cases if neither the task nor folders do: at random, but always in the same way.

        Raises:
            DataError: these cases cannot be split.
        """
        return hold_out(cases, self.options.validation_fraction, self.options.split_seed)

    def declared(self) -> Splits:
        return self._index.splits or {"train": tuple(self._index.cases)}

    def divide(self) -> Splits:
        """The task's split, else the folders', else `default_split`."""
        declared, cases = self._index.splits, tuple(self._index.cases)
        splits = choose_splits(self.options.split, declared, lambda: {} if declared else self.default_split(cases))
        check_splits(splits, self.options.split, cases, set(self.labelled()))
        return splits

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
        _warn(check_copies(self.division, {case: content.pixels for case, content in self._content.items()}))

    def describe(self, cases: Sequence[str]) -> dict[str, Any]:
        """Sizes of the images, bits of their pixels, and colours of the masks' palette indices."""
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
        contents = ((case, self._content_of(case)) for case in cases)
        return digest_of_rows((case, content.image, content.mask) for case, content in contents)

    def fingerprint(self, case: str) -> str:
        return self._content_of(case).pixels

    def labelled(self) -> tuple[str, ...]:
        return tuple(case.id for case in self._index.cases.values() if case.masks)

    @property
    def transforms_last(self) -> bool:
        """Unless crops follow."""
        crop = self.options.crop
        return crop is None or initial_size(self.transforms, crop) != crop

    def draw(self, case: str, seed: int) -> Batch:
        opened = self._case(case, None)
        generator = torch.Generator().manual_seed(seed)
        whole = Batch(opened.input()[None], torch.from_numpy(opened.prepared_truth())[None].long(), (case,))
        crop = self.options.crop
        larger = crop and initial_size(self.transforms, crop)
        if crop and larger and larger != crop:
            part = _random_crop(_padded(whole, crop, larger), larger, generator)
            return apply(self.transforms, replace(part, size=crop), generator)
        changed = apply(self.transforms, whole, generator)
        return _random_crop(changed, crop, generator) if crop else changed

    def open_case(self, case: str) -> ImageCase:
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
        """Sizes of the training images: as the run remembers them, else of the files; None without training images."""
        with suppress(KeyError):
            return TrainingSizes.from_json(self._remembered["sizes"])
        try:
            heads = self._heads({case: self._files(case).image for case in self.cases("train")}, skip=True)
        except DataError:
            return None
        return TrainingSizes.of([size for size, _ in heads.values()]) if heads else None

    def _read(
        self, cases: Sequence[str], progress: Progress, workers: int, seconds: float | None = None
    ) -> tuple[dict[str, _Content], dict[str, DataError]]:
        """Read the files of cases to their end, as many as time allows, and report what is odd.

        Returns:
            The findings of usable cases, and what is wrong with the others.
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
        """Log how images differ from the training images; unreadable ones are reported elsewhere."""
        heads = self._heads(images, skip=True)
        tell_sizes({case: size for case, (size, _) in heads.items()}, self.options, self._trained_sizes)
        known = self._remembered.get("bits")
        others = [f"{case} ({bits} bits)" for case, (_, bits) in heads.items() if known and max(bits, 8) not in known]
        if others and self.options.window is None:
            log.warning(
                "%d of %d images have other bit depths than the training images (%s bits): %s; each is scaled by the "
                "largest value of its own depth",
                len(others),
                len(heads),
                ", ".join(map(str, known or ())),
                listed(others),
            )

    def _heads(self, images: Mapping[str, Path], *, skip: bool = False) -> dict[str, tuple[Size2D, int]]:
        """Size and bits of images, without decoding them.

        Raises:
            DataError: one cannot be read and must not be skipped.
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
        """A case whose files are unchanged since they were checked, if they were."""
        files, checked = self._files(case), case in self._content
        if checked and _state(files) != self._content[case].state:
            raise DataError(f"case {case}: its files changed since they were checked", hint="start the run again")
        return ImageCase(files, self.options, sizes, checked=checked)

    def _files(self, case: str) -> ImageFiles:
        if case not in self._index.cases:
            raise DataError(f"there is no case {case} in {self.options.root}")
        return self._index.cases[case]


def _padded(batch: Batch, size: Size2D, larger: Sequence[int]) -> Batch:
    """Zeros around an image and its mask, so that a larger crop has any crop of `size` in its middle."""
    rims: list[int] = []
    for length, final in zip(larger, size, strict=True):
        before = length // 2 - final // 2
        rims = [before, length - final - before, *rims]  # functional.pad begins with the last axis
    return replace(batch, input=functional.pad(batch.input, rims), target=functional.pad(batch.target, rims))


def _random_crop(batch: Batch, size: Sequence[int], generator: torch.Generator) -> Batch:
    """The same random part of images (1, C, H, W) and masks; smaller ones are padded with zeros."""
    with drawing_from(generator):
        crop = v2.RandomCrop(size, pad_if_needed=True)
        image, mask = crop(tv_tensors.Image(batch.input), tv_tensors.Mask(batch.target))
    return replace(batch, input=image.as_subclass(torch.Tensor), target=mask.as_subclass(torch.Tensor))


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
