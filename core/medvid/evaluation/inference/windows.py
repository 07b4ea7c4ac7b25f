"""How voxels are inferred: window by window over a whole case, in bounded memory."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Self, cast

import torch
from torch import Tensor, nn

from medvid.config.evaluation import VoxelEvaluationOptions, windows_at_once
from medvid.data.dataset import Case, SegmentationCase
from medvid.evaluation.inference.ensemble import Average
from medvid.evaluation.inference.mirrored import mirrored
from medvid.evaluation.inference.sliding_window import SliceWise, device_of, stream_scores
from medvid.evaluation.probabilities import NativeProbabilities
from medvid.evaluation.protocols import Collector, LabelMapProtocol
from medvid.plugin.info import InputInfo, TargetInfo


@dataclass(frozen=True, slots=True)
class LoadedVoxels:
    """A case with its prepared input (C, *S)."""

    case: SegmentationCase
    input: Tensor

    def pin_memory(self) -> Self:
        """With the input in pinned memory, from which it is copied to a GPU without waiting."""
        return replace(self, input=self.input.pin_memory())


@dataclass(frozen=True, slots=True)
class InferredVoxels:
    """A case with the label maps that it is to be scored by and written as, on the host.

    Args:
        case: the case.
        scored: on the grid of the protocol.
        native: on the grid of its file.
        probabilities: of each label, on the grid of its file; None unless they are asked for.
    """

    case: SegmentationCase
    scored: Collector
    native: Collector
    probabilities: NativeProbabilities | None = None


class WindowInference:
    """Sliding windows, whose scores become labels as the protocol says.

    A model of images also labels volumes and stacks of images, slice by slice.

    Args:
        options: the task's evaluation block.
        protocol: the grids, and how scores become labels.
        input_info: what the model was trained on; its size is the window.
        target_info: what it predicts.
        average: how the answers of several models, side by side, become one; None for one model.
    """

    loads_ahead = False  # what a case reads is too large to be sent between processes

    def __init__(
        self,
        options: VoxelEvaluationOptions,
        protocol: LabelMapProtocol,
        input_info: InputInfo,
        target_info: TargetInfo,
        average: Average | None = None,
    ) -> None:
        self._options, self._protocol, self._average = options, protocol, average
        self._window, self._axes, self._target = input_info.size, input_info.axes, target_info

    def cases_at_once(self, device: torch.device) -> int:  # noqa: ARG002 (on none)
        """One: its windows fill batches."""
        return 1

    def load(self, case: Case) -> LoadedVoxels:
        """Read the prepared input of a case."""
        case = cast(SegmentationCase, case)  # the host pairs heads with data sets of the same target only
        return LoadedVoxels(case, case.input())

    def infer(self, model: nn.Module, loaded: Sequence[LoadedVoxels], *, final: bool) -> list[InferredVoxels]:
        """The label maps of cases: the scored one, and if final also the one on the grid of the file."""
        return [self._infer(model, one, final=final) for one in loaded]

    def _infer(self, model: nn.Module, loaded: LoadedVoxels, *, final: bool) -> InferredVoxels:
        native = self._protocol.native_labels(loaded.case.grid)
        scored = native if self._protocol.grid == "native" else self._protocol.prepared_labels()
        collectors = {scored, native} if final else {scored}
        probabilities = None
        if final and self._options.probabilities:
            probabilities = NativeProbabilities(loaded.case.grid, self._target)
            collectors.add(probabilities)
        self._collect(model, loaded.input, collectors)
        for collector in collectors:
            collector.to_host()
        return InferredVoxels(loaded.case, scored, native, probabilities)

    @torch.inference_mode()
    def _collect(self, model: nn.Module, prepared: Tensor, collectors: Collection[Collector]) -> None:
        """Stream a case's scores to the collectors."""
        window, options = self._window, self._options
        device, model = device_of(model, prepared), mirrored(model, options.mirror, self._axes)
        if prepared.ndim > 1 + len(window):
            model, window = SliceWise(model), (*window, 1)
        for slab in stream_scores(
            model,
            prepared,
            window,
            overlap=options.overlap,
            layout=options.layout,
            blending=options.blending,
            window_batch=windows_at_once(options.window_batch, device.type, "voxel", self._axes),
        ):
            scores = self._average.scores(slab) if self._average else slab
            for collector in collectors:
                collector.add(scores)
