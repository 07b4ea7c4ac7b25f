"""The protocols of phases: figures of each video and phase, and of segments, with or without a relaxed border.

Means are taken in the order of the field's script, over videos and then over phases, except F1: macro F1 of each
video, then the mean over videos. All are fractions, where papers give percent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, starmap
from typing import Any

import numpy as np

from medvid.config.phases import Allowance, PhaseFigureOptions, PhasesProtocolOptions, RelaxedPhasesProtocolOptions
from medvid.errors import DataError
from medvid.evaluation.metrics.aggregate import mean
from medvid.evaluation.metrics.figure import Figure
from medvid.evaluation.metrics.phases import PhaseScores, phase_means, phase_scores, relaxed, relaxed_matlab
from medvid.evaluation.metrics.segments import SegmentCounts, edit_score, segment_counts
from medvid.evaluation.metrics.target_figures import Resampling, find_intervals
from medvid.evaluation.phase_definitions import (
    MATLAB,
    OVERLAPS,
    PER_PHASE,
    PLAIN,
    PUBLISHED_RATE,
    SEGMENTS,
    heading,
    relaxed_figures,
)
from medvid.evaluation.protocols import ViewProtocol
from medvid.evaluation.videos import Video, VideoFigures, VideoScores
from medvid.plugin.events import Table
from medvid.plugin.info import TargetInfo

Right = Callable[[Video], np.ndarray | None]
"""The frames of a video that count as right; None: those that are."""
Rule = Callable[[np.ndarray, np.ndarray, int, Allowance], np.ndarray]


def phases_protocol(options: PhasesProtocolOptions, target_info: TargetInfo) -> ViewProtocol:
    """Every frame counts as it is."""
    return _protocol(options, target_info, ())


def relaxed_phases_protocol(options: RelaxedPhasesProtocolOptions, target_info: TargetInfo) -> ViewProtocol:
    """The same, and the relaxed figures beside them: as they were meant, or as the published script has them."""
    allowance = options.allowance(target_info)
    assert allowance, "`check_target` refuses phases without a rule"
    if options.name == "phases_relaxed_matlab":
        kind = _Kind(MATLAB, partial(_forgiven, relaxed_matlab, options.seconds, allowance))
    else:
        kind = _Kind("relaxed", partial(_forgiven, relaxed, options.seconds, allowance))
    return _protocol(options, target_info, relaxed_figures(kind.prefix, options.seconds), kind)


def _protocol(
    options: PhaseFigureOptions, target_info: TargetInfo, further: tuple[Figure, ...], *kinds: "_Kind"
) -> ViewProtocol:
    background = tuple(target_info.names.index(name) for name in options.background)
    of = _Scoring(target_info.names, background, (_Kind("phase", lambda _: None), *kinds))
    monitor = "edit_score" if options.monitor == "edit" else f"phase_{options.monitor}"
    return ViewProtocol("spread", "probabilities", videos=VideoFigures((*PLAIN, *further, *SEGMENTS), of, monitor))


def _forgiven(rule: Rule, seconds: float, allowance: Allowance, video: Video) -> np.ndarray:
    if len(video.truth) + video.unknown > 1 and np.isnan(video.rate):
        raise DataError(
            f"video {video.name}: a border of {seconds:g} s needs the times of its frames, which are not known",
            hint="give them in a column time_s, rising, or take the protocol phases",
        )
    width = 1 if np.isnan(video.rate) else max(round(seconds * video.rate), 1)
    return rule(video.truth, video.prediction, width, allowance)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Figures of frames: with what their names begin, and what they count as right."""

    prefix: str
    right: Right

    def scores(self, video: Video, phases: int) -> PhaseScores:
        return phase_scores(video.truth, video.prediction, phases, self.right(video)).clipped()


@dataclass(frozen=True, slots=True)
class _Scoring:
    """Scores videos; those without an annotated frame have no figures.

    Args:
        names: of the phases.
        background: ids of those whose segments do not count.
        kinds: of figures of frames.
    """

    names: Sequence[str]
    background: Sequence[int]
    kinds: Sequence[_Kind]

    def __call__(self, videos: Sequence[Video], resampling: Resampling | None) -> VideoScores:
        known = [video for video in videos if len(video.truth)]
        scores = {kind.prefix: [kind.scores(video, len(self.names)) for video in known] for kind in self.kinds}
        edits = [edit_score(video.truth, video.prediction, self.background) / 100 for video in known]
        counts = [self._counts(video) for video in known]

        def metrics_of(chosen: np.ndarray) -> dict[str, float]:
            metrics = dict[str, float]()
            for prefix, of_videos in scores.items():
                metrics |= _means(prefix, [of_videos[video] for video in chosen], self.names)
            metrics["edit_score"] = mean(edits[video] for video in chosen)
            return metrics | _segment_f1(_added([counts[video] for video in chosen]))

        metrics = metrics_of(np.arange(len(known)))
        drawn = resampling and resampling.of(np.array([len(video.truth) > 0 for video in videos], bool))
        rows = {video.name: _about(video) for video in videos}
        for number, video in enumerate(known):
            for prefix, of_videos in scores.items():
                rows[video.name] |= _row(prefix, of_videos[number], self.names)
            rows[video.name] |= {"edit_score": edits[number], **_segment_f1(counts[number])}
        return VideoScores(
            rows=[*rows.values()],
            metrics=metrics,
            intervals=find_intervals(lambda chosen: (metrics_of(chosen), {}), len(known), drawn),
            table=self._table(known, metrics),
            notes=(*chain(*starmap(_deviations, scores.items())), *self._notes(videos)),
        )

    def _counts(self, video: Video) -> list[SegmentCounts]:
        return [segment_counts(video.truth, video.prediction, least / 100, self.background) for least in OVERLAPS]

    def _table(self, videos: Sequence[Video], metrics: Mapping[str, float]) -> Table:
        """A line for each phase with its videos and frames, and last the means."""
        columns = [f"{kind.prefix}_{figure}" for kind in self.kinds for figure in PER_PHASE]
        counts = np.array([np.bincount(video.truth, minlength=len(self.names)) for video in videos])
        counts = counts.reshape(-1, len(self.names))

        def line(name: str, videos: int, frames: int, suffix: str = "") -> tuple[str, ...]:
            values = [metrics[column + suffix] for column in columns]
            return name, str(videos), str(frames), *(Figure("", "").text(value) for value in values)

        return (
            ("phase", "videos", "frames", *(heading(column.removeprefix("phase_")) for column in columns)),
            *(
                line(name, int((counts[:, number] > 0).sum()), int(counts[:, number].sum()), f"/{name}")
                for number, name in enumerate(self.names)
            ),
            line("all", len(videos), int(counts.sum())),
        )

    def _notes(self, videos: Sequence[Video]) -> list[str]:
        notes = []
        if unknown := sum(video.unknown for video in videos):
            notes.append(f"{unknown} frames have no phase, and are taken out before runs and segments are found")
        if empty := sum(not len(video.truth) for video in videos):
            notes.append(f"{empty} of {len(videos)} videos have no frame with a phase, and so no figures")
        rates = sorted({round(video.rate, 3) for video in videos if np.isfinite(video.rate)})
        if rates:
            notes.append(f"frames per second: {', '.join(f'{rate:g}' for rate in rates)}")
        if rates != [PUBLISHED_RATE] and any(kind.prefix == MATLAB for kind in self.kinds):
            notes.append(
                f"published relaxed figures are of {PUBLISHED_RATE:g} frame per second: do not compare these with them"
            )
        return notes


def _about(video: Video) -> dict[str, Any]:
    return {"case": video.name, "frames": len(video.truth), "frames_unknown": video.unknown}


def _row(prefix: str, scores: PhaseScores, names: Sequence[str]) -> dict[str, float]:
    """The figures of a video: means over its phases, then those of each phase."""
    per_phase = {f"{prefix}_{figure}": _of(scores, figure).tolist() for figure in PER_PHASE}
    return {
        f"{prefix}_accuracy": scores.accuracy / 100,
        **{column: mean(values) for column, values in per_phase.items()},
        **_by_name(per_phase, names),
    }


def _means(prefix: str, scores: Sequence[PhaseScores], names: Sequence[str]) -> dict[str, float]:
    """The headline figures, and those of each phase."""
    metrics = {f"{prefix}_accuracy": mean(one.accuracy / 100 for one in scores)}
    per_phase = {}
    for figure in PER_PHASE:
        means = phase_means([_of(one, figure) for one in scores] or [np.full(len(names), np.nan)])
        column = f"{prefix}_{figure}"
        per_phase[column] = means.per_phase.tolist()
        if figure == "f1":
            metrics[column] = means.phases_then_videos
        else:
            metrics |= {column: means.videos_then_phases, f"{column}_by_video": means.phases_then_videos}
    return metrics | _by_name(per_phase, names)


def _deviations(prefix: str, scores: Sequence[PhaseScores]) -> list[str]:
    """The standard deviations that the field's script gives, in a sentence."""
    if len(scores) < 2:
        return []
    accuracy = np.std([one.accuracy / 100 for one in scores], ddof=1)
    found = {figure: phase_means([_of(one, figure) for one in scores]).sd_of_phases for figure in PER_PHASE[:-1]}
    said = ", ".join(f"{figure} {value:.3f}" for figure, value in found.items() if np.isfinite(value))
    return [
        f"standard deviations of {prefix}_ figures: accuracy {accuracy:.3f} over videos"
        + f"; {said} over phases" * bool(said)
    ]


def _of(scores: PhaseScores, figure: str) -> np.ndarray:
    values: np.ndarray = (scores.f1_in_truth if figure == "f1" else getattr(scores, figure)) / 100
    return values


def _by_name(per_phase: Mapping[str, Sequence[float]], names: Sequence[str]) -> dict[str, float]:
    return {
        f"{column}/{name}": value
        for column, values in per_phase.items()
        for name, value in zip(names, values, strict=True)
    }


def _added(counts: Sequence[Sequence[SegmentCounts]]) -> list[SegmentCounts]:
    """The sums over videos, one for each of `OVERLAPS`."""
    return [sum((of[number] for of in counts), start=SegmentCounts(0, 0, 0)) for number in range(len(OVERLAPS))]


def _segment_f1(counts: Sequence[SegmentCounts]) -> dict[str, float]:
    return {f"segment_f1_{least}": one.f1 / 100 for least, one in zip(OVERLAPS, counts, strict=True)}
