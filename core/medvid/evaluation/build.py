"""The evaluator of a target: its inference by where, its scorer by what."""

from collections.abc import Callable, Mapping
from typing import Any

from medvid.config.evaluation import EvaluationOptions
from medvid.errors import ConfigError
from medvid.evaluation.evaluator import Evaluator, Inference, Scorer
from medvid.evaluation.inference.ensemble import Average
from medvid.evaluation.inference.frames import FrameInference
from medvid.evaluation.inference.videos import VideoInference
from medvid.evaluation.inference.views import ViewInference
from medvid.evaluation.inference.windows import WindowInference
from medvid.evaluation.scoring.case_labels import LabelsScorer
from medvid.evaluation.scoring.case_values import ValueScorer
from medvid.evaluation.scoring.classes import ClassScorer
from medvid.evaluation.scoring.frames import FrameScorer
from medvid.evaluation.scoring.label_maps import LabelMapScorer
from medvid.evaluation.scoring.value_maps import ValueMapScorer
from medvid.evaluation.scoring.video_masks import VideoMaskScorer
from medvid.plugin.host import Host
from medvid.plugin.info import InputInfo, TargetInfo, described
from medvid.plugin.specs import What, Where

INFERENCES: Mapping[Where, Callable[..., Inference]] = {
    "case": ViewInference,
    "frame": FrameInference,
    "voxel": WindowInference,
}
SCORERS: Mapping[tuple[Where, What], Callable[..., Scorer]] = {
    ("case", "class"): ClassScorer,
    ("case", "labels"): LabelsScorer,
    ("case", "value"): ValueScorer,
    ("frame", "class"): FrameScorer,
    ("frame", "labels"): FrameScorer,
    ("frame", "value"): FrameScorer,
    ("voxel", "class"): LabelMapScorer,
    ("voxel", "labels"): LabelMapScorer,
    ("voxel", "value"): ValueMapScorer,
}


def build_evaluator(
    options: EvaluationOptions,
    input_info: InputInfo,
    target_info: TargetInfo,
    host: Host,
    average: Average | None = None,
) -> Evaluator:
    """The evaluator that an evaluation block asks for.

    Args:
        options: the block.
        input_info: what the model is fed in training.
        target_info: what it predicts.
        host: has the protocol.
        average: how the answers of several models become one, if there are several.

    Raises:
        ConfigError: nothing scores such a target, or the protocol does not.
    """
    protocol: Any = host.build(options.protocol, target_info)
    if (target_info.where, target_info.what) not in SCORERS:
        raise ConfigError(f"nothing scores {described(target_info.where, target_info.what)} yet")
    inference, scorer = INFERENCES[target_info.where], SCORERS[target_info.where, target_info.what]
    if (target_info.where, target_info.what, input_info.axes) == ("voxel", "class", "video"):
        inference, scorer = VideoInference, VideoMaskScorer
    return Evaluator(
        inference(options, protocol, input_info, target_info, average), scorer(options, protocol, target_info)
    )
