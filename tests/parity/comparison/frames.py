"""STAM against the authors' VisionTransformer with TAggregate; VTN against the authors' VTN, with timm's ViT."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from torch import Tensor, nn

from comparison.fixture import Fixture, UnknownFormatError
from medvid.models.backbone import Backbone
from medvid.models.build import build_head
from medvid.models.framewise import Framewise
from medvid.models.model import Model
from medvid.models.weights import Translate
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.config import LinearClassifierOptions
from medvid_stam.config import STAMOptions
from medvid_stam.model import STAM
from medvid_stam.weights import translate as translate_stam
from medvid_vit.config import ViTOptions
from medvid_vit.model import ViT
from medvid_vtn.config import VTNOptions
from medvid_vtn.model import VTN
from medvid_vtn.weights import translate as translate_vtn

HOST = make_host()

VIT = {"patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio", "qkv_bias", "eps"}
VIT_OTHER = {"img_size", "in_chans"}
STAM_NAMES = {
    "t_frames": "num_frames",
    "t_layers": "num_layers",
    "t_heads": "num_heads",
    "t_dim_feedforward": "dim_feedforward",
}
VTN_NAMES = {
    "attention_window",
    "num_attention_heads",
    "num_hidden_layers",
    "intermediate_size",
    "max_position_embeddings",
    "layer_norm_eps",
}
VTN_FIXED = {"pad_token_id": -1, "type_vocab_size": 2, "hidden_act": "gelu", "attention_mode": "sliding_chunks"}
"""What the published VTN takes no other value of, or what makes no difference to it otherwise."""
VTN_OTHER = {"backbone", "T", "num_classes", "mlp_dim"}


class STAMAdapter:
    """The published network takes the frames of all clips as one batch."""

    source = "stam"
    inert: str | None = None

    def __init__(self, fixture: Fixture) -> None:
        self.translate: Translate = translate_stam
        arguments = self.arguments = fixture.arguments
        _refuse_unknown(fixture, "STAM", (VIT - {"eps"}) | VIT_OTHER | {*STAM_NAMES, "norm", "num_classes"})
        try:
            self.frame = _vit(arguments, eps=_eps(arguments.get("norm", "")))
            given = {ours: arguments[theirs] for theirs, ours in STAM_NAMES.items() if theirs in arguments}
            self.options = STAMOptions(name="stam", frame=self.frame, dropout=0, **given)
            self.classes: int = arguments["num_classes"]
        except (KeyError, ValidationError) as error:
            raise UnknownFormatError(f"{fixture.path}: {error}") from error

    def build(self) -> Model:
        info = _input_info(self.arguments, self.options.num_frames, self.frame)
        return _model(STAM(self.options, info, _frame), info, self.classes)

    def arrange(self, input: Tensor) -> Tensor:
        return input.reshape(-1, self.options.num_frames, *input.shape[1:]).transpose(1, 2)

    def modules(self, model: Model) -> Mapping[str, nn.Module]:
        return _modules(model)

    def losses(self, model: Model, output: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        return model.head.loss(output, target)


class VTNAdapter:
    """The published network takes the frames' indices beside the video."""

    source = "vtn"

    def __init__(self, fixture: Fixture) -> None:
        self.translate: Translate = translate_vtn
        arguments = self.arguments = fixture.arguments
        _refuse_unknown(fixture, "VTN", VTN_NAMES | VTN_OTHER | set(VTN_FIXED))
        for name, value in VTN_FIXED.items():
            if arguments.get(name, value) != value:
                raise UnknownFormatError(f"{fixture.path}: VTN with {name} {arguments[name]!r}, not {value!r}")
        try:
            self.vit = arguments["backbone"]
            _refuse_unknown(fixture, "VTN's ViT", VIT | VIT_OTHER, self.vit)
            self.frame = _vit(self.vit)
            given = {name: arguments[name] for name in VTN_NAMES if name in arguments}
            self.options = VTNOptions(
                name="vtn", frame=self.frame, hidden_dropout_prob=0, attention_probs_dropout_prob=0, **given
            )
            self.classes, self.hidden_dim = arguments["num_classes"], arguments["mlp_dim"]
            self.positions = fixture.tensors["position_ids"]
        except (KeyError, ValidationError) as error:
            raise UnknownFormatError(f"{fixture.path}: {error}") from error
        # Only the class token is read of the last layer, and it has projections of its own.
        last = self.options.num_hidden_layers - 1
        self.inert: str | None = rf"\.layer\.{last}\.attention\.self\.(query|key|value)\."

    def build(self) -> Model:
        info = _input_info(self.vit, self.positions.shape[1], self.frame)
        backbone = VTN(self.options, info, _frame)
        backbone.temporal.register_forward_pre_hook(lambda _module, args: (args[0], self.positions))
        return _model(backbone, info, self.classes, self.hidden_dim)

    def arrange(self, input: Tensor) -> Tensor:
        return input

    def modules(self, model: Model) -> Mapping[str, nn.Module]:
        return _modules(model)

    def losses(self, model: Model, output: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        return model.head.loss(output, target)


def _refuse_unknown(fixture: Fixture, what: str, known: set[str], given: Mapping[str, Any] | None = None) -> None:
    arguments = fixture.arguments if given is None else given
    if not isinstance(arguments, Mapping):
        raise UnknownFormatError(f"{fixture.path}: {what} is {arguments!r}, not its arguments")
    if unknown := set(arguments) - known:
        raise UnknownFormatError(f"{fixture.path}: {what} takes no {', '.join(sorted(unknown))}")


def _eps(norm: str) -> float:
    """What the description of STAM's norms says is added to the variance."""
    found = re.search(r"eps (\d\S*)", norm)
    return float(found[1]) if found else 1e-5


def _vit(arguments: Mapping[str, Any], **more: Any) -> ViTOptions:
    size = arguments["img_size"]
    given = {name: value for name, value in arguments.items() if name in VIT} | more
    return ViTOptions(name="vit", img_size=(size, size) if isinstance(size, int) else tuple(size), **given)


def _input_info(arguments: Mapping[str, Any], frames: int, vit: ViTOptions) -> InputInfo:
    return InputInfo("video", arguments.get("in_chans", 3), (frames, *vit.img_size))


def _frame(vit: ViTOptions, info: InputInfo) -> ViT:
    return ViT(vit, InputInfo("image", info.channels, vit.img_size))


def _model(backbone: Backbone, info: InputInfo, classes: int, hidden_dim: int | None = None) -> Model:
    head = LinearClassifierOptions(name="classification", hidden_dim=hidden_dim)
    target = TargetInfo("case", "class", tuple(f"label {index}" for index in range(classes)))
    return Model(backbone, build_head(HOST.build, head, backbone.feature_info, info, target))


def _modules(model: Model) -> Mapping[str, nn.Module]:
    assert isinstance(model.backbone, Framewise)
    return {"feature": model.backbone.temporal}
