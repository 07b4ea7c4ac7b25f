"""Videos with a class, labels or numbers each, named by a table; clips are read from their files each time."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from medvid.data.batch import Batch
from medvid.data.checked import CheckedFiles
from medvid.data.dataset import Progress
from medvid.data.listing import files_below
from medvid.data.splits import check_copies
from medvid.data.tables.dataset import AnsweredDataset
from medvid.data.tables.index import AnsweredCase
from medvid.data.targets import case_target
from medvid.data.videos.answered_options import AnsweredVideoOptions
from medvid.data.videos.case import VideoCase, new_cases
from medvid.data.videos.examples import draw_examples
from medvid.data.videos.files import DEEP_CHECK, HINT, all_files, check_file, fingerprint, verify
from medvid.data.videos.frame_files import is_frame_folder
from medvid.data.videos.index import SUFFIXES, is_video
from medvid.digests import digest_of_files
from medvid.errors import DataError
from medvid.sentences import listed

log = logging.getLogger(__name__)


class AnsweredVideos(AnsweredDataset):
    """Videos with answers of their own, see `medvid.data.videos.answered_options`."""

    options: AnsweredVideoOptions
    deep_check = DEEP_CHECK
    check_here = 0.0

    @property
    def transforms_last(self) -> bool:
        """Yes."""
        return True

    def is_case(self, path: Path) -> bool:
        return is_frame_folder(path, SUFFIXES) if path.is_dir() else is_video(path)

    def prepare(self, cases: Sequence[str], progress: Progress) -> None:
        """Make sure that files are not empty, not copies of each other on both sides, and unchanged since checked.

        Only a few are decoded, to say how the data set is read; see `platform data check`.
        """
        paths = [self.answered(case).path for case in cases]
        if empty := [case for case, path in zip(cases, paths, strict=True) if not path.stat().st_size]:
            raise DataError(f"{len(empty)} videos are empty: {listed(empty)}", hint="restore them")
        verify(lambda place: str(paths[place]), range(len(paths)), self.options, progress)
        marks = Counter(map(self.fingerprint, cases))
        alike = [place for place, case in enumerate(cases) if marks[self.fingerprint(case)] > 1]
        for note in check_copies(
            self.splits, {cases[place]: digest_of_files(files_below(paths[place])) for place in alike}
        ):
            log.warning(note)

    def check_case(self, case: str, *, deep: bool) -> Sequence[str]:
        """Decode a video at its beginning and end, or in full."""
        return check_file(case, self.answered(case).path, self.options, deep=deep)

    def record(self, cases: Sequence[str], progress: Progress) -> None:
        """Record hashes of the files, see `medvid.data.checked`."""
        files = all_files(str(self.answered(case).path) for case in cases)
        CheckedFiles(self.options.cache, self.options.root).note(files, progress)

    def fingerprint(self, case: str) -> str:
        """A hash of the size and a piece from the middle, see `medvid.data.videos.files.fingerprint`."""
        if case not in self._hashes:
            self._hashes[case] = fingerprint(case, self.answered(case).path)
        return self._hashes[case]

    def draw(self, case: str, seed: int) -> Batch:
        answered = self.answered(case)
        target = partial(self.target_at, answered)
        return draw_examples(case, answered.path, target, self.options, self.transforms, seed, HINT)

    def target_at(self, answered: AnsweredCase, times: Sequence[float]) -> Tensor:  # noqa: ARG002 (for subclasses)
        """The target of a training clip; default: that of its video.

        Args:
            answered: what the index says of the video.
            times: of the clip's frames, in seconds from the first frame.
        """
        return case_target(answered.answer, self.target_info, answered.id)

    def open_file(self, name: str, path: Path, answered: AnsweredCase | None) -> VideoCase:
        patient = answered.patient if answered else ""
        return VideoCase(name, path, self.options, self.target_of(answered), patient, HINT if answered else "")

    def open(self, paths: Sequence[Path]) -> Iterator[VideoCase]:
        return new_cases(paths, self.options)
