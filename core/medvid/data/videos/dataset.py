"""A data set of videos with an answer each: what the plugins for such data share.

Clips are decoded from their files each time, in the loader's processes; nothing is cached. `platform data reencode`
re-encodes a data set so that this is cheap.
"""

import logging
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import torch

from medvid.data.batch import Batch
from medvid.data.checked import CheckedFiles
from medvid.data.dataset import Dataset, Progress
from medvid.data.splits import Splits, cases_of_split, choose_splits
from medvid.data.targets import Answer, case_target
from medvid.data.videos.case import VideoCase, new_cases
from medvid.data.videos.clips import Clip
from medvid.data.videos.examples import draw_examples
from medvid.data.videos.files import DEEP_CHECK, HINT, all_files, check_file, fingerprint, verify
from medvid.data.videos.index import VideoIndex
from medvid.data.videos.options import VideoDatasetOptions
from medvid.data.videos.stored import size_of
from medvid.digests import digest_of_rows
from medvid.errors import DataError
from medvid.sentences import listed

log = logging.getLogger(__name__)

_CHUNK = 1000
_NOT_LOOKED_AT = -1
_THREADS = 16  # they wait for the disk or the network


class VideoDataset(Dataset):
    """Videos named by lists or folders, see `medvid.data.videos.options`.

    Each has a class; a subclass whose videos have labels or values says so in `answer`, and in its options.

    Args:
        options: the validated options.
    """

    options: VideoDatasetOptions
    deep_check = DEEP_CHECK
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
        index = self.read_index()
        for note in index.notes:
            log.warning(note)
        return index

    def read_index(self) -> VideoIndex:
        """Read `index`; default: as the options do."""
        return self.options.index()

    def answer(self, place: int) -> Answer | None:
        """What the clip with a number is annotated with; None if nothing. Default: its class or labels."""
        return self.index.answer(place)

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
        clip = self.clip(case)
        return check_file(case, clip.path, self.options, deep=deep, part=clip.part)

    def record(self, cases: Sequence[str], progress: Progress) -> None:
        """Record hashes of the files, see `medvid.data.checked`."""
        files = all_files(self.clip(case).path for case in cases)
        CheckedFiles(self.options.cache, self.options.root).note(files, progress)

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
        verify(clips.path, places, self.options, progress)

    def _divide(self) -> Splits:
        """Divide the clips to train on, or all of them, where lists or folders name none for validation."""
        declared = self.index.splits
        if "validation" in declared or (declared and "train" not in declared):
            return {}
        return self.default_split(declared.get("train", self.index.clips.ids.at()))

    def digest(self, cases: Sequence[str]) -> str:
        """A hash of names, sizes and answers, since reading the content of a large data set would take hours."""
        clips, places = self.index.clips, self._places(cases)
        self._measure([place for place in places if self._sizes[place] == _NOT_LOOKED_AT], _ignore)
        return digest_of_rows(
            (clips.ids[place], self._sizes[place], self.answer(place), *(clips.part(place) or ())) for place in places
        )

    def fingerprint(self, case: str) -> str:
        """A hash of the size and a piece from the middle, see `medvid.data.videos.files.fingerprint`."""
        clip = self.clip(case)
        return fingerprint(case, clip.path, clip.part)

    def labelled(self) -> Sequence[str]:
        """Ids of the clips that have an answer; without missing files, if these are to be left out."""
        clips = self.index.clips
        places = array("i", (one for one in clips.places(super().labelled()) if self.answer(one) is not None))
        if self.options.missing == "drop":
            self._measure([place for place in places if self._sizes[place] == _NOT_LOOKED_AT], _ignore)
            places = array("i", (place for place in places if self._sizes[place]))
        return clips.ids.at(places)

    @property
    def transforms_last(self) -> bool:
        """Yes."""
        return True

    def draw(self, case: str, seed: int) -> Batch:
        if (target := self._target(case)) is None:
            raise DataError(f"case {case} has no label, it cannot be trained on")
        clip, changes = self.clip(case), self.transforms
        return draw_examples(case, clip.path, lambda _: target, self.options, changes, seed, HINT, clip.part)

    def open_case(self, case: str) -> VideoCase:
        clip = self.clip(case)
        return VideoCase(case, clip.path, self.options, self._target(case), hint=HINT, part=clip.part)

    def open(self, paths: Sequence[Path]) -> Iterator[VideoCase]:
        return new_cases(paths, self.options)

    def clip(self, case: str) -> Clip:
        """File and label of a case.

        Raises:
            DataError: the case does not exist.
        """
        [place] = self._places([case])
        return self.index.clips.at(place)

    def _target(self, case: str) -> torch.Tensor | None:
        """The answer of a case as a target."""
        [place] = self._places([case])
        answer = self.answer(place)
        return None if answer is None else case_target(answer, self.target_info, case)

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
        """Size of each clip, by its number, see `size_of`; 0 for missing ones."""
        return array("q", [_NOT_LOOKED_AT]) * len(self.index.clips)

    def _measure(self, places: Sequence[int], progress: Progress) -> None:
        """Get the sizes of the clips' files."""

        def look(chunk: Sequence[int]) -> int:
            for place in chunk:
                self._sizes[place] = size_of(self.index.clips.path(place))
            return len(chunk)

        done = 0
        with ThreadPoolExecutor(_THREADS) as pool:
            for count in pool.map(look, (places[start : start + _CHUNK] for start in range(0, len(places), _CHUNK))):
                done += count
                progress(done, len(places))


def _ignore(done: int, total: int) -> None: ...
