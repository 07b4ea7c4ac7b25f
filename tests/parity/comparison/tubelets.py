"""VideoMAE and V-JEPA 2 against transformers' VideoMAEForVideoClassification and VJEPA2ForVideoClassification."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import ValidationError
from torch import Tensor, nn

from comparison.fixture import Fixture, UnknownFormatError
from medvid.config.options import BackboneOptions
from medvid.models.build import build_head
from medvid.models.model import Model
from medvid.models.weights import Translate
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.classification import LinearClassifier
from medvid_heads.config import LinearClassifierOptions
from medvid_videomae.config import VideoMAEOptions
from medvid_videomae.weights import translate as translate_videomae
from medvid_vjepa.config import VJEPAOptions
from medvid_vjepa.weights import translate as translate_vjepa

HOST = make_host()


class TubeletsAdapter:
    """What both have in common: a subclass says how a configuration of transformers becomes options."""

    source = "huggingface"
    inert: str | None = None
    translate: Translate
    options: type[BackboneOptions]
    defaults: ClassVar[Mapping[str, Any]]
    """Those of transformers that matter."""
    names: ClassVar[Mapping[str, str]]
    """Our names of what has another one in transformers."""

    def __init__(self, fixture: Fixture) -> None:
        if unknown := set(fixture.arguments) - set(self.defaults):
            raise UnknownFormatError(f"{fixture.path}: {type(self).__name__} takes no {', '.join(sorted(unknown))}")
        try:
            self.chosen = self.options.model_validate(self.published_options({**self.defaults, **fixture.arguments}))
        except (TypeError, ValueError, ValidationError) as error:
            raise UnknownFormatError(f"{fixture.path}: {error}") from error
        channels, *size = self.arrange(fixture.tensors["input"]).shape[1:]
        self.input_info = InputInfo("video", channels, tuple(size))
        self.labels = fixture.tensors["output"].shape[1]

    def published_options(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Our options for a configuration."""
        options = {self.names.get(name, name): value for name, value in arguments.items()}
        return {name: value for name, value in options.items() if name in self.options.model_fields}

    def build(self) -> Model:
        target_info = TargetInfo("case", "class", tuple(f"class {index}" for index in range(self.labels)))
        backbone = HOST.build(self.chosen, self.input_info)
        head = LinearClassifierOptions(name="classification")
        return Model(backbone, build_head(HOST.build, head, backbone.feature_info, self.input_info, target_info))

    def arrange(self, input: Tensor) -> Tensor:
        return input.transpose(1, 2)

    def modules(self, model: Model) -> Mapping[str, nn.Module]:
        assert isinstance(model.head, LinearClassifier)
        return {"feature": model.head.dropout}

    def losses(self, model: Model, output: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        return model.head.loss(output, target)


class VideoMAEAdapter(TubeletsAdapter):
    """Takes a VideoMAEConfig that pools by the mean."""

    translate = staticmethod(translate_videomae)
    options = VideoMAEOptions
    defaults: ClassVar[Mapping[str, Any]] = {
        "image_size": 224,
        "patch_size": 16,
        "num_frames": 16,
        "num_channels": 3,
        "tubelet_size": 2,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "num_labels": 2,
    }
    names: ClassVar[Mapping[str, str]] = {
        "image_size": "img_size",
        "hidden_size": "embed_dim",
        "num_hidden_layers": "depth",
        "num_attention_heads": "num_heads",
    }

    def published_options(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        ratio = arguments["intermediate_size"] / arguments["hidden_size"]
        return {"name": "videomae", "mlp_ratio": ratio, **super().published_options(arguments)}


class VJEPAAdapter(TubeletsAdapter):
    """Takes a VJEPA2Config."""

    translate = staticmethod(translate_vjepa)
    options = VJEPAOptions
    inert = r"^vjepa2\.predictor\."  # classifiers do not use it, and ours lacks it
    defaults: ClassVar[Mapping[str, Any]] = {
        "crop_size": 256,
        "frames_per_clip": 64,
        "patch_size": 16,
        "tubelet_size": 2,
        "in_chans": 3,
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "mlp_ratio": 4.0,
        "num_pooler_layers": 3,
        "pred_hidden_size": 384,
        "pred_num_hidden_layers": 12,
        "num_labels": 2,
    }
    names: ClassVar[Mapping[str, str]] = {
        "hidden_size": "embed_dim",
        "num_hidden_layers": "depth",
        "num_attention_heads": "num_heads",
    }

    def published_options(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {"name": "vjepa", **super().published_options(arguments)}
