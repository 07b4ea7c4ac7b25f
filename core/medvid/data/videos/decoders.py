"""Opening a video with the reader of what it is stored as."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from medvid.data.videos.clip_options import PictureOptions, ReaderName
from medvid.data.videos.decord import DecordReader, decord_version
from medvid.data.videos.dicom import DicomVideo
from medvid.data.videos.faults import find_fault
from medvid.data.videos.frame_files import FrameFileOptions, is_dicom
from medvid.data.videos.reader import VideoReader, VideoReadError
from medvid.data.videos.stills import FrameFolder
from medvid.data.videos.video import Video

_FOUND_OUT = FrameFileOptions()


def open_clip(
    path: Path | str, options: PictureOptions, hint: str = "", part: tuple[int, int] | None = None
) -> AbstractContextManager[Video]:
    """Open a video of a data set as its options say, see `open_video`."""
    return open_video(path, hint, options.reader, options.frame_files, part)


@contextmanager
def open_video(
    path: Path | str,
    hint: str = "",
    decoder: ReaderName = "auto",
    frame_files: FrameFileOptions = _FOUND_OUT,
    part: tuple[int, int] | None = None,
) -> Iterator[Video]:
    """Open a video for reading: a file, a DICOM file of several frames, or a folder of numbered pictures.

    Args:
        path: its file or folder.
        hint: what to do if it cannot be read, which depends on the file's origin.
        decoder: of files, see `medvid.data.videos.clip_options.PictureOptions.reader`.
        frame_files: how frames that are files of their own are found, and the rate of what does not say it.
        part: of a folder, see `medvid.data.videos.clips.Clip`.

    Raises:
        VideoReadError: it is not a video, or truncated.
        ConfigError: what decodes it is not installed, or nothing says when its frames are shown.
    """
    try:
        with closing(_opened(Path(path), decoder, frame_files, part)) as video:
            yield video
    except VideoReadError as error:
        error.hint = error.hint or hint
        raise


def open_file(path: Path, decoder: ReaderName = "auto") -> VideoReader:
    """Open a video file that FFmpeg decodes; it has to be closed, see `open_video`."""
    if fault := find_fault(path):
        raise VideoReadError(path, fault)
    return (DecordReader if decoder == "decord" else VideoReader)(path)


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


def _opened(path: Path, decoder: ReaderName, frame_files: FrameFileOptions, part: tuple[int, int] | None) -> Video:
    if path.is_dir():
        return FrameFolder(path, frame_files, part)
    if part is not None and path.exists():
        raise VideoReadError(path, "its list counts frames in a folder, but it is a file")
    if is_dicom(path):
        return DicomVideo(path, frame_files)
    return open_file(path, decoder)
