"""MedT and its family against the authors' lib.models.axialnet."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from torch import Tensor, nn

from comparison.fixture import Fixture, UnknownFormatError
from medvid.losses.options import DiceCEOptions
from medvid.models.build import build_head
from medvid.models.model import Model
from medvid.models.weights import Translate
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.config import PixelHeadOptions
from medvid_medt.config import MedTOptions
from medvid_medt.model import MedT
from medvid_medt.weights import translate

HOST = make_host()

VARIANTS = {
    ("medt_net", "AxialBlock_dynamic", "AxialBlock_wopos"): "medt",
    ("medt_net", "AxialBlock", "AxialBlock"): "logo",
    ("ResAxialAttentionUNet", "AxialBlock_dynamic", None): "gated",
    ("ResAxialAttentionUNet", "AxialBlock", None): "axial",
}
"""By the class and the blocks it is made of."""

LOCAL_SIZE = (128, 128)
"""The published branch over patches cuts an image of this size out of any."""
BACKBONE = {"layers", "s", "groups", "width_per_group"}
OTHER = {"cls", "block", "block_2", "img_size", "imgchan", "num_classes", "zero_init_residual"}


class MedTAdapter:
    """Trains patch after patch, as the authors do."""

    source = "medt"
    # The same for all keys of a query, which softmax ignores; and nothing counts the batches of these norms.
    inert: str | None = r"\.bn_similarity\.(bias|running_mean|num_batches_tracked)$"

    def __init__(self, fixture: Fixture) -> None:
        self.translate: Translate = translate
        arguments = self.arguments = fixture.arguments
        if unknown := set(arguments) - BACKBONE - OTHER:
            raise UnknownFormatError(f"{fixture.path}: MedT takes no {', '.join(sorted(unknown))}")
        given = {name: value for name, value in arguments.items() if name in BACKBONE}
        try:
            self.backbone = MedTOptions(
                name="medt", variant=self._variant(), img_size=self._img_size(), local_order="sequential", **given
            )
        except (KeyError, ValidationError) as error:
            raise UnknownFormatError(f"{fixture.path}: {error}") from error
        if self.backbone.has_local_branch and self.backbone.img_size != LOCAL_SIZE:
            raise UnknownFormatError(
                f"{fixture.path}: img_size {arguments['img_size']}, where the published branch over patches sees the "
                f"first {LOCAL_SIZE[0]} rows and columns only"
            )

    def _variant(self) -> Any:
        published = self.arguments["cls"].rpartition(".")[2]
        return VARIANTS[published, self.arguments["block"], self.arguments.get("block_2")]

    def _img_size(self) -> tuple[int, int]:
        return (self.arguments.get("img_size", 128),) * 2

    def build(self) -> Model:
        input_info = InputInfo("image", self.arguments.get("imgchan", 3), self.backbone.img_size)
        labels = tuple(f"label {index}" for index in range(self.arguments.get("num_classes", 2)))
        backbone = MedT(self.backbone, input_info)
        head = PixelHeadOptions.model_validate({"name": "pixel", "loss": DiceCEOptions(lambda_dice=0)})
        target_info = TargetInfo("voxel", "class", labels)
        return Model(backbone, build_head(HOST.build, head, backbone.feature_info, input_info, target_info))

    def arrange(self, input: Tensor) -> Tensor:
        return input

    def modules(self, model: Model) -> Mapping[str, nn.Module]:
        backbone = model.backbone
        assert isinstance(backbone, MedT)
        stages = backbone.global_branch.stages
        modules = {f"mid.layer{number}": stage for number, stage in enumerate(stages, start=1)}
        if backbone.local_branch is not None:
            fused = modules["mid.fused"] = nn.Identity()  # no module of ours has it as its output
            backbone.fuse.register_forward_pre_hook(lambda _module, inputs: fused(*inputs))
        return modules

    def losses(self, model: Model, output: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        return model.head.loss(output, target.long())
