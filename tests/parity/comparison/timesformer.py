"""TimeSformer against the authors' code and transformers' TimesformerForVideoClassification."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from torch import Tensor, nn

from comparison.fixture import Fixture, UnknownFormatError
from medvid.models.build import build_head
from medvid.models.model import Model
from medvid.models.weights import Translate
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.classification import LinearClassifier
from medvid_heads.config import LinearClassifierOptions
from medvid_timesformer.config import TimeSformerOptions
from medvid_timesformer.model import TimeSformer
from medvid_timesformer.weights import translate

HOST = make_host()

FACEBOOK: dict[str, Any] = {
    "img_size": 224,
    "patch_size": 16,
    "in_chans": 3,
    "num_classes": 1000,
    "embed_dim": 768,
    "depth": 12,
    "num_heads": 12,
    "mlp_ratio": 4.0,
    "qkv_bias": False,
    "qk_scale": None,
    "drop_rate": 0.0,
    "attn_drop_rate": 0.0,
    "drop_path_rate": 0.1,
    "hybrid_backbone": None,
    "norm_layer": "LayerNorm",
    "num_frames": 8,
    "attention_type": "divided_space_time",
    "dropout": 0.0,
}
"""The constructor of the authors' VisionTransformer."""

HUGGINGFACE: dict[str, Any] = {
    "image_size": 224,
    "patch_size": 16,
    "num_channels": 3,
    "num_frames": 8,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-6,
    "qkv_bias": True,
    "attention_type": "divided_space_time",
    "drop_path_rate": 0,
    "num_labels": 2,
}
"""TimesformerConfig."""

OURS = {
    "image_size": "img_size",
    "hidden_size": "embed_dim",
    "num_hidden_layers": "depth",
    "num_attention_heads": "num_heads",
    "layer_norm_eps": "norm_eps",
}
"""Our names of what has another one in transformers."""


class TimeSformerAdapter:
    """Takes what either constructor takes; dropout is off in what is compared, whatever its rate."""

    inert: str | None = None

    def __init__(self, fixture: Fixture) -> None:
        self.source = "huggingface" if "transformers" in fixture.reference else "facebook"
        self.translate: Translate = translate
        defaults = HUGGINGFACE if self.source == "huggingface" else FACEBOOK
        if unknown := set(fixture.arguments) - set(defaults):
            raise UnknownFormatError(f"{fixture.path}: TimeSformer takes no {', '.join(sorted(unknown))}")
        arguments = defaults | dict(fixture.arguments)
        if arguments.get("hybrid_backbone") or arguments.get("hidden_act", "gelu") != "gelu":
            raise UnknownFormatError(f"{fixture.path}: only patches as they are and exact GELU are known")
        try:
            self.options = TimeSformerOptions.model_validate({"name": "timesformer"} | _options(arguments))
            if self.source == "huggingface":
                _check_size(fixture.tensors["input"], arguments)
            self.channels = int(arguments["num_channels" if self.source == "huggingface" else "in_chans"])
            self.labels = int(arguments["num_labels" if self.source == "huggingface" else "num_classes"])
        except (TypeError, ValueError, ValidationError) as error:
            raise UnknownFormatError(f"{fixture.path}: {error}") from error

    def build(self) -> Model:
        rows, columns = self.options.grid
        height, width = rows * self.options.patch[0], columns * self.options.patch[1]
        input_info = InputInfo("video", self.channels, (self.options.num_frames, height, width))
        target_info = TargetInfo("case", "class", tuple(f"label {index}" for index in range(self.labels)))
        backbone = TimeSformer(self.options, input_info)
        head = LinearClassifierOptions(name="classification")
        return Model(backbone, build_head(HOST.build, head, backbone.feature_info, input_info, target_info))

    def arrange(self, input: Tensor) -> Tensor:
        """transformers takes (B, T, C, H, W), and its space_only has a result for each frame."""
        height, width = (size // edge * edge for size, edge in zip(input.shape[-2:], self.options.patch, strict=True))
        whole = input[..., :height, :width]  # the published convolution leaves out the rest
        if self.source == "facebook":
            return whole
        return (
            whole.flatten(0, 1).unsqueeze(2) if self.options.attention_type == "space_only" else whole.transpose(1, 2)
        )

    def modules(self, model: Model) -> Mapping[str, nn.Module]:
        head = model.head
        assert isinstance(head, LinearClassifier)
        return {"feature": head.dropout}

    def losses(self, model: Model, output: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        return model.head.loss(output, target)


def _options(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Our options for the published arguments."""
    options = {OURS.get(name, name): value for name, value in arguments.items()}
    sizes, patches = (_pair(options[name]) for name in ("img_size", "patch_size"))
    options["img_size"] = tuple(size // patch * patch for size, patch in zip(sizes, patches, strict=True))
    if "intermediate_size" in options:
        options["mlp_ratio"] = options["intermediate_size"] / options["embed_dim"]
    if "norm_layer" in options:
        options["norm_eps"] = _eps(str(options["norm_layer"]))
    return {name: value for name, value in options.items() if name in TimeSformerOptions.model_fields}


def _pair(size: Any) -> Any:
    return (size, size) if isinstance(size, int) else size


def _check_size(input: Tensor, arguments: Mapping[str, Any]) -> None:
    """transformers mixes up space and time of clips that are not of the configured size."""
    frames, *size = (input.shape[axis] for axis in (1, 3, 4))
    if [frames, *size] != [arguments["num_frames"], *[arguments["image_size"]] * 2]:
        raise ValueError(f"the input is a clip of {[frames, *size]}, other than num_frames and image_size say")


def _eps(norm_layer: str) -> float:
    """The eps of a layer norm that is given as text, e.g. ``LayerNorm eps=1e-6``; torch's default without."""
    match = re.fullmatch(r"(?:nn\.)?LayerNorm(?:\W+eps=([\d.e-]+)\W*)?", norm_layer)
    if not match:
        raise ValueError(f"norm_layer {norm_layer!r} is not understood, only LayerNorm and its eps")
    return float(match[1] or 1e-5)
