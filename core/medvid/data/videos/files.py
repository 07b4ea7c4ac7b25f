"""What data sets of videos do with their files before any clip is read, without decoding all of them."""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from medvid.data.checked import CheckedFiles, Progress
from medvid.data.listing import files_below
from medvid.data.videos.check import check_video
from medvid.data.videos.clip_options import PictureOptions
from medvid.data.videos.decoders import describe_decoder, open_clip
from medvid.data.videos.frame_files import rate_of
from medvid.data.videos.index import find_videos, left_out_of
from medvid.data.videos.reader import VideoReadError
from medvid.data.videos.stored import fingerprint_of
from medvid.errors import DataError
from medvid.sentences import listed

log = logging.getLogger(__name__)

HINT = "platform data check TASK.yaml lists all such files"
DEEP_CHECK = "decodes all frames, not only the first and last, and compares some with a read after a seek"
_LOOKED_AT = 8


def verify(path: Callable[[int], str], places: Sequence[int], options: PictureOptions, progress: Progress) -> None:
    """Make sure that files are as they were when they were checked, and say how they are read.

    Args:
        path: the file of the video with a number, or the folder of its frames.
        places: numbers of the videos.
        options: how they are read.
        progress: called with the number of files hashed and the total.

    Raises:
        DataError: naming those that changed.
    """
    checked = CheckedFiles(options.cache, options.root)
    if checked.any or options.verify_content:
        files = all_files(map(path, places))
        checked.verify(files, content=options.verify_content, progress=progress)
    _say_how_read([path(place) for place in places[:: max(1, len(places) // _LOOKED_AT)][:_LOOKED_AT]], options)


def new_videos(paths: Sequence[Path], options: PictureOptions) -> dict[str, Path]:
    """Videos for prediction, by name; what else lies in folders is logged.

    Raises:
        DataError: as `medvid.data.videos.index.find_videos`.
        ConfigError: there are folders of frames, and nothing says their rate.
    """
    for line in left_out_of(paths):
        log.warning(line)
    found = {name: Path(clip.path) for name, clip in find_videos(paths).items()}
    for path in found.values():
        if path.is_dir():
            rate_of(path, options.frame_files)
    return found


def all_files(paths: Iterable[str]) -> list[str]:
    """Files, and those in folders of frames."""
    return [str(file) for path in paths for file in files_below(Path(path))]


def check_file(
    case: str, path: Path | str, options: PictureOptions, *, deep: bool, part: tuple[int, int] | None = None
) -> Sequence[str]:
    """Decode a video at its beginning and end, or in full; what is odd about it.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return check_video(open_clip(path, options, part=part), deep=deep)
    except VideoReadError as error:
        raise DataError(f"case {case}: {error.reason}") from None


def fingerprint(case: str, path: Path | str, part: tuple[int, int] | None = None) -> str:
    """A hash of the size and a piece from the middle, since reading all of a large data set would take hours.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return fingerprint_of(path, part)
    except OSError as error:
        raise DataError(f"case {case}: {path} cannot be read: {error.strerror}") from error


def _say_how_read(looked_at: Sequence[str], options: PictureOptions) -> None:
    """Look at a few files, spread over the data set: what is odd about them usually holds for the others."""
    notes: dict[str, list[str]] = {}
    for path in looked_at:
        with suppress(VideoReadError):  # training replaces it and says so
            for note in check_video(open_clip(path, options), deep=False):
                notes.setdefault(note, []).append(Path(path).name)
    log.info("videos are read by %s", describe_decoder(options.reader))
    for note, names in notes.items():
        log.warning("of %d videos sampled, each of %d %s: %s", len(looked_at), len(names), note, listed(names))
