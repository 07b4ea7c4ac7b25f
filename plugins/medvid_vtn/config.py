"""Options of VTN, with the names of the authors' code."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import WeightsOptions
from medvid.models.framewise_options import FramewiseOptions


class VTNWeights(WeightsOptions):
    """A published VTN to start from."""

    source: Literal["vtn"]
    """vtn: a checkpoint of the authors' fork of PySlowFast, whose frames' backbone is a ViT."""


class VTNOptions(FramewiseOptions):
    """A Longformer over the frames' embeddings (Neimark et al., 2021, section 3), by its authors' names."""

    weights: VTNWeights | None = None
    """Published weights to start from; default: the initialisation of the published code."""
    num_hidden_layers: PositiveInt = 3
    """Layers of the Longformer."""
    num_attention_heads: PositiveInt = 12
    """Its attention heads; they have to divide the width of the frames' embeddings."""
    intermediate_size: PositiveInt = 3072
    """Width inside its layers."""
    attention_window: PositiveInt | tuple[PositiveInt, ...] = 18
    """Number of frames that a frame attends to, half before and half after it; even; one number for each layer."""
    max_position_embeddings: Annotated[int, Field(ge=3)] = 288
    """Rows of the position table. Frame indices are taken modulo its length minus 2: the last rows are unused."""
    position_std: PositiveFloat = 0.02
    """Standard deviation of the position table at the start. 0.02 as published; see STAM's."""
    frame_stride: PositiveInt = 1
    """Distance of neighbouring frames in the video, also of their positions: 8 for clips of 16x8."""
    test_frame_stride: PositiveInt | None = None
    """The same outside training; 1 for tests on all frames of a video. Default: as in training."""
    layer_norm_eps: PositiveFloat = 1e-12
    """Added to the variance by the Longformer's norms."""
    hidden_dropout_prob: FractionBelowOne = 0.1
    """Drop probability of the Longformer's embeddings and of its layers' outputs."""
    attention_probs_dropout_prob: FractionBelowOne = 0.1
    """Drop probability of its attention weights."""

    @property
    def windows(self) -> tuple[int, ...]:
        """The attention window of each layer."""
        window = self.attention_window
        return (window,) * self.num_hidden_layers if isinstance(window, int) else window

    @model_validator(mode="after")
    def _windows_fit(self) -> "VTNOptions":
        if len(self.windows) != self.num_hidden_layers:
            raise ValueError(
                f"attention_window has {len(self.windows)} windows, but there are {self.num_hidden_layers} layers "
                "(num_hidden_layers); give one number, or one for each layer"
            )
        if any(window % 2 for window in self.windows):
            raise ValueError(
                f"attention_window ({self.attention_window}) has to be even: half before a frame, half after it"
            )
        return self
