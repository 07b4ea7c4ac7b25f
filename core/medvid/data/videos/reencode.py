"""Re-encoding videos so that reading a clip is cheap: small frames, and key frames close together.

A reader has to decode from the last key frame, and cameras and video sites set one every few seconds. Does not import
torch, since many processes do this.
"""

import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medvid.data.output import check_output
from medvid.data.videos.decoders import open_file
from medvid.data.videos.index import ENCODED
from medvid.data.videos.pictures import UPRIGHT, turned
from medvid.data.videos.reader import COUNTED, UnexpectedFrameError, VideoReader, VideoReadError, reason_of
from medvid.errors import DataError, ResourceError
from medvid.files import make_folder, remove_drafts, replace_path, write_bytes, write_text
from medvid.parallel import map_in_processes
from medvid.sentences import listed

log = logging.getLogger(__name__)

MARKER = "reencoded.json"
"""Records how the videos of a folder were encoded."""

_LISTS = (".csv", ".tsv", ".txt", ".json")
_MP4 = (".mp4", ".m4v", ".mov")
_STALE = 3600  # seconds after which nobody writes to a draft any more


@dataclass(frozen=True, slots=True)
class Encoding:
    """How videos are encoded, in H.264 (yuv420p) without sound.

    Args:
        side: length of the shorter side in pixels; smaller videos keep their size.
        gop: frames from one key frame to the next.
        crf: x264's constant rate factor, 0 (lossless) to 51.
    """

    side: int = 256
    gop: int = 12
    crf: int = 23


def reencode(
    source: Path, target: Path, encoding: Encoding, workers: int, progress: Callable[[int, int], None]
) -> dict[str, str]:
    """Re-encode all videos of a folder into another one with the same layout, and copy its lists.

    A video keeps its name, so that lists stay valid: .mp4, .m4v and .mov are MP4 files, all others are Matroska files,
    which readers recognise by their content. Frame times are kept, also uneven ones; a rotation is applied. A file is
    written under another name and then renamed; existing ones are kept. Absolute paths of videos in `source` become
    relative in the copied lists.

    Args:
        source: the folder.
        target: the new folder.
        encoding: the settings.
        workers: processes.
        progress: called with the number of videos done and the total.

    Returns:
        Why a video could not be re-encoded, by its path in `source`; all others exist then.

    Raises:
        DataError: `source` holds no videos, `target` is within it, or was made with another encoding.
        ConfigError: `target` is a file.
    """
    source, target = source.absolute(), target.absolute()
    _check_folders(source, target)
    files = list(_files(source, ENCODED))
    if not files:
        raise DataError(f"there are no videos in {source}: {', '.join(ENCODED)}")
    _mark(target, encoding)
    _copy_lists(source, target)
    todo = [file for file in files if not (target / file).is_file()]
    for folder in {(target / file).parent for file in todo}:
        remove_drafts(folder, age=_STALE)
    done, reasons, counted = len(files) - len(todo), {}, []
    progress(done, len(files))
    for file, (reason, counts) in map_in_processes(partial(_reencode_file, source, target, encoding), todo, workers):
        done += 1
        if reason:
            reasons[file] = reason
        if counts:
            counted.append(file)
        progress(done, len(files))
    if counted:
        log.warning("each of %d videos %s: %s", len(counted), COUNTED, listed(sorted(counted)))
    return {file: reasons[file] for file in files if file in reasons}


def reencode_video(source: Path, target: Path, encoding: Encoding) -> bool:
    """Re-encode a single video.

    Returns:
        Whether its frames have no times and were counted.

    Raises:
        VideoReadError: it cannot be decoded.
        av.error.FFmpegError: it cannot be encoded.
    """
    form = "mp4" if target.name.lower().endswith(_MP4) else "matroska"
    with closing(open_file(source)) as video, replace_path(target) as draft:
        try:
            _encode(video, draft, form, encoding)
        except UnexpectedFrameError:
            video.look_closer()
            _encode(video, draft, form, encoding)
        return video.times.source == "order"


def _encode(video: VideoReader, target: Path, form: str, encoding: Encoding) -> None:
    """Write a video's frames with their times in it, starting at 0."""
    import av

    shown = video.times.shown - video.times.shown[0]
    end = round(video.length.duration / video.times.unit)
    durations = dict(zip(shown.tolist(), np.diff(shown, append=max(end, shown[-1] + 1)).tolist(), strict=True))
    options = {"movflags": "faststart"} if form == "mp4" else {}
    with av.open(str(target), "w", format=form, options=options) as written:
        new = None
        for number, frame in video.frames():
            if number + 1 < len(shown) and shown[number + 1] == shown[number]:
                continue  # two frames at the same time: the first would never be seen
            picture = _small(video, frame, encoding.side)
            picture.pts, picture.time_base = int(shown[number]), video.times.unit
            new = new or _add_stream(written, video, picture, encoding)
            _write(written, new.encode(picture), durations)
        if new is not None:
            _write(written, new.encode(), durations)


def _write(written: Any, packets: list[Any], durations: dict[int, int]) -> None:
    """Restore the durations of frames, which the encoder drops, so that the end of the last one is known."""
    for packet in packets:
        packet.duration = durations[packet.pts]
        written.mux(packet)


def _small(video: VideoReader, frame: Any, side: int) -> Any:
    """A frame with the new size, upright and with square pixels."""
    from av import VideoFrame

    turn, (width, height) = video.turn(frame), video.square_size(frame)
    factor = min(1.0, side / min(width, height))
    width, height = (max(2, 2 * round(length * factor / 2)) for length in (width, height))
    if turn == UPRIGHT:
        small = frame.reformat(width, height, "yuv420p", interpolation="BICUBIC")
    else:
        picture = frame.reformat(width, height, "rgb24", interpolation="BICUBIC").to_ndarray()
        upright = np.ascontiguousarray(turned(picture, turn))
        small = VideoFrame.from_ndarray(upright, format="rgb24").reformat(format="yuv420p")
    small.pict_type = 0  # the encoder chooses key frames
    return small


def _add_stream(written: Any, video: VideoReader, picture: Any, encoding: Encoding) -> Any:
    # Without frames that refer to later ones, times start at 0 and every reader finds the declared length.
    options = {"crf": str(encoding.crf), "g": str(encoding.gop), "bf": "0", "threads": "1"}
    rate = Fraction(video.length.fps).limit_denominator(1001)
    new = written.add_stream("libx264", rate=rate, options=options)
    new.width, new.height, new.pix_fmt = picture.width, picture.height, "yuv420p"
    context = new.codec_context
    context.time_base = video.times.unit
    context.color_range, context.colorspace = picture.color_range, picture.colorspace
    return new


def _reencode_file(source: Path, target: Path, encoding: Encoding, file: str) -> tuple[str | None, bool]:
    """Re-encode one file; return why that failed, if it did, and whether its frames were counted."""
    made = target / file
    try:
        make_folder(made.parent)
        return None, reencode_video(source / file, made, encoding)
    except ResourceError:
        raise
    except VideoReadError as error:
        return error.reason, False
    except Exception as error:  # encoders raise all kinds
        return reason_of(error), False


def _check_folders(source: Path, target: Path) -> None:
    if not source.is_dir():
        raise DataError(f"the folder of the videos {source} does not exist")
    if target == source or source in target.parents:
        raise DataError(f"{target} is within {source}", hint="choose another folder for the new videos: -o DEST")
    check_output(target)


def _mark(target: Path, encoding: Encoding) -> None:
    """Make the folder of the new videos, and record the encoding in it; or refuse a folder with other files."""
    make_folder(target)
    wanted, marker = asdict(encoding), target / MARKER
    if not marker.exists():
        if any(target.iterdir()):
            raise DataError(f"{target} holds other files", hint="choose an empty folder: -o DEST")
        write_text(marker, json.dumps(wanted))
    elif (found := marker.read_text(encoding="utf-8")) != json.dumps(wanted):
        raise DataError(
            f"{target} holds videos with another encoding, {found}, not {json.dumps(wanted)}",
            hint="choose another folder, or the same encoding",
        )


def _files(folder: Path, suffixes: tuple[str, ...]) -> Iterator[str]:
    """Paths below a folder of files with these endings, in a fixed order."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        for name in sorted(names):
            if name[0] != "." and name.lower().endswith(suffixes):
                yield os.path.relpath(os.path.join(parent, name), folder)  # noqa: PTH118 (many times)


def _copy_lists(source: Path, target: Path) -> None:
    """Copy lists and files of labels, with absolute paths in `source` made relative."""
    for file in _files(source, _LISTS):
        if file == MARKER or not (source / file).is_file():
            continue  # the source's own record of an encoding; or a pipe, which would block
        content = (source / file).read_bytes()
        make_folder((target / file).parent)
        write_bytes(target / file, re.sub(rb"(?m)^" + re.escape(os.fsencode(source) + b"/"), b"", content))
