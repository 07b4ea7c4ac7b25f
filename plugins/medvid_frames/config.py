"""Options of ViT, named as timm names them, and of STAM and VTN, named as torch's and the authors' code name them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, SerializeAsAny, field_validator, model_validator

from medvid.config.options import BackboneOptions, WeightsOptions
from medvid.config.transformers import check_multiple, check_size, check_taps
from medvid.plugin.info import InputInfo

Probability = Annotated[float, Field(ge=0, lt=1)]


class ViTWeights(WeightsOptions):
    """A published ViT to start from."""

    source: Literal["timm", "google_npz"]
    """timm: a state of timm's VisionTransformer (also the older jx_vit files); google_npz: as Google published them."""


class ViTOptions(BackboneOptions):
    """A ViT over the patches of an image (Dosovitskiy et al., ICLR 2021, section 3.1); the defaults are ViT-B/16."""

    weights: ViTWeights | None = None
    """Published weights to start from; without, timm's initialisation."""
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
    drop_path_rate: Probability = 0.0
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


class FramewiseOptions(BackboneOptions):
    """Base of those that run a backbone of images on each frame and encode time from its embeddings."""

    frame: SerializeAsAny[BackboneOptions]
    """The backbone of images that runs on each frame: a block of its own, e.g. {name: vit, img_size: [224, 224]}."""

    @model_validator(mode="before")
    @classmethod
    def _has_a_frame(cls, block: Any) -> Any:
        if isinstance(block, Mapping) and "frame" not in block:
            raise ValueError(
                "frame is missing: it names the backbone of images that runs on each frame, "
                "e.g. frame: {name: vit, img_size: [224, 224]}"
            )
        return block

    @field_validator("frame", mode="before")
    @classmethod
    def _frame_is_a_block(cls, block: Any) -> Any:
        if not isinstance(block, BackboneOptions):
            raise ValueError(
                f"should be the block of a backbone, e.g. {{name: vit, img_size: [224, 224]}}, not {block!r}"
            )
        return block

    def check_input(self, info: InputInfo) -> None:
        """Refuse frames that the backbone of images cannot take.

        Raises:
            ValueError: with that backbone's reason.
        """
        try:
            self.frame.check_input(replace(info, layout="image", size=info.size[-2:]))
        except ValueError as error:
            raise ValueError(f"its frame backbone {self.frame.name!r}: {error}") from error


class STAMWeights(WeightsOptions):
    """A published STAM to start from."""

    source: Literal["stam"]
    """stam: a checkpoint of the authors' code, whose frames' backbone is a ViT with eps 1e-5."""


class STAMOptions(FramewiseOptions):
    """A transformer encoder over the frames' embeddings (Sharir et al., 2021, section 3.2), by torch's names."""

    weights: STAMWeights | None = None
    """Published weights to start from; without, the initialisation of the published code."""
    num_frames: PositiveInt = 16
    """Frames of a clip."""
    num_layers: PositiveInt = 6
    """Layers of the temporal encoder."""
    num_heads: PositiveInt = 8
    """Its attention heads; they have to divide the width of the frames' embeddings."""
    dim_feedforward: PositiveInt = 2048
    """Width inside its layers."""
    position_std: PositiveFloat = 0.02
    """Standard deviation of the frames' position table at the start. 0.02 as published; with 1 a small model that is
    trained from scratch learns to tell a motion from its reverse."""
    dropout: Probability = 0.1
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


class VTNWeights(WeightsOptions):
    """A published VTN to start from."""

    source: Literal["vtn"]
    """vtn: a checkpoint of the authors' fork of PySlowFast, whose frames' backbone is a ViT."""


class VTNOptions(FramewiseOptions):
    """A Longformer over the frames' embeddings (Neimark et al., 2021, section 3), by its authors' names."""

    weights: VTNWeights | None = None
    """Published weights to start from; without, the initialisation of the published code."""
    num_hidden_layers: PositiveInt = 3
    """Layers of the Longformer."""
    num_attention_heads: PositiveInt = 12
    """Its attention heads; they have to divide the width of the frames' embeddings."""
    intermediate_size: PositiveInt = 3072
    """Width inside its layers."""
    attention_window: PositiveInt | tuple[PositiveInt, ...] = 18
    """Frames that a frame attends to, half of them before and half after it; an even number, one for each layer."""
    max_position_embeddings: Annotated[int, Field(ge=3)] = 288
    """Rows of the position table. Frame indices are taken modulo its length less 2: the last rows are not of frames."""
    position_std: PositiveFloat = 0.02
    """Standard deviation of the position table at the start. 0.02 as published; see STAM's."""
    frame_stride: PositiveInt = 1
    """Distance of neighbouring frames in the video, which is that of their positions: 8 for clips of 16x8."""
    test_frame_stride: PositiveInt | None = None
    """Likewise outside of training; 1 for tests on all frames of a video. Default: as in training."""
    layer_norm_eps: PositiveFloat = 1e-12
    """Added to the variance by the Longformer's norms."""
    hidden_dropout_prob: Probability = 0.1
    """Drop probability of the Longformer's embeddings and of its layers' outputs."""
    attention_probs_dropout_prob: Probability = 0.1
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
