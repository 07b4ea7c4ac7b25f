"""A data set of segmented videos: what the plugins for such data share."""

import logging
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from medvid.data.batch import Batch
from medvid.data.dataset import Dataset, Progress
from medvid.data.groups import Groups, hold_out_groups
from medvid.data.problems import open_all
from medvid.data.splits import Splits, check_copies, check_splits, choose_splits
from medvid.data.transform import apply
from medvid.data.videos.check import check_video
from medvid.data.videos.decoders import open_video
from medvid.data.videos.files import HINT, fingerprint
from medvid.data.videos.index import find_videos, left_out_of
from medvid.data.videos.masked.case import MaskedVideoFile, pixels, resized
from medvid.data.videos.masked.options import MaskedVideoOptions
from medvid.data.videos.masked.video import NoMasks, SegmentedVideo
from medvid.data.videos.reader import VideoReadError
from medvid.data.videos.stored import size_of
from medvid.digests import digest_of_rows
from medvid.errors import DataError
from medvid.plugin.info import UNKNOWN
from medvid.seeding import derive_seed

log = logging.getLogger(__name__)


class MaskedVideoDataset(Dataset):
    """Videos of which some frames have a label map.

    Args:
        options: the validated options.
    """

    options: MaskedVideoOptions
    deep_check = "decodes all frames and reads all label maps, not only the first"
    check_here = 0.0

    @property
    @abstractmethod
    def videos(self) -> Mapping[str, SegmentedVideo]:
        """All videos that have label maps, by their names.

        Raises:
            DataError: the data set cannot be indexed.
        """

    @property
    @abstractmethod
    def declared_splits(self) -> Splits:
        """The splits that the data set itself names; empty if it is not divided. Raises as `videos`."""

    def declared(self) -> Splits:
        return self.declared_splits or {"train": tuple(self.videos)}

    def divide(self) -> Splits:
        """The task's split, else the data set's, else a share of the patients or videos is held out."""
        options, declared, names = self.options, self.declared_splits, tuple(self.videos)

        def complete() -> Splits:
            if "validation" in declared or (declared and "train" not in declared):
                return {}
            cases = declared.get("train", names)
            return hold_out_groups(cases, self.groups(), options.validation_fraction, options.split_seed)

        splits = choose_splits(options.split, declared, complete)
        check_splits(splits, options.split, names, set(names))
        return splits

    def groups(self) -> Groups:
        """The patients."""
        return {name: video.patient for name, video in self.videos.items() if video.patient}

    def labelled(self) -> Sequence[str]:
        return tuple(self.videos)

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        """Read the first frame and label map of each video, so that most of what is wrong is found before training."""
        open_all(self._look_at, cases, progress)
        for note in check_copies(self.splits, {case: self.fingerprint(case) for case in cases}):
            log.warning(note)

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]:
        video = self.video(case)
        try:
            notes = check_video(open_video(video.path, frame_files=self.options.frame_files), deep=deep)
        except VideoReadError as error:
            raise DataError(f"case {case}: {error.reason}") from None
        opened = self._look_at(case)
        for number in opened.annotated if deep else ():
            opened.frame_truth(number)
        return notes

    def digest(self, cases: Sequence[str]) -> str:
        """A hash of names, sizes of videos and label maps, since reading all videos would take hours."""
        videos = [self.video(case) for case in cases]
        return digest_of_rows((video.id, size_of(str(video.path)), video.masks.digest()) for video in videos)

    def fingerprint(self, case: str) -> str:
        """A hash of the size and a piece from the middle, since reading all of a large data set would take hours."""
        return fingerprint(case, self.video(case).path)

    @property
    def transforms_last(self) -> bool:
        """Unless crops follow."""
        return self.options.crop is None

    def draw(self, case: str, seed: int) -> Batch:
        """A clip with a label map, any of the video's, at any place in it."""
        generator = torch.Generator().manual_seed(derive_seed(seed, "clip"))
        opened, length = self.open_case(case), self.options.frames
        known = [*opened.annotated]
        chosen = known[_draw(0, len(known) - 1, generator)]
        last = max(opened.frame_count - length, 0)
        start = _draw(min(max(chosen - length + 1, 0), last), min(chosen, last), generator)
        clip = resized([*opened.pictures(range(start, start + length))], self.options.size).transpose(0, 1)
        target = torch.full((length, *self.options.size), UNKNOWN)
        for number in known:
            if start <= number < start + length:
                target[number - start] = torch.from_numpy(opened.prepared_frame_truth(number))
        drawn = Batch(clip[None].contiguous(), target[None], (case,), pixels(self.options))
        changed = apply(self.transforms, drawn, generator)
        return _cropped(changed, self.options.crop, generator) if self.options.crop else changed

    def open_case(self, case: str) -> MaskedVideoFile:
        return MaskedVideoFile(self.video(case), self.options, HINT)

    def annotation(self, case: str) -> np.ndarray:
        """The label maps of the annotated frames alone, (N, H, W)."""
        opened = self.open_case(case)
        return np.stack([opened.frame_truth(number) for number in opened.annotated])

    def open(self, paths: Sequence[Path]) -> Iterator[MaskedVideoFile]:
        for line in left_out_of(paths):
            log.warning(line)
        for name, clip in find_videos(paths).items():
            path = Path(clip.path)
            yield MaskedVideoFile(SegmentedVideo(_bare(name), path, NoMasks()), self.options)

    def video(self, case: str) -> SegmentedVideo:
        """The video of a case.

        Raises:
            DataError: there is none.
        """
        if case not in self.videos:
            raise DataError(f"there is no case {case} in {self.options.root}")
        return self.videos[case]

    def _look_at(self, case: str) -> MaskedVideoFile:
        opened = self.open_case(case)
        if not opened.annotated:
            raise DataError(f"case {case}: no frame of it is annotated in {self.video(case).masks.source}")
        opened.frame_truth(next(iter(opened.annotated)))
        return opened


def _cropped(batch: Batch, size: tuple[int, int], generator: torch.Generator) -> Batch:
    """The same random part of all frames and label maps of a batch."""
    top, left = (_draw(0, whole - part, generator) for whole, part in zip(batch.input.shape[-2:], size, strict=True))
    part = (..., slice(top, top + size[0]), slice(left, left + size[1]))
    return Batch(batch.input[part].contiguous(), batch.target[part].contiguous(), batch.cases, batch.pixels)


def _draw(low: int, high: int, generator: torch.Generator) -> int:
    return int(torch.randint(low, high + 1, (), generator=generator))


def _bare(name: str) -> str:
    """A name of a new video without the ending of its file, usable as a file name."""
    return str(Path(name).with_suffix("")).replace("/", "_")
