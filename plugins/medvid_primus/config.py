"""Options of the Primus backbone and of its decoder."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import BackboneOptions
from medvid.models.options import NNUNetWeights, SegmentationHeadOptions
from medvid.models.transformer_options import check_multiple, check_size
from medvid.plugin import InputInfo

PATCH = 8
"""Edge length of a token, in voxels."""
VARIANTS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "S": {"hidden_size": 396, "num_layers": 12, "num_heads": 6},
        "B": {"hidden_size": 792, "num_layers": 12, "num_heads": 12},
        "M": {"hidden_size": 864, "num_layers": 16, "num_heads": 12},
        "L": {"hidden_size": 1056, "num_layers": 24, "num_heads": 16},
    }
)
STEM_CHANNELS: Mapping[str, tuple[int, int, int, int]] = {"v2": (32, 32, 64, 128), "v3": (32, 64, 256, 1024)}


class PrimusOptions(BackboneOptions):
    """A transformer over tokens of 8 x 8 x 8 voxels (Wald et al., 2025, https://arxiv.org/abs/2503.01835)."""

    weights: NNUNetWeights | None = None
    """Weights to start from; default: the initialisation of the published code."""
    variant: Literal["S", "B", "M", "L"] | None = None
    """Published size: hidden_size, num_layers and num_heads, each of which can still be set."""
    stem: Literal["v1", "v2", "v3"] = "v3"
    """How voxels become tokens: v1, one convolution; v2, residual blocks; v3, these and a projection of each level."""
    img_size: Annotated[tuple[PositiveInt, ...], Field(min_length=3, max_length=3)]
    """Input size on each axis; each a multiple of 8."""
    hidden_size: PositiveInt = 864
    """Width of a token, a multiple of 6 * num_heads: each head turns pairs of channels by the position on each axis."""
    num_layers: PositiveInt = 16
    """Number of transformer blocks."""
    num_heads: PositiveInt = 12
    stem_channels: Annotated[tuple[PositiveInt, ...], Field(min_length=4, max_length=4)] | None = None
    """Channels at full, half, quarter and eighth resolution in the stems v2 and v3; default: as published."""
    layer_scale: PositiveFloat = 0.1
    """What the branches of the blocks are multiplied by when training begins (Touvron et al., ICCV 2021)."""
    drop_path: FractionBelowOne = 0.2
    """Probability of skipping a branch of the last block; it grows linearly from 0 in the first."""

    @property
    def channels_of_stem(self) -> tuple[int, ...]:
        """The channels of the stems v2 and v3, whether they are given or not."""
        return self.stem_channels or STEM_CHANNELS[self.stem]

    @model_validator(mode="before")
    @classmethod
    def _start_from_variant(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and (published := VARIANTS.get(str(given.get("variant")))):
            return {**published, **given}
        return given

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if any(length % PATCH for length in self.img_size):
            raise ValueError(f"img_size {list(self.img_size)} is not a multiple of {PATCH}, the edge of a token")
        check_multiple(self, "hidden_size", of="num_heads")
        if self.hidden_size // self.num_heads % 6:
            raise ValueError(
                f"hidden_size ({self.hidden_size}) over num_heads ({self.num_heads}) is "
                f"{self.hidden_size // self.num_heads}, not a multiple of 6: pairs of channels on three axes"
            )
        if self.stem_channels and self.stem == "v1":
            raise ValueError("stem_channels are of the stems v2 and v3; v1 is a single convolution")
        return self

    def check_input(self, info: InputInfo) -> None:
        """Refuse an input of another size than img_size, which the positions are for.

        Raises:
            ValueError: naming both sizes.
        """
        check_size(info, self.img_size, PATCH)


class PrimusDecoderOptions(SegmentationHeadOptions):
    """The decoder of Primus: transposed convolutions; it has the options of its loss only."""
