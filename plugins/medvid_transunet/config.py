"""Options of the TransUNet backbone and of its decoder, with the names of the authors' code."""

from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from medvid.config.named import Named
from medvid.config.numbers import FractionBelowOne
from medvid.config.options import BackboneOptions, LossOptions, Options, WeightsOptions
from medvid.losses.options import DiceCEOptions
from medvid.models.options import DecoderOptions
from medvid.models.transformer_options import check_multiple, check_size
from medvid.plugin import InputInfo, TargetInfo

RESNET_STRIDE = 16
RESNET_GROUPS = 32
"""Groups of the ResNet's norms."""


class TransUNetWeights(WeightsOptions):
    """Published weights to start from."""

    source: Literal["google_npz", "transunet"]
    """google_npz: Google's ImageNet-21k weights (R50+ViT-B_16.npz); transunet: a whole TransUNet."""


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
    """Published weights to start from; default: the initialisation of the published code."""
    img_size: tuple[PositiveInt, PositiveInt]
    """Input height and width, each a multiple of `patch_size`."""
    resnet: ResNetOptions | None = ResNetOptions()
    """The ResNet; null for the pure ViT, whose patches are projected directly."""
    patch_size: PositiveInt = 16
    """Input pixels along the edge of a token; behind a ResNet a multiple of its stride, 16."""
    hidden_size: PositiveInt = 768
    """Width of a token, a multiple of `num_heads`."""
    mlp_dim: PositiveInt = 3072
    """Width inside the blocks' MLP."""
    num_heads: PositiveInt = 12
    num_layers: PositiveInt = 12
    """Number of transformer blocks."""
    dropout_rate: FractionBelowOne = 0.1
    """Drop probability after the positions and after each layer of the MLPs."""
    attention_dropout_rate: FractionBelowOne = 0.0
    """Drop probability of attention weights and of the attention's output."""

    @model_validator(mode="after")
    def _sizes_divide(self) -> "TransUNetOptions":
        if self.resnet and self.patch_size % RESNET_STRIDE:
            raise ValueError(
                f"patch_size ({self.patch_size}) is not a multiple of the ResNet's stride, {RESNET_STRIDE}"
            )
        check_multiple(self, "img_size", of="patch_size")
        if self.resnet and max(self.img_size) == RESNET_STRIDE:
            raise ValueError(f"img_size {list(self.img_size)} leaves its norms a single pixel; the minimum is [16, 32]")
        check_multiple(self, "hidden_size", of="num_heads")
        return self

    def check_input(self, info: InputInfo) -> None:
        """Refuse an input of another size than img_size: its patches would have no position embeddings.

        Raises:
            ValueError: naming both sizes and the nearest that work.
        """
        check_size(info, self.img_size, self.patch_size)


PUBLISHED_LOSS = DiceCEOptions(batch=True, smooth_nr=1e-5, smooth_dr=1e-5, lambda_dice=0.5, lambda_ce=0.5)
"""Half cross entropy, half Dice over the whole batch, as in the authors' code."""


class CascadedUpsamplerOptions(DecoderOptions):
    """The cascaded upsampler, CUP (Chen et al., 2021, section 3.3)."""

    loss: Annotated[LossOptions, Named("loss", where="voxel")] | None = None
    """The training loss; default: that of the authors for a class, dice_bce for labels, mse for values."""
    head_channels: PositiveInt = 512
    """Channels to which the coarsest map is projected first."""
    decoder_channels: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (256, 128, 64, 16)
    """Channels of each level, the last at full resolution; with more levels the first is repeated."""
    n_skip: NonNegativeInt = 3
    """Largest number of skip connections, starting at the coarsest level."""

    def loss_for(self, info: TargetInfo) -> LossOptions:
        """The loss that is named; else the authors', or the usual one for labels and values."""
        return self.loss or (PUBLISHED_LOSS if info.what == "class" else super().loss_for(info))
