"""Opening a video with the decoder that a task asks for."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from medvid.data.videos.clip_options import ReaderName
from medvid.data.videos.decord import DecordReader, decord_version
from medvid.data.videos.faults import find_fault
from medvid.data.videos.reader import VideoReader, VideoReadError


@contextmanager
def open_video(path: Path | str, hint: str = "", decoder: ReaderName = "auto") -> Iterator[VideoReader]:
    """Open a video for reading.

    Args:
        path: its file.
        hint: what to do if it cannot be read, which depends on the file's origin.
        decoder: see `medvid.data.videos.clip_options.PictureOptions.reader`.

    Raises:
        VideoReadError: it is not a video, or truncated.
        ConfigError: the decoder is not installed.
    """
    path, kind = Path(path), DecordReader if decoder == "decord" else VideoReader
    try:
        if fault := find_fault(path):
            raise VideoReadError(path, fault)
        with closing(kind(path)) as reader:
            yield reader
    except VideoReadError as error:
        error.hint = error.hint or hint
        raise


def describe_decoder(decoder: ReaderName) -> str:
    """The decoder of this installation, with its version.

    Raises:
        ConfigError: it is not installed.
    """
    import av

    pyav = f"PyAV {av.__version__} (FFmpeg {av.ffmpeg_version_info})"
    if decoder == "decord":
        return f"{decord_version()} for files in which it finds the right frames, otherwise {pyav}"
    return pyav
