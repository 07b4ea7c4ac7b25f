"""The U-Nets of dynamic_network_architectures, as nnU-Net trains them."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from pydantic import ValidationError
from torch import Tensor

from comparison.fixture import UnknownFormatError
from medvid.config.options import LossOptions
from medvid.models.build import build_head
from medvid.models.model import Model
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_unet.config import UNetDecoderOptions, UNetOptions
from medvid_unet.decoder import UNetDecoder
from medvid_unet.model import UNet
from medvid_unet.weights import translate

HOST = make_host()
Shapes = Mapping[str, tuple[int, ...]]


class UNetNetwork:
    """PlainConvUNet or ResidualEncoderUNet.

    Args:
        encoder: which.
        loss: that it is trained with.
    """

    source = "state_dict"

    def __init__(self, encoder: Literal["plain", "resenc"], loss: LossOptions) -> None:
        self.encoder, self.loss, self.translate = encoder, loss, translate

    def from_arguments(self, arguments: Mapping[str, Any], size: tuple[int, ...]) -> Model:
        """See `comparison.networks.Network`."""
        names = {
            "features": "features_per_stage",
            "strides": "strides",
            "kernels": "kernel_sizes",
            "blocks": "n_conv_per_stage" if self.encoder == "plain" else "n_blocks_per_stage",
        }
        others = {"input_channels", "num_classes", "n_conv_per_stage_decoder"}
        if unknown := set(arguments) - set(names.values()) - others:
            raise UnknownFormatError(f"the U-Nets take no {', '.join(sorted(unknown))}")
        try:
            given = {ours: arguments[theirs] for ours, theirs in names.items()}
            convs = tuple(reversed(arguments["n_conv_per_stage_decoder"]))
            return self._build(given, convs, arguments["input_channels"], arguments["num_classes"], size)
        except (KeyError, TypeError, ValidationError) as error:
            raise UnknownFormatError(f"arguments of a U-Net: {error!r}") from error

    def knows(self, shapes: Shapes) -> bool:
        """Whether a state is of such a network."""
        return ("encoder.stages.0.0.convs.0.conv.weight" if self.encoder == "plain" else _STEM) in shapes

    def from_shapes(self, shapes: Shapes) -> Model:
        """See `comparison.networks.Network`."""
        stage = "encoder.stages.{}.0.convs.{}.conv.weight" if self.encoder == "plain" else _BLOCK
        stages, levels = _number(shapes, stage, 0), _number(shapes, "decoder.seg_layers.{}.weight")
        first = [shapes[stage.format(number, 0)] for number in range(stages)]
        strides = [shapes[f"decoder.transpconvs.{number}.weight"][2:] for number in reversed(range(levels))]
        given = {
            "features": [shape[0] for shape in first],
            "kernels": [shape[2:] for shape in first],
            "strides": [(1,) * len(strides[0]), *strides],
            "blocks": [_number(shapes, stage.replace("{}", str(number), 1)) for number in range(stages)],
        }
        convs = [_number(shapes, f"decoder.stages.{number}.convs.{{}}.conv.weight") for number in range(levels)]
        channels = (first[0] if self.encoder == "plain" else shapes[_STEM])[1]
        classes = shapes["decoder.seg_layers.0.weight"][0]
        size = tuple(2 * stride for stride in UNetOptions(name="unet", **given).total_stride)
        with torch.device("meta"):
            return self._build(given, tuple(reversed(convs)), channels, classes, size)

    def outputs(self, model: Model, input: Tensor) -> Mapping[str, Tensor]:
        """See `comparison.networks.Network`; the coarsest ones, which have no part in the loss, too."""
        head, outputs = model.head, {}
        assert isinstance(head, UNetDecoder)
        for number, (level, classifier) in enumerate(zip(head.levels, head.classifiers, strict=True)):
            level.register_forward_hook(
                lambda _level, _args, decoded, name=f"output.{number}", classifier=classifier: outputs.__setitem__(
                    name, classifier(decoded)
                )
            )
        model(input)
        return outputs

    def _build(
        self, given: Mapping[str, Any], convs: tuple[int, ...], channels: int, classes: int, size: tuple[int, ...]
    ) -> Model:
        input_info = InputInfo("volume" if len(size) == 3 else "image", channels, size)
        target_info = TargetInfo("voxel", "class", tuple(map(str, range(classes))))
        backbone = UNet(UNetOptions(name="unet", encoder=self.encoder, **given), input_info)
        options = UNetDecoderOptions(name="unet_decoder", convs=convs, kernels=given["kernels"][:-1], loss=self.loss)
        return Model(backbone, build_head(HOST.build, options, backbone.feature_info, input_info, target_info))


_STEM = "encoder.stem.convs.0.conv.weight"
_BLOCK = "encoder.stages.{}.blocks.{}.conv1.conv.weight"


def _number(shapes: Shapes, pattern: str, *rest: int) -> int:
    """How many tensors have names of this pattern, counted from 0."""
    number = 0
    while pattern.format(number, *rest) in shapes:
        number += 1
    return number
