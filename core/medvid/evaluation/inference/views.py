"""How whole cases are inferred: each from several views, clips in time and crops in space."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Self, cast

import torch
from torch import Tensor, nn

from medvid.config.evaluation import CaseEvaluationOptions, windows_at_once
from medvid.data.dataset import Case, FilmedCase, ViewedCase
from medvid.data.views import SharedFrames
from medvid.errors import ConfigError
from medvid.evaluation.inference.ensemble import Average, combining
from medvid.evaluation.inference.mirrored import mirrored
from medvid.evaluation.protocols import ViewProtocol
from medvid.plugin.info import InputInfo, TargetInfo


@dataclass(frozen=True, slots=True)
class LoadedViews:
    """A case with its views (V, C, *S), as a loader process sends it."""

    case: ViewedCase
    views: Tensor | SharedFrames

    def pin_memory(self) -> Self:
        """With the views in pinned memory, from which they are copied to a GPU without waiting."""
        return replace(self, views=self.views.pin_memory())


@dataclass(frozen=True, slots=True)
class InferredViews:
    """A case with its answer.

    Args:
        case: the case.
        answer: what `ViewProtocol.combine` made of its views, (N,) float64 on the host.
        size: of its views, *S.
    """

    case: ViewedCase
    answer: Tensor
    size: tuple[int, ...]


class ViewInference:
    """The answers for a case's views (clips x crops) are averaged as the protocol says.

    On a GPU the views of several cases share a batch. On CPUs that gains nothing, and a case keeps its bits whoever its
    neighbours are.

    Args:
        options: the task's evaluation block.
        protocol: where clips lie, and what is averaged.
        input_info: what the model was trained on.
        target_info: what it predicts.
        average: how the answers of several models, side by side, become one; None for one model.
    """

    loads_ahead = True  # decoding takes longer than a forward pass on a GPU

    def __init__(
        self,
        options: CaseEvaluationOptions,
        protocol: ViewProtocol,
        input_info: InputInfo,
        target_info: TargetInfo,  # noqa: ARG002 (the protocol knows what is needed of it)
        average: Average | None = None,
    ) -> None:
        self._options, self._protocol, self._axes = options, protocol, input_info.axes
        self._combine = combining(protocol.combine, average)

    def cases_at_once(self, device: torch.device) -> int:
        """As many as have a batch of views together, at least one."""
        if self._options.clips == "all" or device.type == "cpu":
            return 1
        return max(1, self._views_at_once(device) // (self._options.clips * self._options.crops))

    def load(self, case: Case) -> LoadedViews:
        """Read the views of a case."""
        views = cast(ViewedCase, case)  # the host pairs heads with data sets of the same target only
        options = self._options
        if options.clips == "all":
            if not isinstance(case, FilmedCase):
                raise ConfigError(f"evaluation.clips is all, but case {case.id} has no clips from every frame")
            return LoadedViews(views, case.all_views(options.clip_stride, options.crops))
        return LoadedViews(views, views.views(options.clips, options.crops, self._protocol.placement))

    @torch.inference_mode()
    def infer(self, model: nn.Module, loaded: Sequence[LoadedViews], *, final: bool) -> list[InferredViews]:  # noqa: ARG002 (the same for all)
        """The answers of cases, each from its views."""
        device = next(model.parameters()).device
        model, at_once = mirrored(model, self._options.mirror, self._axes), self._views_at_once(device)
        inferred = []
        for size, group in groupby(loaded, lambda one: one.views.shape[2:]):
            cases = [*group]
            views = _joined([one.views.to(device, non_blocking=True) for one in cases])
            parts = (views[start : start + at_once] for start in range(0, len(views), at_once))
            logits = torch.cat([model(part) for part in parts])
            answers = torch.split(logits.cpu().double(), [len(one.views) for one in cases])
            inferred += [
                InferredViews(one.case, self._combine(answer), tuple(size))
                for one, answer in zip(cases, answers, strict=True)
            ]
        return inferred

    def _views_at_once(self, device: torch.device) -> int:
        return windows_at_once(self._options.window_batch, device.type, "case", self._axes)


def _joined(views: list[Tensor | SharedFrames]) -> Tensor | SharedFrames:
    """The views of all cases; those that share frames come alone."""
    return views[0] if len(views) == 1 else torch.cat(cast(list[Tensor], views))
