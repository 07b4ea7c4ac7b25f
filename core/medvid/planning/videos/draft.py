"""A task for labelled videos: frames and their distance from the videos' lengths, size, views, and batch."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medvid.data.dataset import Progress
from medvid.data.videos.dataset import VideoDataset
from medvid.planning.backbones import resized
from medvid.planning.draft import Draft
from medvid.planning.fitting import fit, memory_in_words
from medvid.planning.recipe import put_recipe
from medvid.planning.request import Request
from medvid.planning.sizing import Size
from medvid.planning.splits import check_enough, put_split
from medvid.planning.videos.facts import VideoFacts, look_at_videos
from medvid.planning.volumes.words import by
from medvid.plugin.host import Host

_FRAMES, _SIDE = 16, 224
_STILL_SPAN = 4.0
"""Seconds that a clip spans where nothing moves."""
_MOST_VIEWS = 10
_MOST = 64


def draft_videos(
    dataset: VideoDataset, draft: Draft, request: Request, host: Host, overrides: Sequence[str], progress: Progress
) -> None:
    """Look at the lengths and sizes of videos, and write the task.

    Args:
        dataset: the data.
        draft: the task.
        request: what was asked.
        host: has the components.
        overrides: what the user sets on top.
        progress: called with (done, total).

    Raises:
        DataError: videos cannot be read, or are too few.
    """
    cases = dataset.labelled()
    check_enough(dataset.options.root, len(cases), "labelled video")
    facts = look_at_videos(dataset, cases, progress)
    sizes = np.array([(each.height, each.width) for each in facts])
    is_class = dataset.target_info.what == "class"
    counts = Counter(dataset.clip(case).label for case in cases if is_class)
    draft.head.append(_facts_in_words(facts, len(cases), [*counts.values()]))
    draft.head.append("Not known: which videos are of one patient; whether mirrored videos mean the same.")
    put_split(draft, dataset, cases, request, divides=True)
    fps = dataset.options.target_fps
    _put_clips(draft, facts, float(np.median([each.fps for each in facts])) if fps == "file" else fps)
    if is_class and max(counts.values()) > 3 * min(counts.values()):
        draft.put(
            "train.balance", "classes", f"{max(counts.values())} videos of a class, {min(counts.values())} of another"
        )
    put_recipe(draft, request.steps)
    _put_size(draft, sizes, request, host, overrides, len(cases))


def _facts_in_words(facts: Sequence[VideoFacts], total: int, counts: Sequence[int]) -> str:
    seconds, rates = (np.array([getattr(each, name) for each in facts]) for name in ("seconds", "fps"))
    keys, moving = [each.key_interval for each in facts], _half_changes(facts)
    looked_at = "" if len(facts) == total else f", of which {len(facts)} were looked at"
    motion = f"half of what changes within 2 s has after {np.median(moving):.2g} s" if moving else "nothing moves"
    classes = f" in {len(counts)} classes of {min(counts)} to {max(counts)}" if counts else ""
    return (
        f"{total} videos{classes}{looked_at}; "
        f"{_range(seconds)} s (median {np.median(seconds):.3g}), {_range(rates)} frames per second, a key frame every "
        f"{np.median(keys):.2g} s, median size {by(np.median([(each.height, each.width) for each in facts], 0))} "
        f"pixels; {motion}"
    )


def _half_changes(facts: Sequence[VideoFacts]) -> list[float]:
    """Of the videos in which something moves."""
    return [each.half_change for each in facts if each.half_change is not None]


def _range(values: np.ndarray) -> str:
    low, high = f"{values.min():.3g}", f"{values.max():.3g}"
    return low if low == high else f"{low} to {high}"


def _put_clips(draft: Draft, facts: Sequence[VideoFacts], fps: float) -> None:
    """Frames, their distance in frames at a rate, and clips and crops in evaluation."""
    median = float(np.median([each.seconds for each in facts]))
    step, why = _step(facts, median)
    draft.put("dataset.frames", _FRAMES)
    rate = max(0.1, round(step * fps, 1))
    span = rate * _FRAMES / fps
    draft.put("dataset.rate", rate, f"of {fps:g} frames per second: {why}; a clip spans {span:.2g} s of {median:.3g}")
    views = min(_MOST_VIEWS, max(1, round(median / span)))
    draft.put("evaluation.clips", views, "one after the other over the median video")
    long = float(np.median([max(each.height, each.width) / min(each.height, each.width) for each in facts]))
    draft.put("evaluation.crops", 3 if long > 1.2 else 1, f"sides differ by a factor of {long:.2g}")
    keys = float(np.median([each.key_interval for each in facts]))
    if keys > 2 * span:
        draft.head.append(
            f"Slow to read: key frames are {keys:.2g} s apart, and a clip of {span:.2g} s is decoded from the one "
            "before it. platform data reencode writes them closer."
        )


def _step(facts: Sequence[VideoFacts], median: float) -> tuple[float, str]:
    """Seconds between the frames of a clip, and the reason.

    Args:
        facts: of the videos.
        median: seconds of the median video.
    """
    moving = _half_changes(facts)
    longest = median / _FRAMES
    shortest = 1 / float(np.median([each.fps for each in facts]))
    if not moving:
        return max(shortest, min(longest, _STILL_SPAN / _FRAMES)), "nothing moves, so spread out"
    wanted = float(np.median(moving)) / 2
    if wanted > longest:
        return max(shortest, longest), "the motion is slow, and a clip as long as the median video"
    if wanted < shortest:
        return shortest, "the motion is fast: frame by frame"
    return wanted, "half the time in which half of what changes has changed"


def _put_size(
    draft: Draft, sizes: np.ndarray, request: Request, host: Host, overrides: Sequence[str], count: int
) -> None:
    side = min(_SIDE, int(np.median(sizes.min(1))))
    frames = draft.values["dataset"]["frames"]
    first = (frames, side, side)
    cap = min(_MOST, max(2, count // 4))
    sized = fit(draft, request, host, overrides, _put, axes="video", where="case", first=first, whole=first, cap=cap)
    draft.reasons["dataset", "size"] = (
        f"pixels; the shorter side of the median video has {np.median(sizes.min(1)):.0f}, {_SIDE} are usual; "
        f"{memory_in_words(sized, request)}"
    )
    frames = draft.values["dataset"]["frames"]
    draft.reasons["dataset", "frames"] = f"as {request.backbone} takes them" if frames != _FRAMES else "usual"


def _put(draft: Draft, blocks: Mapping[str, Any], size: Size, batch: int) -> None:
    frames, side = size[0], max(size[1:])
    draft.put("dataset.frames", frames)
    draft.put("dataset.size", side)
    draft.put("train.batch_size", batch)
    draft.values["backbone"] = resized(blocks["backbone"], blocks, (frames, side, side))
    draft.values["head"] = blocks["head"]
