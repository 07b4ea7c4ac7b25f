"""UNETR against monai.networks.nets.UNETR and the authors' code."""

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
from medvid_unetr.config import UnetrDecoderOptions, UNETROptions
from medvid_unetr.model import UNETR
from medvid_unetr.weights import translate

HOST = make_host()

BACKBONE = {"hidden_size", "mlp_dim", "num_heads", "qkv_bias"}
HEAD = {"feature_size", "norm_name", "conv_block", "res_block"}
OTHER = {
    "in_channels",
    "out_channels",
    "img_size",
    "spatial_dims",
    "proj_type",
    "pos_embed",
    "dropout_rate",
    "save_attn",
}


class UNETRAdapter:
    """Also takes `spatial_dims` 2, and a single number as `img_size`, as MONAI does."""

    inert: str | None = None

    def __init__(self, fixture: Fixture) -> None:
        self.source = "research_contributions" if "research-contributions" in fixture.reference else "monai"
        self.translate: Translate = translate
        arguments = self.arguments = dict(fixture.arguments)
        if unknown := set(arguments) - BACKBONE - HEAD - OTHER:
            raise UnknownFormatError(f"{fixture.path}: UNETR takes no {', '.join(sorted(unknown))}")
        if self.source == "research_contributions":
            arguments.setdefault("conv_block", False)
        try:
            arguments["norm_name"] = self._norm_name()
            self.channels, self.labels = arguments["in_channels"], arguments["out_channels"]
            self.backbone = UNETROptions(name="unetr", img_size=self._img_size(), **self._given(BACKBONE))
            self.head = UnetrDecoderOptions(name="unetr_decoder", **self._given(HEAD))
        except (AttributeError, KeyError, TypeError, ValidationError) as error:
            raise UnknownFormatError(f"{fixture.path}: {error}") from error

    def _img_size(self) -> tuple[int, ...]:
        size, rank = self.arguments["img_size"], self.arguments.get("spatial_dims", 3)
        return (size,) * rank if isinstance(size, int) else tuple(size)

    def _norm_name(self) -> Any:
        """MONAI takes capitals too."""
        name = self.arguments.get("norm_name", "instance")
        return name.lower() if isinstance(name, str) else (name[0].lower(), *name[1:])

    def _given(self, names: set[str]) -> dict[str, Any]:
        return {name: value for name, value in self.arguments.items() if name in names}

    def build(self) -> Model:
        size = self.backbone.img_size
        input_info = InputInfo("volume" if len(size) == 3 else "image", self.channels, size)
        labels = tuple(f"label {index}" for index in range(self.labels))
        backbone = UNETR(self.backbone, input_info)
        target_info = TargetInfo("voxel", "class", labels)
        return Model(backbone, build_head(HOST.build, self.head, backbone.feature_info, input_info, target_info))

    def arrange(self, input: Tensor) -> Tensor:
        return input

    def modules(self, model: Model) -> Mapping[str, nn.Module]:
        backbone = model.backbone
        assert isinstance(backbone, UNETR)
        return {f"hidden.{index}": block for index, block in enumerate(backbone.blocks)} | {"vit_out": backbone.norm}

    def losses(self, model: Model, output: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        return model.head.loss(output, target.squeeze(1).long())
