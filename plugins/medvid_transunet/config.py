"""Options of the TransUNet backbone and of its decoder, named as the authors' code names them."""

from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from medvid.config.options import BackboneOptions, Options, WeightsOptions
from medvid.config.segmentation import DiceCEOptions, SegmentationHeadOptions
from medvid.config.transformers import check_multiple, check_size
from medvid.plugin.info import InputInfo

Probability = Annotated[float, Field(ge=0, lt=1)]

RESNET_STRIDE = 16
RESNET_GROUPS = 32
"""Groups of the ResNet's norms."""


class TransUNetWeights(WeightsOptions):
    """Published weights to start from."""

    source: Literal["google_npz", "transunet"]
    """google_npz: ImageNet-21k weights as Google published them (R50+ViT-B_16.npz); transunet: a whole TransUNet."""


class ResNetOptions(Options):
    """The ResNetV2 in front of the transformer (Kolesnikov et al., ECCV 2020), of three stages."""

    num_layers: tuple[PositiveInt, PositiveInt, PositiveInt] = (3, 4, 9)
    """Bottleneck blocks of each stage."""
    width_factor: PositiveFloat = 1.0
    """Multiplies all channels; 1 is 64 in the stem and 1024 at the end. A multiple of 0.5."""

    @property
    def width(self) -> int:
        """Channels of the stem."""
        return int(64 * self.width_factor)

    @field_validator("width_factor")
    @classmethod
    def _groups_divide(cls, factor: float) -> float:
        if 64 * factor % RESNET_GROUPS:
            raise ValueError(f"{factor} is not a multiple of 0.5: the norms divide the channels into 32 groups")
        return factor


class TransUNetOptions(BackboneOptions):
    """A ResNet, and a ViT over the pixels of its last map (Chen et al., 2021, section 3.2); defaults R50-ViT-B_16."""

    weights: TransUNetWeights | None = None
    """Published weights to start from; without, the initialisation of the published code."""
    img_size: tuple[PositiveInt, PositiveInt]
    """Input height and width, each a multiple of `patch_size`."""
    resnet: ResNetOptions | None = ResNetOptions()
    """The ResNet; null for the pure ViT, whose patches are projected right away."""
    patch_size: PositiveInt = 16
    """Input pixels along the edge of a token; behind a ResNet a multiple of its stride, 16."""
    hidden_size: PositiveInt = 768
    """Width of a token, a multiple of `num_heads`."""
    mlp_dim: PositiveInt = 3072
    """Width inside the blocks' MLP."""
    num_heads: PositiveInt = 12
    num_layers: PositiveInt = 12
    """Number of transformer blocks."""
    dropout_rate: Probability = 0.1
    """Drop probability after the positions and after each layer of the MLPs."""
    attention_dropout_rate: Probability = 0.0
    """Drop probability of attention weights and of the attention's output."""

    @model_validator(mode="after")
    def _sizes_divide(self) -> "TransUNetOptions":
        if self.resnet and self.patch_size % RESNET_STRIDE:
            raise ValueError(
                f"patch_size ({self.patch_size}) is not a multiple of the ResNet's stride, {RESNET_STRIDE}"
            )
        check_multiple(self, "img_size", of="patch_size")
        if self.resnet and max(self.img_size) == RESNET_STRIDE:
            raise ValueError(f"img_size {list(self.img_size)} leaves its norms a single pixel; [16, 32] is the least")
        check_multiple(self, "hidden_size", of="num_heads")
        return self

    def check_input(self, info: InputInfo) -> None:
        """Refuse an input of another size than img_size: its patches would have no position embeddings.

        Raises:
            ValueError: naming both sizes and the nearest that work.
        """
        check_size(info, self.img_size, self.patch_size)


class CascadedUpsamplerLoss(DiceCEOptions):
    """Half cross entropy, half Dice over the whole batch, as in the authors' code."""

    batch: bool = True
    smooth_nr: NonNegativeFloat = 1e-5
    smooth_dr: NonNegativeFloat = 1e-5
    lambda_dice: NonNegativeFloat = 0.5
    lambda_ce: NonNegativeFloat = 0.5


class CascadedUpsamplerOptions(SegmentationHeadOptions):
    """The cascaded upsampler, CUP (Chen et al., 2021, section 3.3)."""

    loss: CascadedUpsamplerLoss = CascadedUpsamplerLoss()
    """The training loss."""
    head_channels: PositiveInt = 512
    """Channels that the coarsest map is brought to first."""
    decoder_channels: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (256, 128, 64, 16)
    """Channels of each level, the last at full resolution; where there are more levels the first is repeated."""
    n_skip: NonNegativeInt = 3
    """Largest number of skip connections, from the coarsest level on."""
