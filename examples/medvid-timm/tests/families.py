"""One model of each family, small; what makes it small is in model_args."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from medvid.plugin import BackboneSpec, InputInfo
from medvid_timm import plugin


class Family(NamedTuple):
    """A model, its input and its maps.

    Args:
        backbone: ``timm`` or ``vit_pytorch``.
        model: its name there.
        size: edge of its input.
        maps: channels and stride of each map.
        embedding: width of the embedding.
        model_args: what makes it small.
    """

    backbone: str
    model: str
    size: int
    maps: list[tuple[int, int]]
    embedding: int
    model_args: Mapping[str, object] = MappingProxyType({})


SMALL_VIT = {"embed_dim": 24, "depth": 2, "num_heads": 2}
SMALL_TOKENS = {"dim": 24, "depth": 2, "heads": 2, "dim_head": 8, "mlp_dim": 32}
STAGES = [(64, 4), (128, 8), (320, 16), (512, 32)]
RESNET = [(64, 2), (256, 4), (512, 8), (1024, 16), (2048, 32)]

FAMILIES = {
    "ViT": Family("timm", "vit_tiny_patch16_224", 48, [(24, 16)] * 2, 24, SMALL_VIT),
    "DeiT": Family("timm", "deit_tiny_distilled_patch16_224", 48, [(24, 16)] * 2, 24, SMALL_VIT),
    "CaiT": Family("timm", "cait_xxs24_224", 48, [(24, 16)] * 2, 24, {"embed_dim": 24, "depth": 2, "num_heads": 2}),
    "ConViT": Family("timm", "convit_tiny", 48, [(48, 16)] * 2, 48, SMALL_VIT | {"local_up_to_layer": 1}),
    "TNT": Family(
        "timm",
        "tnt_s_patch16_224",
        48,
        [(24, 16)] * 2,
        24,
        {"embed_dim": 24, "inner_dim": 8, "depth": 2, "num_heads_outer": 2, "num_heads_inner": 2},
    ),
    "PVTv2": Family("timm", "pvt_v2_b0", 64, [(32, 4), (64, 8), (160, 16), (256, 32)], 256),
    "Twins-PCPVT (CPVT)": Family("timm", "twins_pcpvt_small", 64, STAGES, 512, {"depths": [1, 1, 1, 1]}),
    "Twins-SVT": Family(
        "timm", "twins_svt_small", 64, [(64, 4), (128, 8), (256, 16), (512, 32)], 512, {"depths": [1, 1, 1, 1]}
    ),
    "Swin": Family(
        "timm",
        "swin_tiny_patch4_window7_224",
        64,
        [(12, 4), (24, 8), (48, 16), (96, 32)],
        96,
        {"embed_dim": 12, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 2, 2], "window_size": 4},
    ),
    "PiT": Family("timm", "pit_ti_224", 64, [(64, 8), (128, 16), (256, 32)], 256),
    "LeViT": Family("timm", "levit_128s", 64, [(128, 16), (256, 32), (384, 64)], 384),
    "CrossViT": Family("timm", "crossvit_9_240", 240, [(128, 12), (256, 17)], 384),
    "HaloNet": Family("timm", "halonet26t", 256, RESNET, 2048),
    "BoTNet": Family("timm", "botnet26t_256", 64, RESNET, 2048),
    "EfficientNetV2": Family(
        "timm", "tf_efficientnetv2_b0", 64, [(16, 2), (32, 4), (48, 8), (112, 16), (192, 32)], 1280
    ),
    "NFNet": Family("timm", "nfnet_l0", 64, [(64, 2), (256, 4), (512, 8), (1536, 16), (2304, 32)], 2304),
    "ResNet-RS": Family("timm", "resnetrs50", 64, RESNET, 2048, {"layers": [1, 1, 1, 1]}),
    "DeepViT": Family("vit_pytorch", "deepvit", 48, [(24, 16)] * 2, 24, SMALL_TOKENS),
    "T2T-ViT": Family("vit_pytorch", "t2t_vit", 48, [(24, 16)] * 2, 24, SMALL_TOKENS),
    "LocalViT": Family("vit_pytorch", "local_vit", 48, [(24, 16)] * 2, 24, SMALL_TOKENS),
    "CvT": Family("vit_pytorch", "cvt", 48, [(64, 4), (192, 8), (384, 16)], 384, {"s3_depth": 1}),
}

SPECS = {spec.name: spec for spec in plugin.medvid_components() if isinstance(spec, BackboneSpec)}


def block(family: Family) -> dict[str, object]:
    """The backbone's block in a task file."""
    return {
        "name": family.backbone,
        "model": family.model,
        "img_size": [family.size, family.size],
        "model_args": dict(family.model_args),
        **({"drop_path_rate": 0.0} if family.backbone == "timm" else {}),  # a step has to do what its gradient says
    }


def images(family: Family, channels: int = 3) -> InputInfo:
    """Its input."""
    return InputInfo("image", channels, (family.size, family.size))
