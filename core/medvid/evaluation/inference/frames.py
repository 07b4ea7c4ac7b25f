"""How frames are inferred: window by window along time, or the slices, in bounded memory."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from medvid.config.axes import SLICES
from medvid.config.evaluation import FrameEvaluationOptions, windows_at_once
from medvid.data.dataset import Case
from medvid.data.framed import FramedCase
from medvid.evaluation.inference.ensemble import Average, combining
from medvid.evaluation.inference.mirrored import mirrored
from medvid.evaluation.inference.pipeline import pipeline
from medvid.evaluation.inference.sliding_window import device_of
from medvid.evaluation.inference.window_layout import window_starts
from medvid.evaluation.protocols import ViewProtocol
from medvid.plugin.info import InputInfo, TargetInfo


@dataclass(frozen=True, slots=True)
class InferredFrames:
    """A case with the answer of each of its frames.

    Args:
        case: the case.
        answers: what `ViewProtocol.combine` made of the windows that see each frame, (frames, N) float64 on the host.
        manner: how, in words.
    """

    case: FramedCase
    answers: Tensor
    manner: str


class FrameInference:
    """Windows as long as in training; a frame's answer is that of all windows that see it, combined by the protocol.

    The windows are read one batch ahead, and only those: a case may be of any length.

    Args:
        options: the task's evaluation block.
        protocol: how the answers of several windows become one.
        input_info: what the model was trained on; its length is that of the window.
        target_info: what it predicts.
        average: how the answers of several models, side by side, become one; None for one model.
    """

    loads_ahead = False  # a case is read window by window, by who infers it

    def __init__(
        self,
        options: FrameEvaluationOptions,
        protocol: ViewProtocol,
        input_info: InputInfo,
        target_info: TargetInfo,  # noqa: ARG002 (the protocol knows what is needed of it)
        average: Average | None = None,
    ) -> None:
        self._options, self._protocol, self._axes = options, protocol, input_info.axes
        self._combine = combining(protocol.combine, average)
        self._length = input_info.size[SLICES[input_info.axes]]

    def cases_at_once(self, device: torch.device) -> int:  # noqa: ARG002 (on none)
        """One: its windows fill batches."""
        return 1

    def load(self, case: Case) -> FramedCase:
        """The case itself: it is read window by window."""
        return cast(FramedCase, case)  # the host pairs heads with data sets of the same target only

    def infer(self, model: nn.Module, loaded: Sequence[FramedCase], *, final: bool) -> list[InferredFrames]:  # noqa: ARG002 (the same for all)
        """The answers of all frames of cases."""
        model = mirrored(model, self._options.mirror, self._axes)
        return [InferredFrames(case, self._infer(model, case), self._manner) for case in loaded]

    def _infer(self, model: nn.Module, case: FramedCase) -> Tensor:
        starts = window_starts(max(case.frame_count, self._length), self._length, self._options.overlap, "monai")
        device = device_of(model, torch.empty(0))
        size = windows_at_once(self._options.window_batch, device.type, "frame", self._axes)

        def read(batch: Sequence[int]) -> Tensor:
            return torch.stack([case.frames(start, start + self._length) for start in batch])

        @torch.inference_mode()
        def answer(windows: Tensor) -> Tensor:
            return cast(Tensor, model(windows.to(device, non_blocking=True))).cpu().double()

        batches = (starts[first : first + size] for first in range(0, len(starts), size))
        outputs = torch.cat([*pipeline(batches, read, answer, lambda output: output)])  # windows, frames of each, N
        return self._combined(starts, outputs)[: case.frame_count]

    def _combined(self, starts: Sequence[int], outputs: Tensor) -> Tensor:
        """The answers of all frames, from those of the windows; between two edges the same windows see all frames."""
        length = self._length
        edges = sorted({edge for start in starts for edge in (start, start + length)})
        parts = []
        for first, end in pairwise(edges):
            seeing = range(bisect_left(starts, end - length), bisect_right(starts, first))
            views = torch.stack([outputs[one, first - starts[one] : end - starts[one]] for one in seeing])
            parts.append(self._combine(views))
        return torch.cat(parts)

    @property
    def _manner(self) -> str:
        how = "the mean" if self._protocol.what == "value" else f"by {self._protocol.average}"
        overlap = f"which overlap by {self._options.overlap:.0%}, {how} of those that see a frame"
        return f"protocol {self._options.protocol.name}: windows of {self._length} frames, {overlap}"
