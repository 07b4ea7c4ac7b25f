"""Options of the UNETR backbone and of its decoder, named as MONAI and the authors' code name them."""

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from medvid.config.numbers import Fraction, FractionBelowOne
from medvid.config.options import BackboneOptions, Options, ProtocolOptions, WeightsOptions
from medvid.models.options import DecoderOptions
from medvid.models.transformer_options import check_multiple, check_size, check_taps
from medvid.plugin import InputInfo

NormKind = Literal["instance", "batch", "group"]
_STATISTICS = {"eps", "momentum", "affine", "track_running_stats"}
_NORM_ARGUMENTS = {"instance": _STATISTICS, "batch": _STATISTICS, "group": {"num_groups", "eps", "affine"}}


class UNETRWeights(WeightsOptions):
    """A published UNETR checkpoint to start from."""

    source: Literal["monai", "research_contributions"]
    """monai: a state of monai.networks.nets.UNETR; research_contributions: of the authors' code (UNETR/BTCV)."""


class UNETROptions(BackboneOptions):
    """A ViT over non-overlapping patches (Hatamizadeh et al., WACV 2022, section 3.1)."""

    weights: UNETRWeights | None = None
    """Published weights to start from; without, the initialisation of the published code."""
    img_size: Annotated[tuple[PositiveInt, ...], Field(min_length=2, max_length=3)]
    """Input size on each axis; each a multiple of `patch_size`."""
    patch_size: PositiveInt = 16
    """Edge length of a patch."""
    hidden_size: PositiveInt = 768
    """Width of a token, a multiple of `num_heads`."""
    mlp_dim: PositiveInt = 3072
    """Width inside the blocks' MLP."""
    num_heads: PositiveInt = 12
    num_layers: PositiveInt = 12
    """Number of transformer blocks."""
    taps: tuple[NonNegativeInt, ...] = (3, 6, 9)
    """Blocks, counted from 0, whose output is a feature map; the normalised final output is always the last map."""
    proj_type: Literal["conv", "perceptron"] = "perceptron"
    """How the patch projection is initialised; both are the same linear map of a patch's voxels."""
    qkv_bias: bool = False
    """Add a bias to queries, keys and values."""
    dropout_rate: FractionBelowOne = 0.0

    @model_validator(mode="after")
    def _sizes_fit(self) -> "UNETROptions":
        check_multiple(self, "img_size", of="patch_size")
        check_multiple(self, "hidden_size", of="num_heads")
        check_taps(self.taps, self.num_layers, "num_layers")
        return self

    def check_input(self, info: InputInfo) -> None:
        """Refuse an input of another size than img_size: its patches would have no position embeddings.

        Raises:
            ValueError: naming both sizes.
        """
        check_size(info, self.img_size)


class NormArguments(Options):
    """Arguments of a norm, as torch's classes have them."""

    num_groups: PositiveInt | None = None
    eps: PositiveFloat = 1e-5
    momentum: Fraction = 0.1
    affine: bool = True
    track_running_stats: bool = True


class UnetrDecoderOptions(DecoderOptions):
    """The convolutional decoder of UNETR (section 3.2)."""

    feature_size: PositiveInt = 16
    """Channels at full resolution; they double at each halving of the resolution."""
    norm_name: NormKind | tuple[NormKind, NormArguments] = "instance"
    """Norm after each convolution, or [norm, {its arguments}], e.g. [group, {num_groups: 8}]."""
    conv_block: bool = True
    """Follow each but the first step of lifting a skip map by a block of convolutions."""
    res_block: bool = True
    """Make the blocks of convolutions residual."""

    @property
    def norm(self) -> tuple[NormKind, dict[str, Any]]:
        """The norm and those of its arguments that were given; the rest is torch's choice."""
        if isinstance(self.norm_name, str):
            return self.norm_name, {}
        kind, arguments = self.norm_name
        return kind, arguments.model_dump(exclude_unset=True)

    @model_validator(mode="after")
    def _norm_takes_its_arguments(self) -> "UnetrDecoderOptions":
        kind, given = self.norm
        if unknown := set(given) - _NORM_ARGUMENTS[kind]:
            raise ValueError(f"norm_name: a {kind} norm has no {', '.join(sorted(unknown))}")
        if kind == "group" and (not given.get("num_groups") or self.feature_size % given["num_groups"]):
            raise ValueError(
                f"norm_name: a group norm needs num_groups that divide feature_size ({self.feature_size}), "
                "e.g. [group, {num_groups: 4}]"
            )
        return self


class UnetrProtocolOptions(ProtocolOptions):
    """Scoring as the UNETR authors score."""

    name: Literal["unetr"]
    tolerance: PositiveFloat = 2.0
    """Of the surface Dice, in mm, or in pixels where files have no physical size."""
