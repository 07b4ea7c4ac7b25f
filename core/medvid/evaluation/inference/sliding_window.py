"""Sliding-window inference as a stream: the class scores of a volume are never held whole.

Windows are visited in the order of their position on the last axis, the slice axis of a volume. A plane that no later
window touches is finished and handed on at once, so the scores in memory are as deep as one window.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from medvid.devices.free_memory import free_memory
from medvid.evaluation.inference.window_layout import Blending, Layout, Window, find_windows, importance_map

BUFFER_SHARE = 0.5
"""Of a device's free memory, what the scores of one case may take; the rest is for the model."""


def stream_scores(
    model: nn.Module,
    input: Tensor,
    size: Sequence[int],
    *,
    overlap: float,
    blending: Blending,
    window_batch: int,
    layout: Layout = "monai",
) -> Iterator[Tensor]:
    """Infer a volume or image window by window and yield slabs of finished scores in order.

    As in MONAI and nnU-Net it is the logits that are averaged, not probabilities, and an input smaller than the window
    is padded with zeros on both sides. Sums and weights are float32; nnU-Net's are float16, and so up to half a logit
    off at the rim.

    The whole input goes to the model's device, being smaller than the buffer of scores with its channel per label. That
    buffer, (labels + 1) x X x Y x depth of a window x 4 B, is there too if `BUFFER_SHARE` of the free memory is enough
    for it and the slabs that are cut from it, as much again at most. Else it is on the host, and each batch waits.

    Args:
        model: maps (B, C, *size) to logits (B, labels, *size), in any floating-point type.
        input: (C, *S).
        size: the window.
        overlap: of neighbouring windows, as a fraction of the window, in [0, 1).
        blending: weight of a window's voxels in the average.
        window_batch: windows inferred at once.
        layout: where windows lie, and how they are weighted.

    Yields:
        (labels, *S[:-1], d), float32 where the buffer is; joined on the last axis they are (labels, *S).
    """
    padded, crop = _pad(input.to(device_of(model, input), non_blocking=True), size)
    windows = find_windows(padded.shape[1:], size, overlap, layout)
    weight = partial(importance_map, size, blending, layout=layout)
    for slab in stream_windows(model, HeldInput(padded), windows, weight, window_batch):
        yield slab[crop]


class PlaneInput(Protocol):
    """An input of which windows are cut, each no further back on the last axis than the one before it."""

    device: torch.device
    shape: tuple[int, ...]
    """(C, *S)."""

    def cut(self, window: Window) -> Tensor:
        """A window of it, (C, *size), on the device."""
        ...


class HeldInput:
    """An input that is held whole.

    Args:
        input: (C, *S), on the device of the model.
    """

    def __init__(self, input: Tensor) -> None:
        self.device, self.shape = input.device, tuple(input.shape)
        self._input = input

    def cut(self, window: Window) -> Tensor:
        """A view of it."""
        return self._input[(slice(None), *window)]


def stream_windows(
    model: nn.Module,
    input: PlaneInput,
    windows: Sequence[Window],
    weight: Callable[[torch.device], Tensor],
    window_batch: int,
) -> Iterator[Tensor]:
    """Infer windows and yield slabs of finished scores in order, see `stream_scores`.

    Args:
        model: as there.
        input: at least as large as a window.
        windows: sorted by their position on the last axis, without a gap there; the first is at its beginning.
        weight: makes the weight of a window's voxels (*size) on a device.
        window_batch: windows inferred at once.

    Yields:
        (labels, *S[:-1], d); joined on the last axis they end where the last window does.
    """
    buffer: _RollingBuffer | None = None
    for start in range(0, len(windows), window_batch):
        batch = windows[start : start + window_batch]
        scores = model(torch.stack([input.cut(window) for window in batch])).float()
        if buffer is None:
            depth = windows[0][-1].stop - windows[0][-1].start
            buffer = _RollingBuffer((scores.shape[1], *input.shape[1:-1], depth), input.device)
            weights = weight(buffer.device)
        # A batch may span two positions on the last axis: adding its windows one by one keeps batches full and the
        # buffer one window deep.
        for window, score in zip(batch, scores.to(buffer.device), strict=True):
            if window[-1].start > buffer.first:
                yield buffer.advance(window[-1].start)
            buffer.add(window, score, weights)
    if buffer is not None:
        yield buffer.finish()


def device_of(model: nn.Module, input: Tensor) -> torch.device:
    """Where a model is; that of the input for one without parameters and buffers."""
    return next((tensor.device for tensor in chain(model.parameters(), model.buffers())), input.device)


class SliceWise(nn.Module):
    """A 2D model on windows one slice deep: a volume or a stack of images, slices on the last axis.

    Args:
        model: maps (B, C, H, W) to logits (B, labels, H, W).
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, H, W, 1) to logits (B, labels, H, W, 1)."""
        logits: Tensor = self.model(input.squeeze(-1)).unsqueeze(-1)
        return logits


def _pad(input: Tensor, size: Sequence[int]) -> tuple[Tensor, Window]:
    """Zero-pad the spatial axes to at least size; also return the index that crops a slab of scores back.

    A padded last axis has a single slab, and on one that is not padded the index reaches past the end of every slab,
    so the same index serves all slabs.
    """
    missing = [max(window - length, 0) for window, length in zip(size, input.shape[1:], strict=True)]
    before = [length // 2 for length in missing]
    crop = (slice(first, first + length) for first, length in zip(before, input.shape[1:], strict=True))
    padding = [(first, total - first) for first, total in zip(before, missing, strict=True)]
    padded = pad(input, list(chain.from_iterable(reversed(padding)))) if any(missing) else input
    return padded, (slice(None), *crop)


class _RollingBuffer:
    """Weighted sums of scores, and the weights, of the planes that windows still to come may touch."""

    def __init__(self, shape: tuple[int, ...], device: torch.device) -> None:
        self.first = 0  # position on the last axis of the first plane held
        labels, *space = shape
        self.device = _room_for(2 * 4 * (labels + 1) * math.prod(space), device)
        self._sums = torch.zeros(shape, device=self.device)  # (labels, *plane, depth)
        self._weights = torch.zeros(space, device=self.device)  # (*plane, depth)

    def add(self, window: Window, score: Tensor, weight: Tensor) -> None:
        """Add a window that starts at the first plane held."""
        self._sums[(slice(None), *window[:-1])].addcmul_(score, weight)
        self._weights[window[:-1]].add_(weight)

    def advance(self, first: int) -> Tensor:
        """Hand out the blended scores of the planes before first, and make room for as many behind the last."""
        count = first - self.first
        slab = self._sums[..., :count] / self._weights[..., :count]
        for planes in (self._sums, self._weights):
            _shift(planes, count)
        self.first = first
        return slab

    def finish(self) -> Tensor:
        """Hand out the blended scores of all planes held; the buffer itself, as nothing comes after."""
        return self._sums.div_(self._weights)


def _shift(planes: Tensor, count: int) -> None:
    """Move the planes of the last axis to the front by count, in place, and clear the last ones."""
    kept = planes.shape[-1] - count
    for start in range(0, kept, count):  # runs of at most count planes do not overlap with where they go
        stop = min(start + count, kept)
        planes[..., start:stop] = planes[..., start + count : stop + count]
    planes[..., kept:] = 0


def _room_for(size: int, device: torch.device) -> torch.device:
    """The device, if it has room for size bytes of scores; else the host."""
    return device if size <= BUFFER_SHARE * free_memory(device) else torch.device("cpu")
