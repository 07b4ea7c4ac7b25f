"""A task for labelled videos: frames and their distance from the videos' lengths, size, views, and batch."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medvid.data.dataset import Progress
from medvid.data.problems import raise_together
from medvid.data.videos.dataset import VideoDataset
from medvid.data.videos.decoders import open_video
from medvid.errors import DataError
from medvid.planning.backbones import resized
from medvid.planning.draft import Draft
from medvid.planning.fitting import fit, memory_in_words
from medvid.planning.recipe import put_recipe
from medvid.planning.request import Request
from medvid.planning.sizing import Size
from medvid.planning.volumes.words import by
from medvid.plugin.host import Host

_FRAMES, _SIDE = 16, 224
_LONGEST = 4.0
"""Seconds that a clip spans at most: 16 frames, 8 apart, of 30 per second; what models of actions are trained with."""
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
    if len(cases) < 2:
        raise DataError(
            f"{dataset.options.root} has {len(cases)} labelled video{'' if len(cases) == 1 else 's'}: a plan needs at "
            "least 2, one to train on and one to hold out"
        )
    seconds, rates, sizes = _look(dataset, cases, progress)
    counts = Counter(dataset.clip(case).label for case in cases)
    draft.head.append(
        f"{len(cases)} videos in {len(counts)} classes of {min(counts.values())} to {max(counts.values())}; "
        f"{seconds.min():.3g} to {seconds.max():.3g} s (median {np.median(seconds):.3g}), "
        f"{rates.min():.3g} to {rates.max():.3g} frames per second, median size {by(np.median(sizes, 0))} pixels"
    )
    draft.head.append("Not known: which videos are of one patient; whether mirrored videos mean the same.")
    _put_clips(draft, seconds, sizes)
    if max(counts.values()) > 3 * min(counts.values()):
        draft.put(
            "train.balance", "classes", f"{max(counts.values())} videos of a class, {min(counts.values())} of another"
        )
    put_recipe(draft)
    _put_size(draft, sizes, request, host, overrides, len(cases))


def _look(dataset: VideoDataset, cases: Sequence[str], progress: Progress) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Seconds, frames per second, and (height, width), of each video."""
    found: list[tuple[float, float, tuple[int, int]]] = []
    errors: list[DataError] = []
    for done, case in enumerate(cases, start=1):
        try:
            with open_video(dataset.clip(case).path) as video:
                height, width = video.frames_at([0.0]).shape[1:3]
                found.append((video.length.duration, video.length.fps, (height, width)))
        except DataError as error:
            errors.append(error)
        progress(done, len(cases))
    raise_together(errors)
    seconds, rates, sizes = zip(*found, strict=True)
    return np.array(seconds), np.array(rates), np.array(sizes)


def _put_clips(draft: Draft, seconds: np.ndarray, sizes: np.ndarray) -> None:
    median = float(np.median(seconds))
    span = min(median, _LONGEST)
    draft.put("dataset.frames", _FRAMES)
    rate = max(1.0, round(span * 30 / _FRAMES, 1))
    draft.put(
        "dataset.rate", rate, f"of 30 frames per second: a clip spans {rate * _FRAMES / 30:.2g} s of {median:.3g}"
    )
    views = min(_MOST_VIEWS, max(1, round(median / (rate * _FRAMES / 30))))
    draft.put("evaluation.clips", views, "one after the other over the median video")
    long = float(np.median(sizes.max(1) / sizes.min(1)))
    draft.put("evaluation.crops", 3 if long > 1.2 else 1, f"sides differ by a factor of {long:.2g}")


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
