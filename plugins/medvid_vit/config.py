"""Options of ViT, with timm's names."""

from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import BackboneOptions, WeightsOptions
from medvid.models.transformer_options import check_multiple, check_size, check_taps
from medvid.plugin import InputInfo


class ViTWeights(WeightsOptions):
    """A published ViT to start from."""

    source: Literal["timm", "google_npz"]
    """timm: a state of timm's VisionTransformer (also the older jx_vit files); google_npz: Google's files."""


class ViTOptions(BackboneOptions):
    """A ViT over the patches of an image (Dosovitskiy et al., ICLR 2021, section 3.1); the defaults are ViT-B/16."""

    weights: ViTWeights | None = None
    """Published weights to start from; default: timm's initialisation."""
    img_size: tuple[PositiveInt, PositiveInt]
    """Input height and width, each a multiple of `patch_size`."""
    patch_size: PositiveInt = 16
    """Edge length of a patch."""
    embed_dim: PositiveInt = 768
    """Width of a token, a multiple of `num_heads`."""
    depth: PositiveInt = 12
    """Number of transformer blocks."""
    num_heads: PositiveInt = 12
    mlp_ratio: PositiveFloat = 4.0
    """Width inside the blocks' MLP, as a multiple of `embed_dim`."""
    qkv_bias: bool = True
    """Add a bias to queries, keys and values."""
    eps: PositiveFloat = 1e-6
    """Added to the variance by the norms: 1e-6 in timm and VTN, 1e-5 in STAM."""
    drop_path_rate: FractionBelowOne = 0.0
    """Probability of skipping a residual branch of the last block; it grows linearly from 0 in the first."""
    taps: tuple[NonNegativeInt, ...] = ()
    """Blocks, counted from 0, whose output is a feature map; the normalised final output is always the last map."""

    @property
    def grid(self) -> tuple[int, int]:
        """Patches per axis."""
        height, width = self.img_size
        return height // self.patch_size, width // self.patch_size

    @model_validator(mode="after")
    def _sizes_fit(self) -> "ViTOptions":
        check_multiple(self, "img_size", of="patch_size")
        check_multiple(self, "embed_dim", of="num_heads")
        check_taps(self.taps, self.depth)
        return self

    def check_input(self, info: InputInfo) -> None:
        """Refuse an input of another size than img_size: its patches would have no position embeddings.

        Raises:
            ValueError: naming both sizes.
        """
        check_size(info, self.img_size)
