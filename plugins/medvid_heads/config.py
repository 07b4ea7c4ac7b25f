"""Options of the heads for any backbone."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import Options
from medvid.models.options import CaseHeadOptions, ClassificationHeadOptions, FrameHeadOptions, SegmentationHeadOptions
from medvid.models.transformer_options import check_multiple
from medvid.plugin.info import TargetInfo


class PixelHeadOptions(SegmentationHeadOptions):
    """A linear layer on every voxel (Long et al., CVPR 2015); it has the options of its loss only."""


class LinearLayerOptions(Options):
    """Of a linear layer, and what comes before it."""

    dropout: FractionBelowOne = 0.0
    """Drop probability before the linear layer."""
    hidden_dim: PositiveInt | None = None
    """Width of a layer before the linear layer; default: there is none."""


class LinearClassifierOptions(LinearLayerOptions, ClassificationHeadOptions):
    """A linear classifier of the embedding: of one class, or of any of several labels."""


class ProbeOptions(ClassificationHeadOptions):
    """A small network on the features of a backbone that is frozen: `train.freeze: [{parameters: backbone.*}]`."""

    pooling: Literal["attentive", "linear"] = "attentive"
    """attentive: learnt queries attend to all tokens of the backbone's coarsest map, then a linear layer, as V-JEPA is
    probed. linear: a linear layer on the embedding, or on the mean of that map where there is none."""
    num_heads: PositiveInt | None = None
    """Attention heads of the pooling, which divide the channels; default: as many as have 64 channels or less each."""
    num_queries: PositiveInt = 1
    """Learnt queries, whose results stand side by side before the linear layer."""
    depth: PositiveInt = 1
    """Blocks of the pooling: the cross-attention, and before it so many of self-attention; 1 as for V-JEPA, 4 as for
    V-JEPA 2."""

    def expects_frozen_backbone(self) -> bool:
        """Yes."""
        return True


class FramesOptions(LinearLayerOptions, FrameHeadOptions):
    """A linear layer on each frame of a video, or slice of a volume: one class, any of several labels, or values."""


class TCNOptions(Options):
    """Stages of dilated convolutions along time: MS-TCN, or with causal ones TeCNO."""

    name: Literal["tcn"] = "tcn"
    stages: PositiveInt = 2
    """Each refines the one before it."""
    dilations: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] | None = None
    """Distance of the three frames that a layer sees, of each layer of a stage; default: 1, 2, 4 ..., as long as all
    three are within a window of the training."""
    channels: PositiveInt = 32
    """Of the layers; MS-TCN has 64."""
    causal: bool = True
    """Whether an answer depends on no later frame (online), as in TeCNO; MS-TCN: false."""
    dropout: FractionBelowOne = 0.5
    """Drop probability in each layer."""


class TransformerOptions(Options):
    """A transformer encoder over the frames, each of which attends to those near it."""

    name: Literal["transformer"]
    reach: PositiveInt | None = None
    """Frames before a frame that it attends to, and as many after it unless causal, in each layer; default: all that a
    window of the training has."""
    num_layers: PositiveInt = 2
    """Its layers."""
    num_heads: PositiveInt = 4
    """Attention heads; they have to divide hidden_size."""
    hidden_size: PositiveInt = 128
    """Width of its layers."""
    dim_feedforward: PositiveInt = 512
    """Width inside them."""
    causal: bool = True
    """Whether an answer depends on no later frame (online)."""
    dropout: FractionBelowOne = 0.1
    """Drop probability in its layers."""

    @model_validator(mode="after")
    def _heads_divide(self) -> "TransformerOptions":
        check_multiple(self, "hidden_size", "num_heads")
        return self


class SequenceOptions(FrameHeadOptions):
    """A model of time over what is seen of each frame of a video, or slice of a volume."""

    temporal: Annotated[TCNOptions | TransformerOptions, Field(discriminator="name")] = TCNOptions()
    """The model of time: {name: tcn} or {name: transformer}. Distances are counted in frames of a window, which
    `dataset.stride` may set apart."""
    smoothing: NonNegativeFloat = 0.0
    """Weight of MS-TCN's loss on jumps of the probabilities from frame to frame, there 0.15; of classes and labels."""

    def check_split(self, accumulate: int, processes: int, info: TargetInfo) -> None:
        """As the loss; and a loss that counts what is known does not add up with one of all frames, part by part."""
        super().check_split(accumulate, processes, info)
        if self.smoothing and accumulate > 1 and not self.loss_for(info).is_mean_over_examples(info):
            raise ValueError(
                "head.smoothing is a mean over all frames, and the loss one over those that are known, which cannot be "
                f"added up from parts of a batch (train.accumulate is {accumulate})"
            )


class LinearRegressionOptions(LinearLayerOptions, CaseHeadOptions):
    """A linear regression on the embedding, of one or several values."""
