"""Options of the backbones, with the names of timm and vit-pytorch; neither is imported here."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, JsonValue, PositiveInt, field_validator, model_validator

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import BackboneOptions, WeightsOptions
from medvid.plugin import InputInfo
from medvid_timm.names import check_name

TIMM_OWN = {
    "in_chans": "follows from the data set",
    "num_classes": "follows from the data set; the head classifies",
    "features_only": "is not needed: maps are always returned",
    "checkpoint_path": "goes to weights.path",
    "pretrained_cfg": "cannot be set; name a tag in model, or a file in weights.path",
    "pretrained_cfg_overlay": "cannot be set; name a file in weights.path",
    "cache_dir": "cannot be set; HF_HOME is timm's folder for downloads",
    **dict.fromkeys(
        ("img_size", "pretrained", "drop_rate", "drop_path_rate", "out_indices"), "is an option of the backbone itself"
    ),
}
VIT_PYTORCH_OWN = {
    "image_size": "follows from the data set",
    "channels": "follows from the data set",
    "num_classes": "follows from the data set; the head classifies",
    "pool": "cannot be set: the embedding is the class token, or without one the mean of the last map",
    "transformer": "cannot be set",
    "dropout": "is an option of the backbone itself",
}
"""Arguments of the models that `model_args` must not have, and why."""


class ImageModelOptions(BackboneOptions):
    """The common options of both backbones."""

    model: str
    """Name of the model in the collection."""
    img_size: tuple[PositiveInt, PositiveInt] | None = None
    """Height and width of the inputs. If set, the data set's inputs need this size; default: the data set's size."""
    out_indices: tuple[int, ...] | None = None
    """Which of the model's maps to return, counted from 0, or from the end if negative. Default: the last one of each
    resolution; with a single resolution, four at equal distances."""
    model_args: dict[str, JsonValue] = Field(default_factory=dict)
    """Further arguments of the model, passed on unchanged, e.g. {window_size: 4}; it refuses unknown ones."""

    @field_validator("out_indices")
    @classmethod
    def _are_some(cls, indices: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if indices == ():
            raise ValueError("names no map; leave it out for the default")
        return indices

    def check_input(self, info: InputInfo) -> None:
        """Refuse an input whose size is not img_size.

        Raises:
            ValueError: naming both sizes.
        """
        if self.img_size not in (None, info.size):
            raise ValueError(
                f"img_size is {list(self.img_size or ())}, but the data set gives inputs of size {list(info.size)}; "
                "make them equal, or leave out img_size"
            )


class TimmWeights(WeightsOptions):
    """A file of timm to start from."""

    source: Literal["timm"]
    """timm: the state of the same model, as saved and published by timm."""


class TimmOptions(ImageModelOptions):
    """A model of timm."""

    weights: TimmWeights | None = None
    """A file of timm to start from; default: timm's initialisation."""
    model: str
    """Name of the model, see timm.list_models(); a tag, as in vit_base_patch16_224.augreg_in21k, selects the weights
    that `pretrained` downloads."""
    pretrained: bool = False
    """Let timm download its weights whenever the model is built. Prefer `weights`, a file: then the start of a run is
    known, and no network is needed."""
    drop_rate: FractionBelowOne | None = None
    """Drop probability of the embedding, and of the model's further dropout layers; default: timm's."""
    drop_path_rate: FractionBelowOne | None = None
    """Probability of skipping a residual branch of the last block; default: timm's."""

    @field_validator("model")
    @classmethod
    def _exists(cls, model: str) -> str:
        check_name(model)
        return model

    @field_validator("model_args")
    @classmethod
    def _leaves_ours(cls, arguments: dict[str, JsonValue]) -> dict[str, JsonValue]:
        return _without(arguments, TIMM_OWN)

    @model_validator(mode="after")
    def _starts_from_one_thing(self) -> "TimmOptions":
        if self.weights and self.pretrained:
            raise ValueError("weights and pretrained cannot be combined: set one of them")
        return self


class VitPytorchOptions(ImageModelOptions):
    """A model of vit-pytorch, which follows the papers in outline, but not to the parameter."""

    weights: None = None
    """Weights of a run: none were published for these models."""
    model: Literal["deepvit", "t2t_vit", "cvt", "local_vit"]
    """Which model."""
    dropout: FractionBelowOne = 0.0
    """Drop probability in its layers."""

    @field_validator("model_args")
    @classmethod
    def _leaves_ours(cls, arguments: dict[str, JsonValue]) -> dict[str, JsonValue]:
        return _without(arguments, VIT_PYTORCH_OWN)

    def check_input(self, info: InputInfo) -> None:
        """Refuse an input whose size is not img_size, and for all models except CvT one that is not square.

        Raises:
            ValueError: naming the size.
        """
        super().check_input(info)
        if self.model != "cvt" and len(set(info.size)) > 1:
            raise ValueError(f"{self.model} takes square inputs, but the data set gives them of size {list(info.size)}")


def _without(arguments: dict[str, JsonValue], ours: Mapping[str, str]) -> dict[str, Any]:
    if taken := [name for name in arguments if name in ours]:
        raise ValueError("; ".join(f"{name} {ours[name]}" for name in taken))
    return arguments
