"""A data set of labelled videos: what the plugins for such data share.

Clips are decoded from their files each time, in the loader's processes; nothing is cached. `platform data prepare`
re-encodes a data set so that this is cheap.
"""

import hashlib
import logging
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from itertools import chain
from pathlib import Path

import torch

from medvid.config.videos import VideoDatasetOptions
from medvid.data.checked import CheckedFiles
from medvid.data.dataset import Dataset, Progress
from medvid.data.sample import Batch
from medvid.data.video_case import VideoCase
from medvid.data.video_check import check_video
from medvid.data.video_index import Clip, VideoIndex, find_videos, left_out_of
from medvid.data.video_reader import VideoReadError, describe, open_video
from medvid.data.video_sampling import SHORT_HINT, random_times
from medvid.data.video_transforms import to_clip, train_clip
from medvid.errors import DataError
from medvid.seeding import derive_seed

log = logging.getLogger(__name__)

_HINT = "platform data check TASK.yaml lists all such files"
_SHOWN = 10
_CHUNK = 1000
_LOOKED_AT = 8
_PIECE = 1 << 14
_THREADS = 16  # asking for sizes waits for the disk or the network


class VideoDataset(Dataset):
    """Videos that lists or folders name, see `medvid.config.videos`.

    Args:
        options: the validated options.
    """

    options: VideoDatasetOptions
    deep_check = "decodes all frames, not only the first and last, and compares them with what a seek gives"
    check_here = 0.0

    def __init__(self, options: VideoDatasetOptions) -> None:
        super().__init__(options)
        self._sizes: dict[str, int] = {}
        self._present: dict[str, tuple[str, ...]] = {}

    def split(self, index: VideoIndex) -> Mapping[str, tuple[str, ...]]:
        """Ids of the clips of each split; as lists or folders say, else all are trained on."""
        return index.splits or {"train": tuple(index.clips)}

    @cached_property
    def index(self) -> VideoIndex:
        """What the lists or folders name, whether it is there or not."""
        index = self.options.index()
        for note in index.notes:
            log.warning(note)
        return index

    @cached_property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        """Ids of the clips of each split, whether they are there or not."""
        return self.split(self.index)

    def cases(self, split: str) -> tuple[str, ...]:
        """Ids of the clips of a split that are there, see `Dataset.cases` and the option `missing`."""
        if split not in self.splits:
            raise DataError(
                f"the data set in {self.options.root} has no split {split!r}; it has {', '.join(self.splits)}"
            )
        if split not in self._present:
            self._present[split] = self._find_present(split)
        return self._present[split]

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]:
        """Decode a clip at its beginning and end, or in full."""
        try:
            return check_video(self.clip(case).path, deep=deep)
        except VideoReadError as error:
            raise DataError(f"case {case}: {error.reason}") from None

    def record(self, cases: Sequence[str], progress: Progress) -> None:
        """Note hashes of the files, see `medvid.data.checked`."""
        self._checked().note([self.clip(case).path for case in cases], progress)

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        """Make sure that the files are there, not empty, and what they were when they were checked.

        Nothing but a few is decoded, to say how the data set is read; see `platform data check`.
        """
        self._measure(cases, progress)
        if absent := [case for case in cases if not self._sizes[case]]:
            raise DataError(
                f"{len(absent)} clips are missing, empty or not files: {_listed(absent)}", hint="start the run again"
            )
        paths = [self.clip(case).path for case in cases]
        self._checked().verify(paths, content=self.options.verify_content, progress=progress)
        self._say_how_read(paths)

    def _checked(self) -> CheckedFiles:
        return CheckedFiles(self.options.cache, self.options.root)

    def _say_how_read(self, paths: Sequence[str]) -> None:
        """Look at a few files, spread over the data set: what is odd about them holds for most of the others."""
        looked_at = paths[:: max(1, len(paths) // _LOOKED_AT)][:_LOOKED_AT]
        notes: dict[str, list[str]] = {}
        for path in looked_at:
            with suppress(VideoReadError):  # training replaces it and says so
                for note in check_video(path, deep=False):
                    notes.setdefault(note, []).append(Path(path).name)
        log.info("videos are read by %s", describe(self.options.reader))
        for note, names in notes.items():
            log.warning("of %d videos looked at, each of %d %s: %s", len(looked_at), len(names), note, _listed(names))

    def digest(self, cases: Sequence[str]) -> str:
        """A hash of names, sizes and labels: reading the content of a large data set would take hours."""
        self._measure([case for case in cases if case not in self._sizes], _ignore)
        digest = hashlib.blake2b(digest_size=16)
        for case in cases:
            digest.update(f"{case}\0{self._sizes[case]}\0{self.clip(case).label}\n".encode())
        return digest.hexdigest()

    def fingerprint(self, case: str) -> str:
        """A hash of the size and of a piece from the middle: reading all of a large data set would take hours."""
        path = self.clip(case).path
        try:
            size = os.stat(path).st_size  # noqa: PTH116 (a hundred thousand times)
            with open(path, "rb") as file:  # noqa: PTH123 (likewise)
                file.seek(max(0, size // 2 - _PIECE // 2))
                piece = file.read(_PIECE)
        except OSError as error:
            raise DataError(f"case {case}: {path} cannot be read: {error.strerror}") from error
        return hashlib.blake2b(f"{size}\0".encode() + piece, digest_size=16).hexdigest()

    def labelled(self) -> tuple[str, ...]:
        """Ids of the clips that have a label; without those that are missing where these are to be left out."""
        drop = self.options.missing == "drop"
        listed = (self.cases(split) if drop else self.splits[split] for split in self.splits)
        return tuple(case for case in dict.fromkeys(chain.from_iterable(listed)) if self.clip(case).label is not None)

    def sample(self, case: str, seed: int) -> Batch:
        clip, augment = self.clip(case), self.options.augment
        if clip.label is None:
            raise DataError(f"case {case} has no label, it cannot be trained on")
        draw = torch.Generator().manual_seed(derive_seed(seed, "time"))
        with open_video(clip.path, _HINT, self.options.reader) as video:
            low, high = augment.rate_jitter or (1.0, 1.0)
            speed = low * (high / low) ** _uniform(draw)
            try:
                times = random_times(self.options.train_sampling(), video.length, lambda: _uniform(draw), speed)
            except ValueError as error:
                raise VideoReadError(clip.path, str(error), hint=SHORT_HINT) from None
            frames = to_clip(video.frames_at(times))
        seeds = (derive_seed(seed, "example", number) for number in range(augment.repeats))
        examples = torch.stack([train_clip(frames, self.options, seed) for seed in seeds])
        return Batch(examples, torch.full((augment.repeats,), clip.label), (case,) * augment.repeats)

    def case(self, case: str) -> VideoCase:
        return VideoCase(case, self.clip(case), self.options, _HINT)

    def open(self, paths: Sequence[Path]) -> Iterator[VideoCase]:
        for line in left_out_of(paths):
            log.warning(line)
        for name, clip in find_videos(paths).items():
            yield VideoCase(name, clip, self.options)

    def clip(self, case: str) -> Clip:
        """File and label of a case.

        Raises:
            DataError: there is no such case.
        """
        if case not in self.index.clips:
            raise DataError(f"there is no case {case} in {self.options.root}")
        return self.index.clips[case]

    def _find_present(self, split: str) -> tuple[str, ...]:
        """The clips of a split that are there; that others are not is an error or a warning."""
        listed = self.splits[split]
        self._measure(listed, _ignore)
        absent = [case for case in listed if not self._sizes[case]]
        if not absent:
            return listed
        problem = (
            f"{len(absent)} of {len(listed)} clips of {split} in {self.options.root} are missing, empty or not files: "
            f"{_listed(absent)}"
        )
        if self.options.missing == "error" or len(absent) == len(listed):
            raise DataError(
                problem,
                hint="complete the copy; or leave them out, for figures of a part of the data set: "
                "--set dataset.missing=drop",
            )
        log.warning("left out: %s", problem)
        return tuple(case for case in listed if self._sizes[case])

    def _measure(self, cases: Sequence[str], progress: Progress) -> None:
        """Ask for the sizes of the clips' files; 0 where there is none."""
        chunks = [cases[start : start + _CHUNK] for start in range(0, len(cases), _CHUNK)]
        paths = ([self.clip(case).path for case in chunk] for chunk in chunks)
        done = 0
        with ThreadPoolExecutor(_THREADS) as pool:
            for chunk, sizes in zip(chunks, pool.map(_sizes_of, paths), strict=True):
                self._sizes.update(zip(chunk, sizes, strict=True))
                done += len(chunk)
                progress(done, len(cases))


def _sizes_of(paths: Sequence[str]) -> list[int]:
    return [_size(path) for path in paths]


def _size(path: str) -> int:
    try:
        state = os.stat(path)  # noqa: PTH116 (a hundred thousand times)
    except OSError:
        return 0
    return state.st_size if stat.S_ISREG(state.st_mode) else 0


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator, dtype=torch.float64))


def _listed(cases: Sequence[str]) -> str:
    more = f" and {len(cases) - _SHOWN} more" if len(cases) > _SHOWN else ""
    return ", ".join(cases[:_SHOWN]) + more


def _ignore(done: int, total: int) -> None: ...
