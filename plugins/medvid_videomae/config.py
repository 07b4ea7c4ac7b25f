"""Options of VideoMAE, with the names of the authors' code."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import BackboneOptions, WeightsOptions
from medvid.models.transformer_options import check_multiple, check_taps, check_tubelets
from medvid.plugin import InputInfo

VARIANTS: dict[str, dict[str, Any]] = {
    "small": {"embed_dim": 384, "num_heads": 6},
    "base": {},
    "large": {"embed_dim": 1024, "depth": 24, "num_heads": 16},
    "huge": {"embed_dim": 1280, "depth": 32, "num_heads": 16},
    "giant": {"embed_dim": 1408, "depth": 40, "num_heads": 16, "mlp_ratio": 48 / 11, "patch_size": 14},
}
"""What differs from the defaults."""


class VideoMAEWeights(WeightsOptions):
    """Published weights to start from, pre-trained or fine-tuned; of pre-trained ones the decoder is left out."""

    source: Literal["authors", "huggingface"]
    """authors: the code of VideoMAE or VideoMAE V2 (.pth); huggingface: transformers' VideoMAEModel,
    VideoMAEForPreTraining or VideoMAEForVideoClassification."""


class VideoMAEOptions(BackboneOptions):
    """The ViT over tubelets of VideoMAE (Tong et al., NeurIPS 2022) and V2 (Wang et al., CVPR 2023); base by default.

    Inputs can have any size that divides into tubelets; the position table is interpolated linearly along time, height
    and width where theirs is not the one that it is made for.
    """

    variant: Literal["small", "base", "large", "huge", "giant"] | None = None
    """A published size, whose options are the defaults of all others here; giant is V2's, with patches of 14."""
    weights: VideoMAEWeights | None = None
    """Published weights to start from; default: the initialisation of the authors' fine-tuning code."""
    img_size: PositiveInt | tuple[PositiveInt, PositiveInt] = 224
    """Height and width for which the position table is made, multiples of `patch_size`: those that the weights were
    trained with; one number: both."""
    num_frames: PositiveInt = 16
    """Frames for which the position table is made, a multiple of `tubelet_size`."""
    patch_size: PositiveInt = 16
    """Height and width of a tubelet."""
    tubelet_size: PositiveInt = 2
    """Frames of a tubelet."""
    embed_dim: PositiveInt = 768
    """Width of a token, a multiple of `num_heads`."""
    depth: PositiveInt = 12
    """Number of transformer blocks."""
    num_heads: PositiveInt = 12
    """Heads of each attention."""
    mlp_ratio: PositiveFloat = 4.0
    """Width inside the blocks' MLP, as a multiple of `embed_dim`."""
    use_mean_pooling: bool = True
    """The last norm is that of the mean of the tokens, which is the embedding, as in fine-tuned models; maps are not
    normalised then. Otherwise each token is normalised, as in pre-training, and the embedding is their mean: for
    features of a frozen encoder. (With false, the authors' code and transformers take the first tubelet's token.)"""
    drop_path_rate: FractionBelowOne = 0.0
    """Probability of skipping a residual branch of the last block; it grows linearly from 0 in the first."""
    taps: tuple[NonNegativeInt, ...] = ()
    """Blocks, counted from 0, whose output is a feature map, not normalised; the last map is the final output."""

    @property
    def tubelet(self) -> tuple[int, int, int]:
        """Frames, height and width of a tubelet."""
        return self.tubelet_size, self.patch_size, self.patch_size

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tubelets along time, height and width of the position table."""
        size = self.img_size
        height, width = (size, size) if isinstance(size, int) else size
        return self.num_frames // self.tubelet_size, height // self.patch_size, width // self.patch_size

    @property
    def mlp_dim(self) -> int:
        """Width inside the MLP, rounded down, without errors from rounding the ratio."""
        return int(self.embed_dim * self.mlp_ratio + 1e-6)

    @model_validator(mode="before")
    @classmethod
    def _start_from_variant(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and (published := VARIANTS.get(str(given.get("variant")))):
            return {**published, **given}
        return given

    @model_validator(mode="after")
    def _sizes_fit(self) -> "VideoMAEOptions":
        check_multiple(self, "img_size", of="patch_size")
        check_multiple(self, "num_frames", of="tubelet_size")
        check_multiple(self, "embed_dim", of="num_heads")
        check_taps(self.taps, self.depth)
        if not self.mlp_dim:
            raise ValueError(f"mlp_ratio ({self.mlp_ratio}) leaves the MLP no width for embed_dim {self.embed_dim}")
        return self

    def check_input(self, info: InputInfo) -> None:
        """Refuse clips that do not divide into tubelets.

        Raises:
            ValueError: naming the size and the nearest that work.
        """
        check_tubelets(info, self.tubelet)

    def frames_of_image(self) -> int:
        """Those of one tubelet."""
        return self.tubelet_size
