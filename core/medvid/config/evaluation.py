"""The evaluation block of a task: common options, and options that depend on what the head predicts."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from medvid.config.named import Named
from medvid.config.numbers import FractionBelowOne
from medvid.config.options import Options, ProtocolOptions
from medvid.plugin.info import TargetInfo, described
from medvid.plugin.specs import Axes, Where

WindowBatch = PositiveInt | Literal["auto"]

CPU_BATCH = 4
"""Windows, or views, that are inferred at once by default; a GPU takes `CUDA_BATCH`."""
CUDA_BATCH: Mapping[Where, Mapping[Axes, int]] = {
    "voxel": {"image": 16, "volume": 4, "video": 4},
    "frame": {"volume": 4, "video": 16},
    "case": {"image": 32, "volume": 4, "video": 16},
}
"""As many as keep a GPU busy and fit into 8 GiB beside the weights, even in float32.

The largest maps that are needed at once take, of the shipped models: for voxels, at full resolution with 32 + 16
channels before the logits, 4 x 48 x 96^3 x 4 B = 0.7 GB for volumes (1.6 GB for windows of 128^3) and
16 x 48 x 512^2 x 4 B = 0.8 GB for images; of clips, 25 088 tokens with 96 channels and four times as many in the MLP,
16 x 25 088 x 5 x 96 x 4 B = 0.8 GB; of images of 224^2, 64 channels at half the resolution, twice,
32 x 2 x 64 x 112^2 x 4 B = 0.2 GB.
"""


def windows_at_once(asked: WindowBatch, device: str, where: Where, axes: Axes) -> int:
    """How many windows, or views, a model infers at once.

    Args:
        asked: the option `window_batch`.
        device: type of the device, ``"cpu"`` or ``"cuda"`` or another.
        where: what is predicted for each of: voxels need the largest maps.
        axes: of a window.
    """
    if asked != "auto":
        return asked
    return CUDA_BATCH[where][axes] if device == "cuda" else CPU_BATCH


Mirror = Literal["trained"] | tuple[Literal["R", "A", "S", "H", "W"], ...]
ALL = "all"
"""Stands for all labels together where steps of a post-processing are named."""
Regions = dict[str, Annotated[tuple[PositiveInt, ...], Field(min_length=1)]]
FurtherFigures = Literal["volume", "average_distance", "surfels", "lesions", "instances", "centre_line"]


def check_regions(regions: Regions, info: TargetInfo) -> None:
    """Refuse regions of labels that do not exist.

    Raises:
        ValueError: naming the region.
    """
    for name, ids in regions.items():
        if beyond := [label for label in ids if label >= len(info.names)]:
            raise ValueError(
                f"regions.{name} has the label {beyond[0]}, but the labels are "
                f"{', '.join(f'{label} {words}' for label, words in enumerate(info.names))}"
            )


class MedvidProtocolOptions(ProtocolOptions):
    """medvid's own figures: label maps on the grid of their files; cases, and frames, by the mean of their views."""

    name: Literal["medvid"]
    tolerance: PositiveFloat | None = None
    """For label maps: tolerance of the surface Dice, in mm, or in pixels if files have no physical size; default: 2."""
    further: tuple[FurtherFigures, ...] = ()
    """For label maps: also the error of the volume, average distances between surfaces (ASSD, MASD), HD95 and surface
    Dice by surfels (DeepMind's), lesion F1 and counts, panoptic quality and AJI of connected components, clDice (needs
    scikit-image)."""
    regions: Regions = Field(default_factory=dict)
    """For label maps: ids of the labels that each region unites, by its name; they are scored in place of labels."""

    def check_target(self, info: TargetInfo) -> None:
        """Refuse a tolerance for targets without surfaces, see `ProtocolOptions.check_target`."""
        of_label_maps = {"tolerance": self.tolerance is not None, "further": self.further, "regions": self.regions}
        given = [name for name, value in of_label_maps.items() if value]
        if given and (info.where != "voxel" or info.what == "value"):
            raise ValueError(f"{given[0]} is of label maps, but the target is {described(info.where, info.what)}")
        if self.regions and info.what == "labels":
            raise ValueError("regions unite classes, but the target is labels per voxel, which may be regions already")
        if self.regions:
            check_regions(self.regions, info)
        if "centre_line" in self.further and find_spec("skimage") is None:
            raise ValueError('centre_line needs scikit-image: pip install "medvid[centre-lines]"')


TOLERANCE = 2.0
"""Default tolerance of the surface Dice."""


class EvaluationOptions(Options):
    """The common part of evaluation blocks."""

    every: PositiveInt | None = None
    """Steps between evaluations during training; default: only at the end."""
    split: str = "validation"
    """The split to evaluate."""
    checkpoint: Literal["best", "last"] = "best"
    """Which weights the closing evaluation uses."""
    protocol: Annotated[ProtocolOptions, Named("protocol")] = MedvidProtocolOptions(name="medvid")
    """How outputs become predictions, and predictions figures: medvid's way, or a publication's."""
    smooth: FractionBelowOne = 0.0
    """Weight of the past in the moving average of validation figures that chooses the best weights; nnU-Net: 0.9. 0:
    each figure counts for itself."""
    figures: NonNegativeInt = 3
    """Number of cases to draw in the closing evaluation."""


class VoxelEvaluationOptions(EvaluationOptions):
    """How voxels are inferred and scored."""

    protocol: Annotated[ProtocolOptions, Named("protocol", where="voxel")] = MedvidProtocolOptions(name="medvid")
    """How scores become label maps, and label maps figures: medvid's way, or a publication's."""
    overlap: FractionBelowOne = 0.5
    """Overlap of neighbouring windows, as a fraction of the window."""
    layout: Literal["monai", "nnunet"] = "monai"
    """Where windows lie: at the same distance, the last one moved back (monai), or spread evenly, with a Gaussian that
    ends later (nnunet)."""
    blending: Literal["gaussian", "constant"] = "gaussian"
    """Weight of a window's voxels in the average."""
    mirror: Mirror = ()
    """Axes along which inputs are also mirrored, R, A, S of volumes, H, W of images and videos: the logits of all
    combinations are averaged, 8 for three axes. trained: those that the flips in `dataset.augment` mirror."""
    largest_component: Literal["if_better"] | tuple[str, ...] = ()
    """Keep only the largest component of what is predicted: of `all` labels together, or of labels by name, in this
    order. if_better: the run finds out at its end what raises Dice on its validation cases, as nnU-Net does, keeps that
    in postprocessing.json, and applies it to all later predictions."""
    probabilities: bool = False
    """Also write the probability of each label at each voxel of the file, in a folder `probabilities`."""
    window_batch: WindowBatch = "auto"
    """Windows inferred at once; auto: 4, on a CUDA device 16 of images. Figures depend on it only by rounding, and it
    is halved if memory runs out."""


class AnswerEvaluationOptions(EvaluationOptions):
    """The common part of the blocks for answers of a few numbers, of a case or of a frame."""

    resamples: NonNegativeInt = 200
    """Resamples of the patients, or of the cases where no patients are known, by which the closing evaluation finds
    the intervals of figures; 0: none."""
    ordered: bool = False
    """Whether classes are grades, in their order: adds kappas that weigh a mistake by its distance."""


class CaseEvaluationOptions(AnswerEvaluationOptions):
    """How whole cases are inferred and scored: from several views of each."""

    protocol: Annotated[ProtocolOptions, Named("protocol", where="case")] = MedvidProtocolOptions(name="medvid")
    """Where clips lie and how the views of a case are combined: medvid's way, or a publication's."""
    clips: PositiveInt | Literal["all"] = 1
    """Views in time: clips per video, e.g. 5 in "5 x 1". all: one from every frame of a video that a clip can begin
    at, as in EchoNet-Dynamic's code; the protocol then says only how they are combined."""
    clip_stride: PositiveInt = 1
    """With `clips: all`, the distance in frames between the clips' beginnings."""
    mirror: Mirror = ()
    """As for voxels: the logits of a view and of its mirror images are averaged."""
    crops: Literal[1, 3] = 1
    """Views in space: the centre, or three along the longer side (left, centre, right or top, centre, bottom)."""
    window_batch: WindowBatch = "auto"
    """Views inferred at once, of several cases too; auto: 4, on a CUDA device 32 images or 16 clips. Figures depend on
    it only by rounding, and it is halved if memory runs out."""

    @model_validator(mode="after")
    def _stride_of_all(self) -> Self:
        if self.clip_stride > 1 and self.clips != "all":
            raise ValueError(f"clip_stride is of clips: all, but clips is {self.clips}")
        return self


class FrameEvaluationOptions(AnswerEvaluationOptions):
    """How frames of videos, or slices of volumes, are inferred and scored: by windows along time, or the slices."""

    protocol: Annotated[ProtocolOptions, Named("protocol", where="frame")] = MedvidProtocolOptions(name="medvid")
    """How the answers of all windows that see a frame become its answer: medvid's way, or a publication's."""
    overlap: FractionBelowOne = 0.5
    """Overlap of neighbouring windows, as a fraction of the window; 0: each frame is seen by one window. It changes
    nothing for backbones of images, which see each frame alone, nor where windows answer one frame."""
    mirror: Mirror = ()
    """As for voxels: the logits of a window and of its mirror images are averaged. Of volumes only R and A: slices keep
    their order."""
    window_batch: WindowBatch = "auto"
    """Windows inferred at once, or the frames of so many embedded; auto: 4, on a CUDA device 16 of videos. Figures
    depend on it only by rounding, and it is halved if memory runs out."""


EVALUATION_OPTIONS: dict[Where, type[EvaluationOptions]] = {
    "case": CaseEvaluationOptions,
    "frame": FrameEvaluationOptions,
    "voxel": VoxelEvaluationOptions,
}
"""The model of the evaluation block, by where the head predicts."""
