"""How the pixels of videos are inferred: windows slide along time, and no more frames are held than one of them has."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from medvid.config.evaluation import VoxelEvaluationOptions, windows_at_once
from medvid.data.dataset import Case
from medvid.data.grid import Grid
from medvid.data.masked import MaskedVideo
from medvid.evaluation.annotated_frames import AnnotatedFrame
from medvid.evaluation.inference.ensemble import Average
from medvid.evaluation.inference.mirrored import mirrored
from medvid.evaluation.inference.sliding_window import device_of, stream_windows
from medvid.evaluation.inference.window_layout import Window, find_windows, importance_map, window_starts
from medvid.evaluation.probabilities import NativeProbabilities
from medvid.evaluation.protocols import LabelMapProtocol
from medvid.files import writing
from medvid.plugin.info import InputInfo, TargetInfo


@dataclass(frozen=True, slots=True)
class InferredVideo:
    """A video with the label maps that it is to be scored by and written as.

    Args:
        case: the video.
        scored: of its annotated frames, by number, on the grid of the protocol.
        native: of all frames (T, H, W) uint8, in a temporary file; None where only the annotated ones were asked for.
        probabilities: likewise (L, T, H, W), of each label; None unless they are asked for.
    """

    case: MaskedVideo
    scored: Mapping[int, np.ndarray]
    native: np.ndarray | None
    probabilities: np.ndarray | None = None

    def frames(self) -> Iterator[tuple[AnnotatedFrame, np.ndarray]]:
        """The annotated frames, each with the label map that it is to be scored by."""
        return ((AnnotatedFrame(self.case, number), labels) for number, labels in self.scored.items())


class VideoInference:
    """Windows as long as in training, whose scores become the label maps of frames as the protocol says.

    Frames are read in order while windows are inferred, and label maps go to a temporary file (TMPDIR), a byte per
    pixel. Where only annotated frames are scored, windows that see none of them are left out.

    Args:
        options: the task's evaluation block.
        protocol: the grids, and how scores become labels.
        input_info: what the model was trained on; its size is the window.
        target_info: what it predicts.
        average: how the answers of several models, side by side, become one; None for one model.
    """

    loads_ahead = False  # a case is read window by window, by who infers it

    def __init__(
        self,
        options: VoxelEvaluationOptions,
        protocol: LabelMapProtocol,
        input_info: InputInfo,
        target_info: TargetInfo,
        average: Average | None = None,
    ) -> None:
        self._options, self._protocol, self._average = options, protocol, average
        self._input, self._target = input_info, target_info

    def cases_at_once(self, device: torch.device) -> int:  # noqa: ARG002 (on none)
        """One: its windows fill batches."""
        return 1

    def load(self, case: Case) -> MaskedVideo:
        """The case itself: it is read window by window."""
        return cast(MaskedVideo, case)  # data sets of videos with a target per pixel have no others

    def infer(self, model: nn.Module, loaded: Sequence[MaskedVideo], *, final: bool) -> list[InferredVideo]:
        """The label maps of videos: of the annotated frames, and if final of all."""
        return [self._infer(model, case, final=final) for case in loaded]

    @torch.inference_mode()
    def _infer(self, model: nn.Module, case: MaskedVideo, *, final: bool) -> InferredVideo:
        annotated, grid = set(case.annotated), case.grid
        native = _Stored(grid.native_shape) if final else None
        probabilities = None
        if final and self._options.probabilities:
            probabilities = _Stored((len(self._target.names), *grid.native_shape))
        scored: dict[int, np.ndarray] = {}
        for first, scores in self._stream(model, case, None if final else annotated):
            numbers = range(first, first + scores.shape[-1])
            places = [place for place, number in enumerate(numbers) if number in annotated]
            if places:
                labels = self._scored_labels(grid, scores[..., places])
                scored |= {numbers[place]: one for place, one in zip(places, labels, strict=True)}
            if native:
                native.put(first, self._native_labels(grid, scores))
            if probabilities:
                collector = NativeProbabilities(_of_frames(grid, len(numbers)), self._target)
                collector.add(scores)
                collector.to_host()
                probabilities.put(first, collector.values(), axis=1)
        return InferredVideo(
            case, scored, native.values if native else None, probabilities.values if probabilities else None
        )

    def _stream(self, model: nn.Module, case: MaskedVideo, wanted: set[int] | None) -> Iterator[tuple[int, Tensor]]:
        """The scores (L, H, W, frames) of successive frames, with the number of the first; default: of all."""
        (length, *plane), options, count = self._input.size, self._options, case.frame_count
        shape = (max(count, length), *case.grid.prepared_shape[1:])
        device = device_of(model, torch.empty(0))
        model = _TimeLast(mirrored(model, options.mirror, self._input.axes))
        size = (*plane, length)
        weight = partial(importance_map, size, options.blending, layout=options.layout)
        at_once = windows_at_once(options.window_batch, device.type, "voxel", self._input.axes)
        starts = window_starts(shape[0], length, options.overlap, options.layout)
        in_plane = find_windows((*shape[1:], length), size, options.overlap, options.layout)
        for run in _runs(starts, length, wanted):
            windows: list[Window] = [
                (*window[:-1], slice(start - run[0], start - run[0] + length)) for start in run for window in in_plane
            ]
            first = run[0]
            frames = case.read(range(first, run[-1] + length))
            stream = _FrameStream(frames, device, (self._input.channels, *shape[1:], run[-1] + length - first))
            for slab in stream_windows(model, stream, windows, weight, at_once):
                there = slab[..., : max(count - first, 0)]  # what was filled in at the end is not a frame
                if there.shape[-1]:
                    yield first, self._average.scores(there) if self._average else there
                first += slab.shape[-1]

    def _native_labels(self, grid: Grid, scores: Tensor) -> np.ndarray:
        """The label maps (frames, H, W) on the grid of the file."""
        collector = self._protocol.native_labels(_of_frames(grid, scores.shape[-1]))
        collector.add(scores)
        collector.to_host()
        return collector.labels()

    def _scored_labels(self, grid: Grid, scores: Tensor) -> np.ndarray:
        """Likewise, on the grid of the protocol."""
        if self._protocol.grid == "native":
            return self._native_labels(grid, scores)
        collector = self._protocol.prepared_labels()
        collector.add(scores)
        return np.moveaxis(collector.labels(), -1, 0)


class _TimeLast(nn.Module):
    """A model of videos on windows whose last axis is time.

    Args:
        model: maps (B, C, T, H, W) to logits (B, labels, T, H, W).
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, H, W, T) to logits (B, labels, H, W, T)."""
        logits: Tensor = self.model(input.movedim(-1, 2).contiguous())
        return logits.movedim(2, -1)


class _FrameStream:
    """Frames that are read as windows reach them, and forgotten once they are past; time is the last axis.

    Args:
        frames: (C, H, W), from the first one on.
        device: where windows are wanted.
        shape: (C, H, W, T).
    """

    def __init__(self, frames: Iterator[Tensor], device: torch.device, shape: tuple[int, ...]) -> None:
        self.device, self.shape = device, shape
        self._frames, self._first, self._stop = frames, 0, 0
        self._held = torch.empty(0)

    def cut(self, window: Window) -> Tensor:
        """A window of it."""
        *plane, time = window
        if time.stop > self._stop:
            read = [next(self._frames) for _ in range(time.stop - self._stop)]
            new = torch.stack(read, dim=-1).to(self.device, non_blocking=True)
            kept = self._held[..., time.start - self._first :] if self._stop else new[..., :0]
            self._held = torch.cat([kept, new], dim=-1)
            self._first, self._stop = time.start, time.stop
        return self._held[(slice(None), *plane)]


class _Stored:
    """Bytes of frames in a temporary file, of which memory holds what it has room for.

    Args:
        shape: of all of them.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        with writing(Path(tempfile.gettempdir())), tempfile.TemporaryFile() as file:
            chunk = bytes(1 << 20)
            for start in range(0, prod(shape), len(chunk)):  # written: a full disk is an error here, and not a crash
                file.write(chunk[: prod(shape) - start])
            file.flush()
            self.values: np.ndarray = np.memmap(file, np.uint8, "r+", shape=shape)

    def put(self, first: int, part: np.ndarray, axis: int = 0) -> None:
        """Store some from a place on along an axis."""
        self.values[(slice(None),) * axis + (slice(first, first + part.shape[axis]),)] = part


def _runs(starts: Sequence[int], length: int, wanted: set[int] | None) -> Iterator[list[int]]:
    """The starts of windows that see a wanted frame, in runs without a gap between windows; default: of all."""
    seeing = [
        start for start in starts if wanted is None or any(number in wanted for number in range(start, start + length))
    ]
    if not seeing:
        return
    run = [seeing[0]]
    for before, start in pairwise(seeing):
        if start > before + length:
            yield run
            run = []
        run.append(start)
    yield run


def _of_frames(grid: Grid, count: int) -> Grid:
    """The grid of some frames, whose prepared arrays have time last."""
    return Grid(
        native_shape=(count, *grid.native_shape[1:]),
        native_spacing=grid.native_spacing,
        prepared_shape=(*grid.prepared_shape[1:], count),
        prepared_spacing=(*grid.prepared_spacing[1:], grid.prepared_spacing[0]),
        axes=(1, 2, 0),
        scale=(*grid.scale[1:], 1.0),
        offset=(*grid.offset[1:], 0.0),
    )
