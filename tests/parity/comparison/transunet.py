"""TransUNet against the authors' networks.vit_seg_modeling.VisionTransformer."""

from collections.abc import Mapping
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
from medvid_transunet.config import CascadedUpsamplerOptions, ResNetOptions, TransUNetOptions
from medvid_transunet.decoder import CascadedUpsampler
from medvid_transunet.model import TransUNet
from medvid_transunet.weights import translate

HOST = make_host()

BACKBONE = {"hidden_size", "mlp_dim", "num_heads", "num_layers"}
HEAD = {"decoder_channels", "n_skip"}
OTHER = {
    "base_config",
    "img_size",
    "num_classes",
    "n_classes",
    "patches_size",
    "patches_grid",
    "resnet_num_layers",
    "resnet_width_factor",
    "skip_channels_given",
    "dropout_rate",
    "attention_dropout_rate",
    "vis",
}


class TransUNetAdapter:
    """Takes the constructor's arguments together with the entries of the published config that it reads."""

    source = "transunet"
    inert: str | None = None

    def __init__(self, fixture: Fixture) -> None:
        self.translate: Translate = translate
        self.arguments, self.channels = fixture.arguments, fixture.tensors["input"].shape[1]
        if unknown := set(fixture.arguments) - BACKBONE - HEAD - OTHER:
            raise UnknownFormatError(f"{fixture.path}: TransUNet takes no {', '.join(sorted(unknown))}")
        try:
            self.backbone = backbone_options(fixture.arguments)
            self.head = CascadedUpsamplerOptions(name="cascaded_upsampler", **_given(fixture.arguments, HEAD))
        except (KeyError, ValidationError) as error:
            raise UnknownFormatError(f"{fixture.path}: {error}") from error

    def build(self) -> Model:
        return build(self.backbone, self.head, self.channels, self.arguments["n_classes"])

    def arrange(self, input: Tensor) -> Tensor:
        return input

    def modules(self, model: Model) -> Mapping[str, nn.Module]:
        backbone, head = model.backbone, model.head
        assert isinstance(backbone, TransUNet)
        assert isinstance(head, CascadedUpsampler)
        skips = {f"skip.{index}": nn.Identity() for index in range(len(backbone.feature_info.maps) - 1)}

        def show_skips(_module: nn.Module, _inputs: tuple[Tensor], features: Features) -> None:
            for skip, skip_map in zip(skips.values(), features.maps[-2::-1], strict=True):
                skip(skip_map)

        backbone.register_forward_hook(show_skips)  # no module of ours has them as its output
        own = {"embeddings": backbone.patch_embedding, "encoded": backbone.norm, "decoder_out": head.blocks[-1]}
        return own | skips

    def losses(self, model: Model, output: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        return model.head.loss(output, target.long())


def backbone_options(arguments: Mapping[str, Any]) -> TransUNetOptions:
    """Our options for the entries of a published config; it is a hybrid where it has a grid of patches.

    Raises:
        KeyError: the size is missing.
        ValidationError: a combination that cannot be.
    """
    size, grid = arguments["img_size"], arguments.get("patches_grid")
    size = (size, size) if isinstance(size, int) else tuple(size)
    resnet = None
    if grid:
        given = {"num_layers": "resnet_num_layers", "width_factor": "resnet_width_factor"}
        resnet = ResNetOptions(**{ours: arguments[name] for ours, name in given.items() if arguments.get(name)})
    patch_size = size[0] // 16 // grid[0] * 16 if grid else arguments.get("patches_size", [16])[0]
    sizes = _given(arguments, BACKBONE)
    return TransUNetOptions(
        name="transunet", img_size=size, patch_size=patch_size, resnet=resnet, dropout_rate=0, **sizes
    )


def build(backbone: TransUNetOptions, head: CascadedUpsamplerOptions, channels: int, labels: int) -> Model:
    input_info = InputInfo("image", channels, backbone.img_size)
    target_info = TargetInfo("voxel", "class", tuple(f"label {index}" for index in range(labels)))
    encoder = TransUNet(backbone, input_info)
    return Model(encoder, build_head(HOST.build, head, encoder.feature_info, input_info, target_info))


def _given(arguments: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name in names}
