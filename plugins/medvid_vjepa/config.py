"""Options of V-JEPA 2, with the names of the authors' code."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import BackboneOptions, WeightsOptions
from medvid.models.transformer_options import check_multiple, check_taps, check_tubelets
from medvid.plugin import InputInfo

VARIANTS: dict[str, dict[str, Any]] = {
    "large": {},
    "huge": {"embed_dim": 1280, "depth": 32},
    "giant": {"embed_dim": 1408, "depth": 40, "num_heads": 22, "mlp_ratio": 48 / 11},
}
"""What differs from the defaults."""


class VJEPAWeights(WeightsOptions):
    """Published weights to start from; the predictor of pre-training is left out."""

    source: Literal["authors", "huggingface"]
    """authors: the code of V-JEPA 2 (.pt), of which the target encoder is taken, as published; huggingface:
    transformers' VJEPA2Model, or VJEPA2ForVideoClassification, whose pooler is that of `num_pooler_layers` 3."""


class VJEPAOptions(BackboneOptions):
    """The encoder of V-JEPA 2 (Assran et al., 2025): a ViT over tubelets with rotary positions; large by default.

    Inputs can have any size that divides into tubelets.
    """

    variant: Literal["large", "huge", "giant"] | None = None
    """A published size, whose options are the defaults of all others here."""
    weights: VJEPAWeights | None = None
    """Published weights to start from; default: the authors' initialisation."""
    patch_size: PositiveInt = 16
    """Height and width of a tubelet."""
    tubelet_size: PositiveInt = 2
    """Frames of a tubelet."""
    embed_dim: PositiveInt = 1024
    """Width of a token: `num_heads` times an even number of at least 6, since channels are turned in pairs."""
    depth: PositiveInt = 24
    """Number of transformer blocks."""
    num_heads: PositiveInt = 16
    """Heads of each attention."""
    mlp_ratio: PositiveFloat = 4.0
    """Width inside the blocks' MLP, as a multiple of `embed_dim`."""
    num_pooler_layers: NonNegativeInt | None = None
    """The embedding is what a learned query finds in the tokens after so many further blocks (the authors' attentive
    pooler, with 3 in the published classifiers); default: there is none, the embedding is the mean of the tokens."""
    drop_path_rate: FractionBelowOne = 0.0
    """Probability of skipping a residual branch of the last block; it grows linearly from 0 in the first."""
    taps: tuple[NonNegativeInt, ...] = ()
    """Blocks, counted from 0, whose output is a feature map, not normalised; the normalised final one is the last."""

    @property
    def tubelet(self) -> tuple[int, int, int]:
        """Frames, height and width of a tubelet."""
        return self.tubelet_size, self.patch_size, self.patch_size

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
    def _sizes_fit(self) -> "VJEPAOptions":
        check_multiple(self, "embed_dim", of="num_heads")
        check_taps(self.taps, self.depth)
        channels = self.embed_dim // self.num_heads
        if channels % 2 or channels < 6:
            raise ValueError(
                f"embed_dim ({self.embed_dim}) leaves {channels} channels to each of num_heads ({self.num_heads}); "
                "rotary positions take an even number of at least 6"
            )
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
