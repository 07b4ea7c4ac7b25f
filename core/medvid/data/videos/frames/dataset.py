"""A data set of videos that are annotated frame by frame: what the plugins for such data share."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from medvid.data.batch import Batch
from medvid.data.dataset import Dataset, Progress
from medvid.data.framed import draw_window
from medvid.data.groups import Groups
from medvid.data.problems import open_all, say_together
from medvid.data.splits import Splits, check_copies, check_splits, choose_splits
from medvid.data.targets import frame_target
from medvid.data.transform import apply
from medvid.data.videos.files import DEEP_CHECK, HINT, check_file, fingerprint, new_videos, verify
from medvid.data.videos.frames.case import DrawnVideo, FramedVideo
from medvid.data.videos.frames.index import AnnotatedVideo, FramedIndex, hold_out_patients
from medvid.data.videos.frames.matching import match
from medvid.data.videos.frames.options import FramedVideoOptions
from medvid.data.videos.transforms import pixels
from medvid.digests import digest_of_files, digest_of_rows
from medvid.errors import DataError

log = logging.getLogger(__name__)


class FramedVideoDataset(Dataset):
    """Videos with annotated frames, see `medvid.data.videos.frames.options`.

    Args:
        options: the validated options.
    """

    options: FramedVideoOptions
    deep_check = DEEP_CHECK
    check_here = 0.0

    def __init__(self, options: FramedVideoOptions) -> None:
        super().__init__(options)
        self._targets: dict[str, Tensor] = {}

    @cached_property
    def index(self) -> FramedIndex:
        """The videos, with their annotations."""
        index = self.options.index()
        for note in index.notes:
            log.warning(note)
        return index

    def declared(self) -> Splits:
        return self.index.splits or {"train": self.index.labelled}

    def divide(self) -> Splits:
        """As the task or the data set says, else a share of the patients is held out."""
        options, index = self.options, self.index
        declared = index.splits

        def complete() -> Splits:
            if "validation" in declared or (declared and "train" not in declared):
                return {}
            left = declared.get("train", index.labelled)
            return hold_out_patients(left, index.patients, options.validation_fraction, options.split_seed)

        splits = choose_splits(options.split, declared, complete)
        check_splits(splits, options.split, tuple(index.videos), set(index.labelled))
        return splits

    def groups(self) -> Groups:
        """The patients."""
        return self.index.patients

    def labelled(self) -> tuple[str, ...]:
        return self.index.labelled

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        """Find out when frames are shown, and whether annotations fit them; only of a few videos frames are decoded."""
        notes: dict[str, Sequence[str]] = {}

        def look(case: str) -> None:
            notes[case] = self._match(case)

        open_all(look, cases, progress)
        for note in (
            *say_together(notes),
            *check_copies(self.splits, {case: self.fingerprint(case) for case in cases}),
        ):
            log.warning(note)
        paths = [str(self.video(case).path) for case in cases]
        verify(paths.__getitem__, range(len(paths)), self.options, progress)

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]:
        """Decode a video at its beginning and end, or in full, and read its annotation."""
        return [*check_file(case, self.video(case).path, self.options, deep=deep), *self._match(case)]

    def digest(self, cases: Sequence[str]) -> str:
        """A hash of names, fingerprints and annotations, since reading all videos would take hours."""
        videos = [self.video(case) for case in cases]
        return digest_of_rows(
            (one.id, self.fingerprint(one.id), digest_of_files([one.annotation] if one.annotation else []))
            for one in videos
        )

    def fingerprint(self, case: str) -> str:
        return fingerprint(case, self.video(case).path)

    @property
    def transforms_last(self) -> bool:
        """Yes."""
        return True

    def draw(self, case: str, seed: int) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        video = DrawnVideo(case, self.video(case).path, self.options, HINT, generator)
        video.target = self.target(case, video)
        drawn = draw_window(video, self.input_info, self.target_info, generator)
        return apply(self.transforms, replace(drawn, pixels=pixels(self.options)), generator)

    def open_case(self, case: str) -> FramedVideo:
        opened = self._opened(case)
        opened.target = self.target(case, opened)
        return opened

    def open(self, paths: Sequence[Path]) -> Iterator[FramedVideo]:
        for name, path in new_videos(paths, self.options).items():
            yield FramedVideo(name, path, self.options)

    def video(self, case: str) -> AnnotatedVideo:
        """What the index says of a case.

        Raises:
            DataError: there is no such case.
        """
        if case not in self.index.videos:
            raise DataError(f"there is no video {case} in {self.options.root}")
        return self.index.videos[case]

    def target(self, case: str, opened: FramedVideo) -> Tensor | None:
        """What the frames of a case are annotated with; None where it has no annotation."""
        if self.video(case).annotation and case not in self._targets:
            self._match(case, opened)
        return self._targets.get(case)

    def _opened(self, case: str) -> FramedVideo:
        return FramedVideo(case, self.video(case).path, self.options, self.index.patients.get(case, ""), HINT)

    def _match(self, case: str, opened: FramedVideo | None = None) -> Sequence[str]:
        """Find the target of a case, and say what is odd about it."""
        video = self.video(case)
        if not video.annotation:
            return ()
        opened = opened or self._opened(case)
        try:
            annotation = self.options.annotation(video)
            found, notes = match(annotation, opened.seen, opened.times, self.options, self.target_info)
        except DataError as error:
            raise DataError(f"case {case}: {error}", hint=error.hint) from None
        self._targets[case] = frame_target(found, self.target_info, case)
        return notes
