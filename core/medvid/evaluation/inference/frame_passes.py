"""The calls of a model by which all frames of a case are answered, and the one reading of the case that serves them."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from medvid.data.framed import FramedCase, answered_place, filled, window_at
from medvid.evaluation.inference.pipeline import pipeline
from medvid.evaluation.inference.window_layout import window_starts
from medvid.models.frame_head import Context
from medvid.plugin.info import InputInfo

Call = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Pass:
    """A call of a model.

    Args:
        first: the first frame that it needs, or its embedding.
        stop: behind the last one.
        run: maps what is known of these frames (stop - first, ...) to outputs.
    """

    first: int
    stop: int
    run: Call


def starts_of_windows(info: InputInfo, count: int, overlap: float) -> list[int]:
    """Where the windows begin by which all frames are answered, in order; of some, frames lie beyond the case.

    Args:
        info: says what a window is.
        count: frames of the case.
        overlap: of neighbouring windows, as a fraction of their length, where they answer all of their frames.
    """
    length, step = len(window := window_at(0, info)), info.step
    if info.answered != "all":
        return [number - window[answered_place(info.answered, length)] for number in range(count)]
    return sorted(
        offset + step * start
        for offset in range(min(step, count))  # each window sees frames of one offset only
        for start in window_starts(max(len(range(offset, count, step)), length), length, overlap, "monai")
    )


def window_passes(call: Call, info: InputInfo, count: int, starts: Sequence[int], at_once: int) -> Iterator[Pass]:
    """Batches of windows.

    Args:
        call: maps windows (B, T, ...) to outputs (B, T, N).
        info: says what a window is.
        count: frames of the case.
        starts: of the windows, in order.
        at_once: windows of a batch.

    Yields:
        Passes with outputs (B, T, N), or (B, N) where a window answers one frame.
    """
    for number in range(0, len(starts), at_once):
        windows = [filled(window_at(start, info), count) for start in starts[number : number + at_once]]
        first = windows[0][0]

        def run(frames: Tensor, windows: list[list[int]] = windows, first: int = first) -> Tensor:
            places = torch.tensor(windows, device="cpu") - first
            outputs = call(frames[places.to(frames.device, non_blocking=True)])
            return outputs if info.answered == "all" else outputs[:, answered_place(info.answered, len(windows[0]))]

        yield Pass(first, windows[-1][-1] + 1, run)


def stream_passes(call: Call, context: Context, step: int, count: int, at_once: int) -> Iterator[Pass]:
    """Stretches of a case, with as much before and after them as their answers depend on.

    Args:
        call: maps sequences of embeddings (1, T, D) to outputs (1, T, N).
        context: of an output, in frames of a sequence.
        step: distance of the frames of a sequence, in frames of the case.
        count: frames of the case.
        at_once: frames of a stretch, at the least.

    Yields:
        Passes with outputs (frames of the stretch, N).
    """
    before, after = (frames * step for frames in context)
    length = max(at_once, before + after)  # so what is computed again is no more than what is new
    for start in range(0, count, length):
        stop, first = min(start + length, count), max(start - before, 0)

        def run(frames: Tensor, answered: slice = slice(start - first, stop - first)) -> Tensor:
            outputs = [call(frames[offset::step][None])[0] for offset in range(min(step, len(frames)))]
            return woven(outputs, len(frames))[answered]

        yield Pass(first, min(stop + after, count), run)


def woven(parts: Sequence[Tensor], count: int) -> Tensor:
    """One sequence (count, N) of several that took turns: the first has its frames 0, len(parts), ..."""
    whole = parts[0].new_empty(count, parts[0].shape[1])
    for offset, part in enumerate(parts):
        whole[offset :: len(parts)] = part
    return whole


def outputs_of(case: FramedCase, passes: Iterator[Pass], embed: Call, at_once: int) -> Iterator[Tensor]:
    """The outputs of passes, in order, on the host in float64.

    The frames of the case are read once, in a thread, a piece ahead; only those that a later pass needs are kept.

    Args:
        case: the case.
        passes: none of which needs earlier frames than the one before it.
        embed: maps frames (C, *S) on the host to what passes know of each, (N, ...) on the device.
        at_once: frames that are read at once.
    """
    kept, coming = _Frames(), next(passes, None)

    @torch.inference_mode()
    def answer(frames: Tensor) -> list[Tensor]:
        nonlocal coming
        kept.add(embed(frames))
        outputs = []
        while coming and coming.stop <= kept.stop:
            outputs.append(coming.run(kept.between(coming.first, coming.stop)))
            coming = next(passes, None)
        kept.forget(coming.first if coming else kept.stop)
        return outputs

    def read(start: int) -> Tensor:
        return case.frames(start, min(start + at_once, case.frame_count))

    def fetch(outputs: list[Tensor]) -> list[Tensor]:
        return [output.cpu().double() for output in outputs]

    return chain.from_iterable(pipeline(range(0, case.frame_count, at_once), read, answer, fetch))


class _Frames:
    """Frames in their order, each with a tensor of the same shape; the oldest ones are forgotten."""

    def __init__(self) -> None:
        self._pieces, self._first, self.stop = deque[Tensor](), 0, 0

    def add(self, frames: Tensor) -> None:
        """Add the frames (N, ...) that follow; `stop` is then the number of the next one."""
        self._pieces.append(frames)
        self.stop += len(frames)

    def between(self, first: int, stop: int) -> Tensor:
        """The frames first to stop - 1, (stop - first, ...), none of them forgotten."""
        pieces, start = [], self._first
        for piece in self._pieces:
            if start < stop and first < start + len(piece):
                pieces.append(piece[max(first - start, 0) : stop - start])
            start += len(piece)
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def forget(self, first: int) -> None:
        """Forget the frames before the first one that is still wanted, as far as none of their piece is."""
        while self._pieces and self._first + len(self._pieces[0]) <= first:
            self._first += len(self._pieces.popleft())
