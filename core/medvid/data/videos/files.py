"""What data sets of videos do with their files before any clip is drawn, without decoding all of them."""

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from medvid.data.checked import CheckedFiles, Progress
from medvid.data.videos.check import check_video
from medvid.data.videos.clip_options import PictureOptions
from medvid.data.videos.decoders import describe_decoder
from medvid.data.videos.reader import VideoReadError
from medvid.digests import digest_of
from medvid.errors import DataError
from medvid.sentences import listed

log = logging.getLogger(__name__)

HINT = "platform data check TASK.yaml lists all such files"
DEEP_CHECK = "decodes all frames, not only the first and last, and compares some with a read after a seek"
_LOOKED_AT = 8
_PIECE = 1 << 14


def verify(path: Callable[[int], str], places: Sequence[int], options: PictureOptions, progress: Progress) -> None:
    """Make sure that files are as they were when they were checked, and say how they are read.

    Args:
        path: the file of the video with a number.
        places: numbers of the videos.
        options: how they are read.
        progress: called with the number of files hashed and the total.

    Raises:
        DataError: naming those that changed.
    """
    checked = CheckedFiles(options.cache, options.root)
    if checked.any or options.verify_content:
        checked.verify([path(place) for place in places], content=options.verify_content, progress=progress)
    _say_how_read([path(place) for place in places[:: max(1, len(places) // _LOOKED_AT)][:_LOOKED_AT]], options)


def check_file(case: str, path: Path | str, *, deep: bool) -> Sequence[str]:
    """Decode a video at its beginning and end, or in full; what is odd about it.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return check_video(str(path), deep=deep)
    except VideoReadError as error:
        raise DataError(f"case {case}: {error.reason}") from None


def fingerprint(case: str, path: Path | str) -> str:
    """A hash of the size and a piece from the middle, since reading all of a large data set would take hours.

    Raises:
        DataError: it cannot be read.
    """
    try:
        size = os.stat(path).st_size  # noqa: PTH116 (a hundred thousand times)
        with open(path, "rb") as file:  # noqa: PTH123 (likewise)
            file.seek(max(0, size // 2 - _PIECE // 2))
            piece = file.read(_PIECE)
    except OSError as error:
        raise DataError(f"case {case}: {path} cannot be read: {error.strerror}") from error
    return digest_of(f"{size}\0".encode() + piece)


def _say_how_read(looked_at: Sequence[str], options: PictureOptions) -> None:
    """Look at a few files, spread over the data set: what is odd about them usually holds for the others."""
    notes: dict[str, list[str]] = {}
    for path in looked_at:
        with suppress(VideoReadError):  # training replaces it and says so
            for note in check_video(path, deep=False):
                notes.setdefault(note, []).append(Path(path).name)
    log.info("videos are read by %s", describe_decoder(options.reader))
    for note, names in notes.items():
        log.warning("of %d videos sampled, each of %d %s: %s", len(looked_at), len(names), note, listed(names))
