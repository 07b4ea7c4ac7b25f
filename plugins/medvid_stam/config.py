"""Options of STAM, named as torch's and the authors' code name them."""

from typing import Literal

from pydantic import PositiveFloat, PositiveInt

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import WeightsOptions
from medvid.models.framewise_options import FramewiseOptions
from medvid.plugin import InputInfo


class STAMWeights(WeightsOptions):
    """A published STAM to start from."""

    source: Literal["stam"]
    """stam: a checkpoint of the authors' code, whose frames' backbone is a ViT with eps 1e-5."""


class STAMOptions(FramewiseOptions):
    """A transformer encoder over the frames' embeddings (Sharir et al., 2021, section 3.2), by torch's names."""

    weights: STAMWeights | None = None
    """Published weights to start from; default: the initialisation of the published code."""
    num_frames: PositiveInt = 16
    """Frames of a clip."""
    num_layers: PositiveInt = 6
    """Layers of the temporal encoder."""
    num_heads: PositiveInt = 8
    """Its attention heads; they have to divide the width of the frames' embeddings."""
    dim_feedforward: PositiveInt = 2048
    """Width inside its layers."""
    position_std: PositiveFloat = 0.02
    """Standard deviation of the frames' position table at the start. 0.02 as published; with 1 a small model trained
    from scratch learns to distinguish a motion from its reverse."""
    dropout: FractionBelowOne = 0.1
    """Drop probability in its layers."""

    def check_input(self, info: InputInfo) -> None:
        """Refuse clips of another length than num_frames, and frames that the backbone of images cannot take.

        Raises:
            ValueError: naming both lengths, or with that backbone's reason.
        """
        if info.size[0] != self.num_frames:
            raise ValueError(
                f"num_frames is {self.num_frames}, but the data set gives clips of {info.size[0]} frames; "
                "make them equal"
            )
        super().check_input(info)

    def frames_of_image(self) -> int:
        """A clip's."""
        return self.num_frames
