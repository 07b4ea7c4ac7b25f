"""Whether a video can be decoded. Imports no torch."""

from pathlib import Path

from medvid.config.videos import ReaderName
from medvid.data.video_faults import find_fault
from medvid.data.video_reader import VideoReadError, open_video


def problem_of(path: str, backend: ReaderName, *, deep: bool) -> str | None:
    """Decode the first and the last frame of a video, or all of them.

    Args:
        path: its file.
        backend: what decodes it.
        deep: decode all frames, by FFmpeg with its own checks for damage, whatever `backend` is.

    Returns:
        What is wrong with it, or None.
    """
    return _check_all(path) if deep else _check_ends(path, backend)


def _check_ends(path: str, backend: ReaderName) -> str | None:
    try:
        with open_video(path, backend) as video:
            video.frames_at([0.0, video.length.last])
    except VideoReadError as error:
        return error.reason
    return None


def _check_all(path: str) -> str | None:
    import av

    if fault := find_fault(Path(path)):
        return fault
    frames = 0
    try:
        with av.open(path) as container:
            if not container.streams.video:
                return "it has no video stream"
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            stream.codec_context.options = {"err_detect": "explode"}
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    return f"frame {frames} is damaged"
                frames += 1
    except Exception as error:  # of every kind, see `medvid.data.video_reader`
        return f"it is damaged after {frames} frames: {str(error).splitlines()[0]}"
    return None if frames else "it has no frames"
