"""How frames are inferred: by windows along time, or the slices, or as a stream; in bounded memory."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from medvid.config.axes import SLICES
from medvid.config.evaluation import FrameEvaluationOptions, windows_at_once
from medvid.data.dataset import Case
from medvid.data.framed import FramedCase
from medvid.evaluation.inference.ensemble import Average, combining
from medvid.evaluation.inference.frame_passes import (
    outputs_of,
    starts_of_windows,
    stream_passes,
    window_passes,
    woven,
)
from medvid.evaluation.inference.mirrored import mirrored
from medvid.evaluation.inference.sliding_window import device_of
from medvid.evaluation.protocols import ViewProtocol
from medvid.models.frame_head import Context
from medvid.plugin.info import InputInfo, TargetInfo


@dataclass(frozen=True, slots=True)
class InferredFrames:
    """A case with the answer of each of its frames.

    Args:
        case: the case.
        answers: what `ViewProtocol.combine` made of the outputs for each frame, (frames, N) float64 on the host.
        manner: how, in words.
    """

    case: FramedCase
    answers: Tensor
    manner: str


class FrameInference:
    """One answer for each frame of a case of any length, which is read once, from its beginning to its end.

    A model that sees each frame alone before anything else (`Model.context`) embeds each once. What follows is the same
    for embeddings and, of other models, frames: where windows answer one frame, there is a window for each frame of the
    case. Where they answer all of theirs, the embeddings are one sequence; windows of frames overlap, and the protocol
    combines what those that see a frame answer for it.

    Args:
        options: the task's evaluation block.
        protocol: how the answers of several windows become one.
        input_info: what the model was trained on: how long windows are, and which frames they answer.
        target_info: what it predicts.
        average: how the answers of several models, side by side, become one; None for one model.
    """

    loads_ahead = False  # a case is read piece by piece, by who infers it

    def __init__(
        self,
        options: FrameEvaluationOptions,
        protocol: ViewProtocol,
        input_info: InputInfo,
        target_info: TargetInfo,  # noqa: ARG002 (the protocol knows what is needed of it)
        average: Average | None = None,
    ) -> None:
        self._options, self._protocol, self._info = options, protocol, input_info
        self._combine = combining(protocol.combine, average)
        self._axis = SLICES[input_info.axes]
        self._length = input_info.size[self._axis]

    def cases_at_once(self, device: torch.device) -> int:  # noqa: ARG002 (on none)
        """One: its frames fill batches."""
        return 1

    def load(self, case: Case) -> FramedCase:
        """The case itself: it is read piece by piece."""
        return cast(FramedCase, case)  # the host pairs heads with data sets of the same target only

    def infer(self, model: nn.Module, loaded: Sequence[FramedCase], *, final: bool) -> list[InferredFrames]:  # noqa: ARG002 (the same for all)
        """The answers of all frames of cases."""
        model = mirrored(model, self._options.mirror, self._info.axes)
        context: Context | None = getattr(model, "context", None)
        manner = self._manner(context)
        return [InferredFrames(case, self._infer(model, context, case), manner) for case in loaded]

    def _infer(self, model: Any, context: Context | None, case: FramedCase) -> Tensor:
        info, count = self._info, case.frame_count
        device = device_of(model, torch.empty(0))
        windows = windows_at_once(self._options.window_batch, device.type, "frame", info.axes)
        frames = windows * self._length

        def apart(given: Tensor) -> Tensor:
            """Frames (C, *S) as (N, C, ...) on the device."""
            return given.to(device, non_blocking=True).movedim(1 + self._axis, 0)

        def whole(given: Tensor) -> Tensor:
            """The model's outputs for windows (B, T, C, ...)."""
            return cast(Tensor, model(given.movedim(1, 2 + self._axis).contiguous()))

        def embedded(given: Tensor) -> Tensor:
            """Embeddings (N, D) of frames (C, *S), each a window of its own."""
            return cast(Tensor, model.embed(apart(given).unsqueeze(2 + self._axis)))[:, 0]

        if context and info.answered == "all":
            passes = stream_passes(model.answer, context, info.step, count, frames)
            return self._combine(torch.cat([*outputs_of(case, passes, embedded, frames)])[None])
        starts = starts_of_windows(info, count, self._options.overlap)
        if context:
            passes, embed = window_passes(model.answer, info, count, starts, frames), embedded
        else:
            passes, embed = window_passes(whole, info, count, starts, windows), apart
        outputs = torch.cat([*outputs_of(case, passes, embed, frames)])
        return self._overlapping(starts, outputs, count) if info.answered == "all" else self._combine(outputs[None])

    def _overlapping(self, starts: Sequence[int], outputs: Tensor, count: int) -> Tensor:
        """The answers of all frames, from those of windows (windows, T, N) that answer all of theirs."""
        step, parts = self._info.step, []
        for offset in range(min(step, count)):
            chosen = [number for number, start in enumerate(starts) if start % step == offset]
            answers = self._combined([starts[number] // step for number in chosen], outputs[chosen])
            parts.append(answers[: len(range(offset, count, step))])
        return woven(parts, count)

    def _combined(self, starts: Sequence[int], outputs: Tensor) -> Tensor:
        """The answers of successive frames; between two edges the same windows see all frames."""
        length = self._length
        edges = sorted({edge for start in starts for edge in (start, start + length)})
        parts = []
        for first, end in pairwise(edges):
            seeing = range(bisect_left(starts, end - length), bisect_right(starts, first))
            views = torch.stack([outputs[one, first - starts[one] : end - starts[one]] for one in seeing])
            parts.append(self._combine(views))
        return torch.cat(parts)

    def _manner(self, context: Context | None) -> str:
        info, protocol = self._info, f"protocol {self._options.protocol.name}"
        apart = "" if info.step == 1 else f", {info.step} apart"
        if context and info.answered == "all":
            seen = f" from {context.before} before it and {context.after} after it{apart}" if any(context) else ""
            return f"{protocol}: frames are embedded one by one, and each is answered once{seen}"
        windows = f"windows of {self._length}{' embedded' if context else ''} frames{apart}"
        if info.answered != "all":
            place = {"last": "it ends with", "centre": "is its centre"}[info.answered]
            return f"{protocol}: {windows}, each of which answers the frame that {place}"
        how = "the mean" if self._protocol.what == "value" else f"by {self._protocol.average}"
        overlap = f"which overlap by {self._options.overlap:.0%}, {how} of those that see a frame"
        return f"{protocol}: {windows}, {overlap}"
