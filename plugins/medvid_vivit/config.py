"""Options of the ViViT backbone, with the names of scenic and transformers."""

from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import BackboneOptions, WeightsOptions
from medvid.models.transformer_options import check_multiple, check_taps, nearest
from medvid.plugin import InputInfo

ModelKind = Literal["joint", "factorised_encoder", "factorised_self_attention", "factorised_dot_product"]
Classifier = Literal["token", "gap", "gmp", "gsp", "0"]
Grid = tuple[PositiveInt, PositiveInt, PositiveInt]

ONE_TOKEN_PER_TUBELET = ("factorised_self_attention", "factorised_dot_product")
"""The models without a class token, since their tokens form a grid of space and time (section 3.3)."""


class ViViTWeights(WeightsOptions):
    """Published weights to start from."""

    source: Literal["huggingface", "scenic", "vit"]
    """huggingface: a VivitForVideoClassification; scenic: the authors' parameters, names joined by ``/``, as .npz or
    .safetensors; vit: an image model (timm's ViT, or one of Google's .npz files), inflated as in section 3.4."""
    grid: Grid | None = None
    """Tubelets per axis (time, height, width) of the file's position table; needed only if the model has another grid
    and the file's grid cannot be inferred from the number of its entries."""
    temporal_attention: Literal["copy", "zero"] = "copy"
    """Source vit, model 3: temporal attention starts as a copy of the spatial one, or (zero) with an output projection
    of zero, so that the model starts as the image model."""


class ViViTOptions(BackboneOptions):
    """A transformer over tubelets (Arnab et al., ICCV 2021); the defaults are ViViT-B/16x2, model 1."""

    weights: ViViTWeights | None = None
    """Published weights to start from; default: the initialisation of the published code."""
    model: ModelKind = "joint"
    """Models 1 to 4 of section 3.3: attention between all tokens; a spatial encoder per time index followed by a
    temporal one; temporal and spatial attention in turns within a block; half of the heads temporal, half spatial."""
    num_frames: PositiveInt = 32
    """Frames of a clip, a multiple of the tubelet's."""
    image_size: tuple[PositiveInt, PositiveInt] = (224, 224)
    """Height and width of a frame, each a multiple of the tubelet's."""
    tubelet_size: Grid = (2, 16, 16)
    """Frames, height and width of a token; with one frame it is the paper's uniform frame sampling."""
    hidden_size: PositiveInt = 768
    """Width of a token, a multiple of `num_heads`."""
    num_layers: PositiveInt = 12
    """Transformer blocks; in model 2, of the spatial encoder."""
    num_heads: PositiveInt = 12
    mlp_dim: PositiveInt = 3072
    """Width inside the blocks' MLP."""
    temporal_num_layers: PositiveInt = 4
    """Model 2: blocks of the temporal encoder. scenic's configuration of L/16x2 for Kinetics has 24."""
    temporal_num_heads: PositiveInt | None = None
    """Model 2: default as in the spatial encoder."""
    temporal_mlp_dim: PositiveInt | None = None
    """Model 2: default as in the spatial encoder."""
    spatial_only_baseline: bool = False
    """Model 2: average over time instead of a temporal encoder."""
    attention_order: Literal["time_space", "space_time"] = "time_space"
    """Model 3: which attention of a block comes first."""
    classifier: Classifier | None = None
    """The embedding: a class token, or the mean (gap), maximum (gmp), sum (gsp) or first (0) of the tokens; in model 2
    of both encoders. Default: token in models 1 and 2, gap in models 3 and 4, which have no class token."""
    representation_size: PositiveInt | None = None
    """Width of a layer with tanh after the embedding; default: no such layer."""
    taps: tuple[NonNegativeInt, ...] = ()
    """Blocks, counted from 0, whose output is a feature map; the normalised final output is always the last map. In
    model 2 they are blocks of the spatial encoder."""
    dropout_rate: FractionBelowOne = 0.0
    """Drop probability after the positions and after each layer of the MLPs."""
    attention_dropout_rate: FractionBelowOne = 0.0
    """Drop probability of attention weights and of the attention's output."""
    stochastic_droplayer_rate: FractionBelowOne = 0.0
    """Probability of skipping a residual branch in the last block; it grows linearly from 0 in the first one."""
    qkv_bias: bool = True
    """Add a bias to queries, keys and values."""
    layer_norm_eps: PositiveFloat = 1e-6
    """Added to the variance by the norms."""
    gelu: Literal["tanh", "none"] = "tanh"
    """The GELU's approximation; tanh as published, none for the exact one."""

    @property
    def pool(self) -> Classifier:
        """`classifier`, or its default for the model."""
        return self.classifier or ("gap" if self.model in ONE_TOKEN_PER_TUBELET else "token")

    @property
    def temporal_sizes(self) -> tuple[int, int, int]:
        """Blocks of the temporal encoder, their heads and the width inside their MLPs."""
        return (
            self.temporal_num_layers,
            self.temporal_num_heads or self.num_heads,
            self.temporal_mlp_dim or self.mlp_dim,
        )

    @property
    def input_size(self) -> tuple[int, int, int]:
        """Frames, height and width of the input."""
        return (self.num_frames, *self.image_size)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tubelets along time, height and width."""
        frames, height, width = (size // edge for size, edge in zip(self.input_size, self.tubelet_size, strict=True))
        return frames, height, width

    @model_validator(mode="after")
    def _tubelets_fill_the_clip(self) -> "ViViTOptions":
        if any(size % edge for size, edge in zip(self.input_size, self.tubelet_size, strict=True)):
            raise ValueError(
                f"num_frames and image_size, {list(self.input_size)}, are not multiples of tubelet_size "
                f"{list(self.tubelet_size)}; {nearest(self.input_size, self.tubelet_size)}"
            )
        return self

    @model_validator(mode="after")
    def _heads_divide(self) -> "ViViTOptions":
        check_multiple(self, "hidden_size", of="num_heads")
        if self.model == "factorised_encoder" and self.temporal_num_heads:
            check_multiple(self, "hidden_size", of="temporal_num_heads")
        if self.model == "factorised_dot_product" and self.num_heads % 2:
            raise ValueError(f"num_heads ({self.num_heads}) has to be even: half of them attend to space, half to time")
        return self

    @model_validator(mode="after")
    def _class_token_where_there_can_be_one(self) -> "ViViTOptions":
        if self.pool in ("token", "0") and self.model in ONE_TOKEN_PER_TUBELET:
            raise ValueError(f"classifier {self.classifier}: the model {self.model} has no class token; use gap")
        return self

    @model_validator(mode="after")
    def _taps_ascend(self) -> "ViViTOptions":
        check_taps(self.taps, self.num_layers, "num_layers")
        return self

    def check_input(self, info: InputInfo) -> None:
        """Refuse clips of another size than the position table is for.

        Raises:
            ValueError: naming both sizes, and the nearest that work.
        """
        if info.size != self.input_size:
            raise ValueError(
                f"num_frames and image_size are {list(self.input_size)}, but the data set gives clips of "
                f"{list(info.size)}; make them equal: {nearest(info.size, self.tubelet_size)}"
            )

    def frames_of_image(self) -> int:
        """A clip's."""
        return self.num_frames
