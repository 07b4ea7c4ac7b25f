"""A data set of labelled videos: what the plugins for such data share.

Clips are decoded from their files each time, in the loader's processes; nothing is cached. `platform data reencode`
re-encodes a data set so that this is cheap.
"""

import logging
import os
import stat
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import torch

from medvid.data.batch import Batch, concatenate
from medvid.data.checked import CheckedFiles
from medvid.data.dataset import Dataset, Progress
from medvid.data.splits import Splits, cases_of_split, choose_splits
from medvid.data.transform import apply
from medvid.data.videos.case import VideoCase
from medvid.data.videos.check import check_video
from medvid.data.videos.clips import Clip
from medvid.data.videos.decoders import describe_decoder, open_video
from medvid.data.videos.index import VideoIndex, find_videos, left_out_of
from medvid.data.videos.options import VideoDatasetOptions
from medvid.data.videos.reader import VideoReadError
from medvid.data.videos.sampling import SHORT_HINT, random_times
from medvid.data.videos.transforms import pixels, random_crop, to_clip
from medvid.digests import digest_of, digest_of_rows
from medvid.errors import DataError
from medvid.seeding import derive_seed
from medvid.sentences import listed

log = logging.getLogger(__name__)

_HINT = "platform data check TASK.yaml lists all such files"
_CHUNK = 1000
_NOT_LOOKED_AT = -1
_LOOKED_AT = 8
_PIECE = 1 << 14
_THREADS = 16  # they wait for the disk or the network


class VideoDataset(Dataset):
    """Videos named by lists or folders, see `medvid.data.videos.options`.

    Args:
        options: the validated options.
    """

    options: VideoDatasetOptions
    deep_check = "decodes all frames, not only the first and last, and compares some with a read after a seek"
    check_here = 0.0

    def __init__(self, options: VideoDatasetOptions) -> None:
        super().__init__(options)
        self._present: dict[str, Sequence[str]] = {}

    def default_split(self, cases: Sequence[str]) -> Splits:
        """Divide clips where lists or folders name none for validation; here: all are trained on."""
        return {"train": cases}

    @cached_property
    def index(self) -> VideoIndex:
        """The clips that lists or folders name, whether or not their files exist."""
        index = self.options.index()
        for note in index.notes:
            log.warning(note)
        return index

    def declared(self) -> Splits:
        return self.index.splits or {"train": self.index.clips.ids.at()}

    def divide(self) -> Splits:
        """As lists or folders say, else `default_split`."""
        return choose_splits(None, self.index.splits, self._divide)

    def cases(self, split: str) -> Sequence[str]:
        """Ids of the existing clips of a split, see `Dataset.cases` and the option `missing`."""
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
        """Record hashes of the files, see `medvid.data.checked`."""
        self._checked().note([self.clip(case).path for case in cases], progress)

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        """Make sure that the files exist, are not empty, and are unchanged since they were checked.

        Only a few are decoded, to say how the data set is read; see `platform data check`.
        """
        clips, places = self.index.clips, self._places(cases)
        self._measure(places, progress)
        if absent := [clips.ids[place] for place in places if not self._sizes[place]]:
            raise DataError(
                f"{len(absent)} clips are missing, empty or not files: {listed(absent)}", hint="start the run again"
            )
        checked = self._checked()
        if checked.any or self.options.verify_content:
            paths = [clips.path(place) for place in places]
            checked.verify(paths, content=self.options.verify_content, progress=progress)
        looked_at = places[:: max(1, len(places) // _LOOKED_AT)][:_LOOKED_AT]
        self._say_how_read([clips.path(place) for place in looked_at])

    def _divide(self) -> Splits:
        """Divide the clips to train on, or all of them, where lists or folders name none for validation."""
        declared = self.index.splits
        if "validation" in declared or (declared and "train" not in declared):
            return {}
        return self.default_split(declared.get("train", self.index.clips.ids.at()))

    def _checked(self) -> CheckedFiles:
        return CheckedFiles(self.options.cache, self.options.root)

    def _say_how_read(self, looked_at: Sequence[str]) -> None:
        """Look at a few files, spread over the data set: what is odd about them usually holds for the others."""
        notes: dict[str, list[str]] = {}
        for path in looked_at:
            with suppress(VideoReadError):  # training replaces it and says so
                for note in check_video(path, deep=False):
                    notes.setdefault(note, []).append(Path(path).name)
        log.info("videos are read by %s", describe_decoder(self.options.reader))
        for note, names in notes.items():
            log.warning("of %d videos sampled, each of %d %s: %s", len(looked_at), len(names), note, listed(names))

    def digest(self, cases: Sequence[str]) -> str:
        """A hash of names, sizes and labels, since reading the content of a large data set would take hours."""
        clips, places = self.index.clips, self._places(cases)
        self._measure([place for place in places if self._sizes[place] == _NOT_LOOKED_AT], _ignore)
        return digest_of_rows((clips.ids[place], self._sizes[place], clips.label(place)) for place in places)

    def fingerprint(self, case: str) -> str:
        """A hash of the size and a piece from the middle, since reading all of a large data set would take hours."""
        path = self.clip(case).path
        try:
            size = os.stat(path).st_size  # noqa: PTH116 (a hundred thousand times)
            with open(path, "rb") as file:  # noqa: PTH123 (likewise)
                file.seek(max(0, size // 2 - _PIECE // 2))
                piece = file.read(_PIECE)
        except OSError as error:
            raise DataError(f"case {case}: {path} cannot be read: {error.strerror}") from error
        return digest_of(f"{size}\0".encode() + piece)

    def labelled(self) -> Sequence[str]:
        """Ids of the clips that have a label; without missing files, if these are to be left out."""
        clips = self.index.clips
        places = array("i", (one for one in clips.places(super().labelled()) if clips.label(one) is not None))
        if self.options.missing == "drop":
            self._measure([place for place in places if self._sizes[place] == _NOT_LOOKED_AT], _ignore)
            places = array("i", (place for place in places if self._sizes[place]))
        return clips.ids.at(places)

    @property
    def transforms_last(self) -> bool:
        """Yes."""
        return True

    def draw(self, case: str, seed: int) -> Batch:
        clip, options = self.clip(case), self.options
        if clip.label is None:
            raise DataError(f"case {case} has no label, it cannot be trained on")
        draw = torch.Generator().manual_seed(derive_seed(seed, "time"))
        with open_video(clip.path, _HINT, options.reader) as video:
            low, high = options.rate_jitter or (1.0, 1.0)
            speed = low * (high / low) ** _uniform(draw)
            try:
                times = random_times(options.train_sampling(), video.length, lambda: _uniform(draw), speed)
            except ValueError as error:
                raise VideoReadError(clip.path, str(error), hint=SHORT_HINT) from None
            frames = to_clip(video.frames_at(times))
        label = torch.tensor([clip.label])
        examples = []
        for number in range(options.repeats):
            generator = torch.Generator().manual_seed(derive_seed(seed, "example", number))
            example = random_crop(frames, options, generator).transpose(0, 1).contiguous()
            batch = Batch(example[None], label, (case,), pixels(options))
            examples.append(apply(self.transforms, batch, generator))
        return concatenate(examples)

    def open_case(self, case: str) -> VideoCase:
        return VideoCase(case, self.clip(case), self.options, _HINT)

    def open(self, paths: Sequence[Path]) -> Iterator[VideoCase]:
        for line in left_out_of(paths):
            log.warning(line)
        for name, clip in find_videos(paths).items():
            yield VideoCase(name, clip, self.options)

    def clip(self, case: str) -> Clip:
        """File and label of a case.

        Raises:
            DataError: the case does not exist.
        """
        [place] = self._places([case])
        return Clip(self.index.clips.path(place), self.index.clips.label(place))

    def _places(self, cases: Sequence[str]) -> Sequence[int]:
        """The numbers of clips; raises as `clip`."""
        try:
            return self.index.clips.places(cases)
        except KeyError as error:
            raise DataError(f"there is no case {error.args[0]} in {self.options.root}") from None

    def _find_present(self, split: str) -> Sequence[str]:
        """The existing clips of a split; missing ones are an error or a warning."""
        cases = cases_of_split(self.splits, split, self.options.root)
        clips, places = self.index.clips, self._places(cases)
        self._measure(places, _ignore)
        absent = [clips.ids[place] for place in places if not self._sizes[place]]
        if not absent:
            return cases
        problem = (
            f"{len(absent)} of {len(cases)} clips of {split} in {self.options.root} are missing, empty or not files: "
            f"{listed(absent)}"
        )
        if self.options.missing == "error" or len(absent) == len(cases):
            raise DataError(
                problem,
                hint="complete the copy; or leave them out, with figures for a part of the data set: "
                "--set dataset.missing=drop",
            )
        log.warning("left out: %s", problem)
        return clips.ids.at(array("i", (place for place in places if self._sizes[place])))

    @cached_property
    def _sizes(self) -> "array[int]":
        """Bytes of the file of each clip, by its number; 0 for missing ones."""
        return array("q", [_NOT_LOOKED_AT]) * len(self.index.clips)

    def _measure(self, places: Sequence[int], progress: Progress) -> None:
        """Get the sizes of the clips' files."""

        def look(chunk: Sequence[int]) -> int:
            for place in chunk:
                self._sizes[place] = _size(self.index.clips.path(place))
            return len(chunk)

        done = 0
        with ThreadPoolExecutor(_THREADS) as pool:
            for count in pool.map(look, (places[start : start + _CHUNK] for start in range(0, len(places), _CHUNK))):
                done += count
                progress(done, len(places))


def _size(path: str) -> int:
    try:
        state = os.stat(path)  # noqa: PTH116 (a hundred thousand times)
    except OSError:
        return 0
    return state.st_size if stat.S_ISREG(state.st_mode) else 0


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator, dtype=torch.float64))


def _ignore(done: int, total: int) -> None: ...
