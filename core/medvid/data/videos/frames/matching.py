"""Which frames of a file are seen, and which row of an annotation belongs to each, by their times."""

from collections.abc import Sequence

import numpy as np

from medvid.data.targets import unknown_target
from medvid.data.videos.frames.annotation import Annotation
from medvid.data.videos.frames.options import FramedVideoOptions
from medvid.data.videos.times import FrameTimes
from medvid.errors import DataError
from medvid.plugin.info import TargetInfo

_SAME = 0.001  # seconds: containers round times
_RATES = (1, 2, 5, 10, 15, 24, 25, 30, 50, 60)


def seen_frames(times: FrameTimes, fps: float | None) -> np.ndarray:
    """Numbers in the file of the frames at a rate, (N,) int64: those shown at n / fps, or due half a frame later.

    Args:
        times: of the file.
        fps: the rate; None: all frames that are shown at all.
    """
    if fps is None:
        return np.asarray(np.searchsorted(times.due, np.unique(times.due), side="right") - 1)
    half = 0.5 / times.length.fps
    count = int((times.due[-1] + half) * fps) + 1
    return times.numbers_at(np.arange(count) / fps + half)


def match(
    annotation: Annotation, seen: np.ndarray, times: FrameTimes, options: FramedVideoOptions, info: TargetInfo
) -> tuple[np.ndarray, Sequence[str]]:
    """The annotation of the frames that are seen, and what is odd about it.

    A row holds half the way to the next one. Where rows are more than twice as far apart as frames, such as those of
    tools once per second, it only holds for the frame that it was made on, within half the distance of frames.

    Args:
        annotation: of the video.
        seen: numbers of the frames in the file, (N,).
        times: of the file.
        options: say at which rate the annotation counts, and how much longer or shorter it may be.
        info: what frames are annotated with.

    Returns:
        (N,), (N, L) or (N, V); unknown where no row is.

    Raises:
        DataError: it ends before or after the video.
    """
    rows, due = _row_times(annotation, times, options), times.due
    apart = float(np.median(np.diff(rows))) if len(rows) > 1 else 0.0
    _check_end(annotation, rows, times, max(options.tolerance, apart), options)
    wanted = due[seen]
    between = 1 / (options.fps or times.length.fps)
    behind = np.searchsorted(rows, wanted).clip(1, len(rows) - 1) if len(rows) > 1 else np.zeros(len(wanted), int)
    before = (behind - 1).clip(0)
    nearest = np.where(wanted - rows[before] <= rows[behind] - wanted, before, behind)
    reach = apart if 0 < apart <= 2 * between else between
    near = np.abs(rows[nearest] - wanted) <= reach / 2 + _SAME
    unknown = unknown_target(info).numpy()
    target = np.broadcast_to(unknown, (len(seen), *unknown.shape)).copy()
    target[near] = np.asarray(annotation.answers, dtype=target.dtype)[nearest[near]]
    notes = [f"{int((~near).sum())} of {len(seen)} frames have no row in its annotation"] if not near.all() else []
    late = int((rows > due[-1] + 0.5 / times.length.fps + _SAME).sum())
    return target, [*notes, f"{late} rows of its annotation lie behind its end"] if late else notes


def _row_times(annotation: Annotation, times: FrameTimes, options: FramedVideoOptions) -> np.ndarray:
    """When what rows speak of is shown, in seconds from the first frame."""
    at = np.asarray(annotation.at, np.float64)
    if annotation.unit == "second":
        return at
    if (at[:1] < options.first_frame).any():
        raise DataError(f"{annotation.path} has a frame 0, but frames count from 1", hint="set dataset.first_frame: 0")
    at = at - options.first_frame
    if options.annotation_fps:
        return at / options.annotation_fps
    last = len(times.due) - 1
    behind = (at - last).clip(0) / times.length.fps
    return np.asarray(times.due[at.clip(0, last).astype(np.int64)] + behind)


def _check_end(
    annotation: Annotation, rows: np.ndarray, times: FrameTimes, allowed: float, options: FramedVideoOptions
) -> None:
    ends, last = float(rows[-1]), float(times.due[-1])
    if abs(ends - last) <= allowed:
        return
    fps = times.length.fps
    counted = annotation.unit == "frame"
    rate = options.annotation_fps or fps
    said = (
        f"frame {annotation.at[-1]:.0f}, which is {ends:.1f} s at {rate:.4g} frames per second"
        if counted
        else f"{ends:.1f} s"
    )
    fitting = _usual((annotation.at[-1] - options.first_frame + 1) / (last + 1 / fps)) if counted else 0.0
    remedy = (
        f"if its frames count at another rate, {fitting:g} per second would fit: dataset.annotation_fps: {fitting:g}; "
        if counted
        else ""
    )
    raise DataError(
        f"{annotation.path} ends {'after' if ends > last else 'before'} its video: with {said}, the video with "
        f"frame {len(times.due) - 1} at {last:.1f} s",
        hint=f"{remedy}if the rest is meant to be {'left out' if ends > last else 'unknown'}, set dataset.tolerance to "
        f"{abs(ends - last):.0f} s or more; otherwise it is the annotation of another video",
    )


def _usual(rate: float) -> float:
    """A usual rate, if one is near."""
    near = [one for one in _RATES if abs(rate / one - 1) < 0.05]
    return min(near, key=lambda one: abs(rate - one)) if near else round(rate, 2)
