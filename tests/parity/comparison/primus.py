"""Primus of dynamic_network_architectures, versions 1 to 3."""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from comparison.fixture import UnknownFormatError
from medvid.config.options import LossOptions
from medvid.models.build import build_head
from medvid.models.model import Model
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_primus.config import PATCH, VARIANTS, PrimusDecoderOptions, PrimusOptions
from medvid_primus.model import Primus
from medvid_primus.weights import translate

HOST = make_host()
NAMES = {
    "embed_dim": "hidden_size",
    "eva_depth": "num_layers",
    "eva_numheads": "num_heads",
    "input_shape": "img_size",
    "init_values": "layer_scale",
    "drop_path_rate": "drop_path",
    "ch_per_level": "stem_channels",
}
"""From the published constructor's arguments to our options."""
OTHER = {"input_channels", "num_classes", "patch_embed_size", "scale_attn_inner"}


class PrimusNetwork:
    """One version of Primus.

    Args:
        stem: which.
        loss: that it is trained with.
    """

    source = "state_dict"

    def __init__(self, stem: str, loss: LossOptions) -> None:
        self.stem, self.loss, self.translate = stem, loss, translate

    def from_arguments(self, arguments: Mapping[str, Any], size: tuple[int, ...]) -> Model:  # noqa: ARG002 (input_shape)
        """See `comparison.networks.Network`."""
        if unknown := set(arguments) - NAMES.keys() - OTHER:
            raise UnknownFormatError(f"Primus takes no {', '.join(sorted(unknown))}")
        edges, inner = arguments.get("patch_embed_size", [PATCH] * 3), arguments.get("scale_attn_inner", True)
        if set(edges) != {PATCH} or not inner:
            raise UnknownFormatError(
                f"only Primus with tokens of {PATCH}^3 voxels and a norm in its attention is known"
            )
        given = {ours: arguments[theirs] for theirs, ours in NAMES.items() if theirs in arguments}
        try:
            return self._build(given, arguments["input_channels"], arguments["num_classes"])
        except (KeyError, TypeError, ValidationError) as error:
            raise UnknownFormatError(f"arguments of Primus: {error!r}") from error

    def knows(self, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """Whether a state is of this version."""
        has_levels = "down_projection.proj_to_tokens.0.weight" in shapes
        found = "v1" if "down_projection.proj.weight" in shapes else "v3" if has_levels else "v2"
        return "eva.pos_embed" in shapes and found == self.stem

    def from_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> Model:
        """See `comparison.networks.Network`; for cubic inputs, and with the heads of the published sizes."""
        _, tokens, dim = shapes["eva.pos_embed"]
        heads = next((size["num_heads"] for size in VARIANTS.values() if size["hidden_size"] == dim), dim // 6)
        given: dict[str, Any] = {
            "hidden_size": dim,
            "num_heads": heads,
            "num_layers": sum(re.fullmatch(r"eva\.blocks\.\d+\.gamma_1", key) is not None for key in shapes),
            "img_size": [round(math.cbrt(tokens)) * PATCH] * 3,
        }
        first = "down_projection.proj.weight"
        if self.stem != "v1":
            first = "down_projection.stem.blocks.0.conv1.conv.weight"
            later = [f"down_projection.stages.{stage}.blocks.0.conv1.conv.weight" for stage in range(3)]
            given["stem_channels"] = [shapes[name][0] for name in (first, *later)]
        with torch.device("meta"):
            return self._build(given, shapes[first][1], shapes["up_projection.decode.2.bias"][0])

    def outputs(self, model: Model, input: Tensor) -> Mapping[str, Tensor]:
        """See `comparison.networks.Network`."""
        return {"output": model(input)}

    def _build(self, given: Mapping[str, Any], channels: int, classes: int) -> Model:
        options = PrimusOptions(name="primus", stem=self.stem, **given)
        input_info = InputInfo("volume", channels, options.img_size)
        target_info = TargetInfo("voxel", "class", tuple(map(str, range(classes))))
        backbone = Primus(options, input_info)
        head = PrimusDecoderOptions(name="primus_decoder", loss=self.loss)
        return Model(backbone, build_head(HOST.build, head, backbone.feature_info, input_info, target_info))
