"""Whether a video can be decoded. Imports no torch."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from medvid.data.videos.video import Video

_COMPLAINTS = "makes FFmpeg report errors, as damage does; to see them: ffmpeg -v error -i FILE -f null -"


def check_video(video: AbstractContextManager[Video], *, deep: bool) -> list[str]:
    """Decode a video at its beginning, middle and end; or all of it, see `Video.check_all`.

    Args:
        video: to be opened, see `medvid.data.videos.decoders.open_video`.
        deep: decode all frames.

    Returns:
        What is odd about it but not an error.

    Raises:
        VideoReadError: what is wrong with it.
    """
    with _complaints(listen=deep) as complaints, video as opened:
        if deep:
            opened.check_all()
        else:
            opened.frames_at([0.0, opened.length.last / 2, opened.length.last])
        notes = list(opened.notes)
    return [*notes, _COMPLAINTS] if complaints else notes


@contextmanager
def _complaints(*, listen: bool) -> Iterator[list[Any]]:
    """What FFmpeg logs as errors: it skips damage in a container and decodes the rest."""
    from av import logging

    if not listen:
        yield []
        return
    level, repeated = logging.get_level(), logging.get_skip_repeated()
    logging.set_level(logging.ERROR)
    logging.set_skip_repeated(False)
    try:
        with logging.Capture(local=True) as complaints:
            yield complaints
    finally:
        logging.set_level(level)
        logging.set_skip_repeated(repeated)
