"""ViViT against transformers' VivitForVideoClassification, and against scenic's ViViT and SpaceTimeViViT."""

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError
from torch import Tensor, nn

from comparison.fixture import Fixture, UnknownFormatError
from medvid.models.build import build_head
from medvid.models.features import Features
from medvid.models.model import Model
from medvid.models.weights import Translate
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.config import LinearClassifierOptions
from medvid_vivit.config import ViViTOptions
from medvid_vivit.model import ViViT
from medvid_vivit.weights import translate

HOST = make_host()


class ViViTAdapter:
    """What both have in common; a subclass says how its constructor's arguments become options."""

    source: str
    inert: str | None = r"key[/.]bias$"  # softmax does not change by what all keys have in common
    axes: tuple[int, ...]
    """Where (B, C, T, H, W) are in the input."""

    def __init__(self, fixture: Fixture) -> None:
        self.translate: Translate = translate
        self.fixture, self.arguments = fixture, fixture.arguments
        try:
            options = self.published_options()
            self.channels, *sizes = self.frames(fixture.tensors["input"]).shape[1:]
            # The published convolution leaves out what is not a whole tubelet.
            self.size = tuple(size // edge * edge for size, edge in zip(sizes, options["tubelet_size"], strict=True))
            self.options = ViViTOptions(name="vivit", num_frames=self.size[0], image_size=self.size[1:], **options)
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise UnknownFormatError(f"{fixture.path}: {error!r}") from error

    def published_options(self) -> dict[str, Any]:
        """Our options but for the input's size."""
        raise NotImplementedError

    def renamed(self, names: Mapping[str, str], ignored: Collection[str]) -> dict[str, Any]:
        """The constructor's arguments under our names, refusing those that are neither among names nor ignored."""
        if unknown := set(self.arguments) - set(names) - set(ignored):
            raise UnknownFormatError(f"{self.fixture.path}: ViViT takes no {', '.join(sorted(unknown))}")
        return {ours: self.arguments[theirs] for theirs, ours in names.items() if theirs in self.arguments}

    @property
    def labels(self) -> int:
        """Number of classes."""
        return len(self.fixture.tensors["output"][0])

    def build(self) -> Model:
        input_info = InputInfo("video", self.channels, self.options.input_size)
        target_info = TargetInfo("case", "class", tuple(f"class {index}" for index in range(self.labels)))
        backbone = ViViT(self.options, input_info)
        head = LinearClassifierOptions(name="classification")
        return Model(backbone, build_head(HOST.build, head, backbone.feature_info, input_info, target_info))

    def arrange(self, input: Tensor) -> Tensor:
        frames, height, width = self.size
        return self.frames(input)[:, :, :frames, :height, :width]

    def frames(self, input: Tensor) -> Tensor:
        """The frames that the network reads of the input, as (B, C, T, H, W)."""
        return input.permute(self.axes)

    def modules(self, model: Model) -> Mapping[str, nn.Module]:
        feature = nn.Identity()

        def show(_module: nn.Module, _inputs: tuple[Tensor], features: Features) -> None:
            feature(features.embedding)

        model.backbone.register_forward_hook(show)  # no module of ours has it as its output
        return {"feature": feature}

    def losses(self, model: Model, output: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        return model.head.loss(output, target)


class HuggingFaceViViTAdapter(ViViTAdapter):
    """Takes a VivitConfig."""

    source = "huggingface"
    axes = (0, 2, 1, 3, 4)
    names: Mapping[str, str] = {
        "tubelet_size": "tubelet_size",
        "hidden_size": "hidden_size",
        "num_hidden_layers": "num_layers",
        "num_attention_heads": "num_heads",
        "intermediate_size": "mlp_dim",
        "layer_norm_eps": "layer_norm_eps",
        "qkv_bias": "qkv_bias",
    }
    ignored = (
        "image_size",
        "num_frames",
        "num_channels",
        "num_labels",
        "hidden_act",
        "hidden_dropout_prob",
        "attention_probs_dropout_prob",
        "initializer_range",
        "pooler_output_size",
        "pooler_act",
    )
    activations: Mapping[str, str] = {
        "gelu": "none",
        "gelu_python": "none",
        "gelu_fast": "tanh",
        "gelu_accurate": "tanh",
        "gelu_python_tanh": "tanh",
        "gelu_new": "tanh",
        "gelu_pytorch_tanh": "tanh",
    }

    def published_options(self) -> dict[str, Any]:
        activation, *_ = self.arguments.get("hidden_act", "gelu_fast").split()
        if activation not in self.activations:
            raise UnknownFormatError(f"{self.fixture.path}: ViViT has no activation {activation}")
        return self.renamed(self.names, self.ignored) | {"gelu": self.activations[activation]}


class ScenicViViTAdapter(ViViTAdapter):
    """Takes the constructor's arguments of ViViT, and of SpaceTimeViViT for the factorised encoder."""

    source = "scenic"
    axes = (0, 4, 1, 2, 3)
    sampled: int | None = None
    kinds: Mapping[str, str] = {
        "spacetime": "joint",
        "factorized_encoder": "factorised_encoder",
        "factorized_self_attention_block": "factorised_self_attention",
        "factorized_dot_product_attention": "factorised_dot_product",
    }
    shared: Mapping[str, str] = {"hidden_size": "hidden_size", "representation_size": "representation_size"}
    sizes = ("num_layers", "num_heads", "mlp_dim")
    ignored = (
        "classifier",
        "num_frames",
        "image_size",
        "num_classes",
        "patches_size_hwt",
        "attention_config",
        "temporal_encoding_config",
        "dropout_rate",
        "attention_dropout_rate",
        "stochastic_droplayer_rate",
    )

    def published_options(self) -> dict[str, Any]:
        attention = self._block("attention_config", "type", "attention_order", "spatial_only_baseline")
        encoding = self._block("temporal_encoding_config", "method", "n_sampled_frames")
        if encoding.get("method", "3d_conv") not in ("3d_conv", "temporal_sampling"):
            raise UnknownFormatError(f"{self.fixture.path}: only tubelets (3d_conv) and temporal_sampling are known")
        self.sampled = encoding["n_sampled_frames"] if encoding.get("method") == "temporal_sampling" else None
        kind = attention.pop("type", "spacetime")
        names = {name: name for name in self.sizes}
        if kind == "factorized_encoder":
            names = {f"spatial_{name}": name for name in self.sizes}
            names |= {f"temporal_{name}": f"temporal_{name}" for name in self.sizes}
        height, width, *frames = self.arguments["patches_size_hwt"]
        return {
            "model": self.kinds[kind],
            "tubelet_size": (1 if self.sampled else frames[0], height, width),
            "classifier": self.arguments.get("classifier", "gap"),
            **attention,
            **self.renamed({**names, **self.shared}, self.ignored),
        }

    def frames(self, input: Tensor) -> Tensor:
        """All, or some at equal distances: uniform frame sampling (section 3.2)."""
        clip = super().frames(input)
        if not self.sampled or self.sampled >= clip.shape[2]:
            return clip
        step = clip.shape[2] / (self.sampled + 1)
        return clip[:, :, [round(step * (index + 1)) for index in range(self.sampled)]]

    def _block(self, name: str, *known: str) -> dict[str, Any]:
        """One of the nested configurations, without how it initialises kernels."""
        block = dict(self.arguments.get(name) or {})
        for initialisation in ("kernel_init_method", "attention_kernel_init_method"):
            block.pop(initialisation, None)
        if unknown := set(block) - set(known):
            raise UnknownFormatError(f"{self.fixture.path}: {name} takes no {', '.join(sorted(unknown))}")
        return block


def vivit_adapter(fixture: Fixture) -> ViViTAdapter:
    """The adapter for the published code that a fixture is from."""
    return ScenicViViTAdapter(fixture) if "scenic" in fixture.reference else HuggingFaceViViTAdapter(fixture)
