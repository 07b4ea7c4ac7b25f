"""The evaluation block of a task: what is common, and what depends on what the head predicts."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from medvid.config.options import Options
from medvid.plugin.specs import TaskKind


class EvaluationOptions(Options):
    """What every evaluation block has."""

    every: PositiveInt | None = None
    """Steps between evaluations during training; default: only at the end."""
    split: str = "validation"
    """The split that is evaluated."""
    checkpoint: Literal["best", "last"] = "best"
    """The weights of the closing evaluation."""
    protocol: str = "medvid"
    """How results are inferred and scored: a named set of definitions."""
    figures: Annotated[int, Field(ge=0)] = 3
    """Pictures of cases to draw in the closing evaluation."""


class SegmentationEvaluationOptions(EvaluationOptions):
    """How segmentations are inferred and scored."""

    protocol: Literal["medvid", "unetr", "transunet", "medt"] = "medvid"
    """medvid: on the grid of the original file. The others as the authors of that model score: unetr on the prepared
    grid; transunet on the original grid, surfaces in voxels; medt F1 and IoU at the training size, two labels only."""
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Overlap of neighbouring windows, as a fraction of the window."""
    blending: Literal["gaussian", "constant"] = "gaussian"
    """Weight of a window's voxels in the average."""
    window_batch: PositiveInt = 4
    """Windows inferred at once."""
    tolerance: PositiveFloat = 2.0
    """Tolerance of the surface Dice, in mm, or in pixels where files have no physical size."""


class ClassificationEvaluationOptions(EvaluationOptions):
    """How whole inputs are classified and scored: from several views of each case."""

    protocol: Literal["medvid", "slowfast", "timesformer"] = "medvid"
    """How the views of a case are combined. medvid and slowfast (which MViT uses): mean of the softmax scores, clips
    spread from the first to the last frame. timesformer: sum of the raw logits, clips at i / clips of the length."""
    clips: PositiveInt = 1
    """Views in time: clips per video, e.g. 5 in "5 x 1"."""
    crops: Literal[1, 3] = 1
    """Views in space: the centre, or three along the longer side (left, centre, right or top, centre, bottom)."""
    window_batch: PositiveInt = 4
    """Views inferred at once."""


EVALUATION_OPTIONS: dict[TaskKind, type[EvaluationOptions]] = {
    "segmentation": SegmentationEvaluationOptions,
    "classification": ClassificationEvaluationOptions,
}
"""The model of the evaluation block, by what the head predicts."""
