"""Embeddings of cases: of a case as a whole, of its frames, or of clips along a video."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medvid.config.evaluation import CaseEvaluationOptions, windows_at_once
from medvid.data.dataset import Case
from medvid.data.framed import PLACES
from medvid.data.videos.case import VideoCase
from medvid.errors import ConfigError
from medvid.evaluation.evaluator import Inference
from medvid.evaluation.inference.frames import FrameInference
from medvid.evaluation.inference.mirrored import mirrored
from medvid.evaluation.inference.views import ViewInference
from medvid.evaluation.protocols import ViewProtocol
from medvid.plugin.info import InputInfo, TargetInfo


@dataclass(frozen=True, slots=True)
class InferredFeatures:
    """A case with its embeddings.

    Args:
        case: the case.
        values: (D,) of the case, or (T, D) along it, float32.
        places: of T, by name: seconds, or mm across the slices.
    """

    case: Case
    values: np.ndarray
    places: dict[str, np.ndarray]


class CaseFeatures(ViewInference):
    """The mean embedding of a case's views."""

    def infer(self, model: nn.Module, loaded: Sequence[Any], *, final: bool) -> list[Any]:
        """See `Inference.infer`."""
        found = super().infer(model, loaded, final=final)
        return [InferredFeatures(one.case, one.answer.float().numpy(), {}) for one in found]


class FrameFeatures(FrameInference):
    """The embedding of each frame of a case; where several windows see it, their mean."""

    def infer(self, model: nn.Module, loaded: Sequence[Any], *, final: bool) -> list[Any]:
        """See `Inference.infer`."""
        found = super().infer(model, loaded, final=final)
        return [InferredFeatures(one.case, one.answers.float().numpy(), _places(one.case.places)) for one in found]


class ClipFeatures:
    """The embeddings of clips along a video, decoded once; only the frames of clips that overlap are in memory.

    Args:
        options: the task's evaluation block.
        every: seconds from one clip to the next.
    """

    loads_ahead = False  # a video is read piece by piece, by who infers it

    def __init__(self, options: CaseEvaluationOptions, every: float) -> None:
        self._options, self._every = options, every

    def cases_at_once(self, device: torch.device) -> int:  # noqa: ARG002 (on none)
        """One: its clips fill batches."""
        return 1

    def load(self, case: Case) -> Case:
        """The case itself: it is read piece by piece."""
        return case

    @torch.inference_mode()
    def infer(self, model: nn.Module, loaded: Sequence[VideoCase], *, final: bool) -> list[InferredFeatures]:  # noqa: ARG002 (the same for all)
        """See `Inference.infer`."""
        device = next(model.parameters()).device
        model = mirrored(model, self._options.mirror, "video")
        at_once = windows_at_once(self._options.window_batch, device.type, "case", "video")
        inferred = []
        for case in loaded:
            times: list[float] = []
            parts: list[Tensor] = []
            along = case.along(self._every)
            while batch := list(islice(along, at_once)):
                times += [time for time, _ in batch]
                parts.append(model(torch.stack([clip for _, clip in batch]).to(device)).cpu())
            inferred.append(InferredFeatures(case, torch.cat(parts).numpy(), _places({"time_s": times})))
        return inferred


def feature_inference(
    options: Any,
    protocol: ViewProtocol,
    input_info: InputInfo,
    target_info: TargetInfo,
    every: float | None = None,
) -> Inference:
    """How cases of a task are embedded.

    Args:
        options: the task's evaluation block, of its target.
        protocol: where clips lie.
        input_info: what the model was trained on.
        target_info: what it predicts.
        every: seconds between clips along a video; None: one embedding per case, or per frame in a task of frames.

    Raises:
        ConfigError: the task predicts voxels; or `every` is given for anything but a task of whole videos.
    """
    if target_info.where == "voxel":
        raise ConfigError(
            "the task predicts voxels, and has no embedding of a case",
            hint="take a task of whole cases (heads classification, regression) or of frames",
        )
    if every is not None and (target_info.where != "case" or input_info.axes != "video"):
        kind = {"case": f"a whole {input_info.axes}", "frame": "each frame"}[target_info.where]
        raise ConfigError(
            f"--every is for tasks that answer a video as a whole, but this one answers {kind}",
            hint="leave it out; how many frames a second has, a task of frames says itself: --set dataset.fps=1",
        )
    mean = replace(protocol, what="value")  # embeddings are averaged as they are
    if target_info.where == "frame":
        return FrameFeatures(options, mean, replace(input_info, answered="all"), target_info)
    if every is None:
        return CaseFeatures(options, mean, input_info, target_info)
    return ClipFeatures(options, every)


def _places(places: Mapping[str, Sequence[float]]) -> dict[str, np.ndarray]:
    """Where embeddings lie: in seconds, or mm."""
    return {name: np.asarray(places[name], np.float64) for name in PLACES.values() if name in places}
