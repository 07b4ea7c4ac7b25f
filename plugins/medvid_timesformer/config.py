"""Options of TimeSformer, with the names of the authors' code."""

from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import BackboneOptions, WeightsOptions
from medvid.models.transformer_options import check_multiple, check_taps
from medvid.plugin import InputInfo


class TimeSformerWeights(WeightsOptions):
    """A published checkpoint to start from.

    Position and time tables whose length differs from the model's are resized as in the authors' code, along the
    flattened grid of patches. To resize them over the rows and columns of the grid instead, keep the checkpoint's
    `img_size` and `num_frames`: the data can have any size.
    """

    source: Literal["facebook", "huggingface", "vit"]
    """facebook: the authors' code (.pyth); huggingface: transformers' TimesformerForVideoClassification; vit: an image
    ViT with timm's names, whose attention also initialises the temporal one, as in the authors' code."""


class TimeSformerOptions(BackboneOptions):
    """A ViT over the patches of all frames (Bertasius et al., ICML 2021); the defaults are the base model."""

    weights: TimeSformerWeights | None = None
    """Published weights to start from; default: the initialisation of the authors' code."""
    img_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 224
    """Height and width for which the position table is made, each a multiple of `patch_size`; one number: both. Inputs
    can have other sizes; the table is resized to them."""
    patch_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 16
    """Height and width of a patch; one number: both."""
    num_frames: PositiveInt = 8
    """Frames for which the time table is made; inputs can have more or fewer."""
    embed_dim: PositiveInt = 768
    """Width of a token, a multiple of `num_heads`."""
    depth: PositiveInt = 12
    """Number of transformer blocks."""
    num_heads: PositiveInt = 12
    """Heads of each attention."""
    mlp_ratio: PositiveFloat = 4.0
    """Width inside the blocks' MLP, as a multiple of `embed_dim`."""
    qkv_bias: bool = True
    """Add a bias to queries, keys and values."""
    qk_scale: PositiveFloat | None = None
    """Factor on the products of queries and keys; default: 1 / sqrt(embed_dim / num_heads)."""
    attention_type: Literal["divided_space_time", "joint_space_time", "space_only"] = "divided_space_time"
    """What a token attends to: first its position in all frames, then its frame; all tokens of all frames at once; or
    only its frame (figure 2 of the paper)."""
    norm_eps: PositiveFloat = 1e-6
    """Added to the variance by the norms."""
    drop_rate: FractionBelowOne = 0.0
    """Drop probability of embedded tokens and of the output of every layer."""
    attn_drop_rate: FractionBelowOne = 0.0
    """Drop probability of attention weights."""
    drop_path_rate: FractionBelowOne = 0.1
    """Probability of skipping a residual branch in the last block; it grows from 0 in the first."""
    time_embed_std: NonNegativeFloat = 0.0
    """Standard deviation of the time table at the start. 0 as published: the order of frames makes no difference at
    first, and a small model trained from scratch hardly tells a motion from its reverse; with 0.5 it does.
    """
    taps: tuple[NonNegativeInt, ...] = ()
    """Blocks, counted from 0, whose output is a further feature map; the normalised final output is always the last."""

    @property
    def patch(self) -> tuple[int, int]:
        """Height and width of a patch."""
        return _pair(self.patch_size)

    @property
    def grid(self) -> tuple[int, int]:
        """Patches in a column and in a row of the position table."""
        (height, width), patch = _pair(self.img_size), self.patch
        return height // patch[0], width // patch[1]

    @property
    def mlp_dim(self) -> int:
        """Width inside the MLP, rounded down, without errors from rounding the ratio."""
        return int(self.embed_dim * self.mlp_ratio + 1e-6)

    @model_validator(mode="after")
    def _sizes_fit(self) -> "TimeSformerOptions":
        check_multiple(self, "img_size", of="patch_size")
        check_multiple(self, "embed_dim", of="num_heads")
        check_taps(self.taps, self.depth)
        if not self.mlp_dim:
            raise ValueError(f"mlp_ratio ({self.mlp_ratio}) leaves the MLP no width")
        return self

    @model_validator(mode="after")
    def _time_table_exists(self) -> "TimeSformerOptions":
        if self.attention_type == "space_only" and self.time_embed_std:
            raise ValueError("time_embed_std cannot be used with attention_type space_only, which has no time table")
        return self

    def check_input(self, info: InputInfo) -> None:
        """Refuse frames that do not divide into patches.

        Raises:
            ValueError: naming the frames' and the patches' size.
        """
        height, width = info.size[-2:]
        if height % self.patch[0] or width % self.patch[1]:
            raise ValueError(
                f"frames of {height} x {width} do not divide into patches of {self.patch[0]} x {self.patch[1]}; "
                "make the data set's size a multiple of patch_size"
            )


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size
