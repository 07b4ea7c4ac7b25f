"""Whether videos can be decoded, looked at by many processes at once. Imports no torch."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from medvid.config.videos import ReaderName
from medvid.data.processes import in_processes
from medvid.data.video_faults import find_fault
from medvid.data.video_reader import VideoReadError, open_video

_Named = tuple[str, str]


def check_videos(
    paths: Mapping[str, str],
    backend: ReaderName,
    *,
    deep: bool,
    workers: int,
    progress: Callable[[int, int], None],
) -> dict[str, str]:
    """Decode the first and the last frame of videos, or all of them.

    Args:
        paths: file by name.
        backend: what decodes them.
        deep: decode all frames, by FFmpeg with its own checks for damage, whatever `backend` is.
        workers: processes.
        progress: told how many are done, out of how many.

    Returns:
        What is wrong, by name, for those where something is; in the order of `paths`.
    """
    check = partial(_check_all if deep else _check_ends, backend)
    reasons: dict[str, str] = {}
    for done, ((name, _), reason) in enumerate(in_processes(check, paths.items(), workers), start=1):
        if reason:
            reasons[name] = reason
        progress(done, len(paths))
    return {name: reasons[name] for name in paths if name in reasons}


def _check_ends(backend: ReaderName, named: _Named) -> str | None:
    try:
        with open_video(named[1], backend) as video:
            video.frames_at([0.0, video.length.last])
    except VideoReadError as error:
        return error.reason
    return None


def _check_all(_backend: ReaderName, named: _Named) -> str | None:
    import av

    if fault := find_fault(Path(named[1])):
        return fault
    frames = 0
    try:
        with av.open(named[1]) as container:
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
