"""MViT against pytorchvideo's builder, torchvision's MViT and PySlowFast's."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import PurePosixPath
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
from medvid_mvit.config import MViTOptions
from medvid_mvit.geometry import make_pooling, rounded
from medvid_mvit.model import MViT
from medvid_mvit.weights import translate

HOST = make_host()

PYTORCHVIDEO_NAMES = {
    "cls_embed_on": "cls_embed_on",
    "sep_pos_embed": "sep_pos_embed",
    "depth": "depth",
    "patch_embed_dim": "embed_dim",
    "conv_patch_embed_kernel": "patch_kernel",
    "conv_patch_embed_stride": "patch_stride",
    "conv_patch_embed_padding": "patch_padding",
    "enable_patch_embed_norm": "norm_stem",
    "num_heads": "num_heads",
    "mlp_ratio": "mlp_ratio",
    "qkv_bias": "qkv_bias",
    "pooling_mode": "pool_mode",
    "pool_first": "pool_first",
    "embed_dim_mul": "dim_mul",
    "atten_head_mul": "head_mul",
    "pool_q_stride_size": "pool_q_stride",
    "pool_kv_stride_size": "pool_kv_stride",
    "pool_kv_stride_adaptive": "pool_kv_stride_adaptive",
    "pool_kvq_kernel": "pool_kvq_kernel",
}
PYTORCHVIDEO_OTHER = {
    *("spatial_size", "temporal_size", "input_channels", "head_num_classes"),  # the tensors say so too
    *("dropout_rate_block", "droppath_rate_block", "head_dropout_rate", "use_2d_patch"),
}
PYTORCHVIDEO_FIXED = {
    "norm": "layernorm",
    "enable_patch_embed": True,  # without, the network takes tokens, not clips
    "head_activation": None,
}

TORCHVISION_NAMES = {
    "residual_pool": "residual_pooling",
    "residual_with_cls_embed": "residual_with_cls_embed",
    "proj_after_attn": "dim_mul_in_att",
    "patch_embed_kernel": "patch_kernel",
    "patch_embed_stride": "patch_stride",
    "patch_embed_padding": "patch_padding",
}
TORCHVISION_OTHER = {
    *("spatial_size", "temporal_size", "num_classes", "block_setting", "rel_pos_embed"),
    *("dropout", "attention_dropout", "stochastic_depth_prob"),
}
TORCHVISION_FIXED = {"block": None, "norm_layer": None}

SLOWFAST_CONFIGS = {
    "MVIT_B_16x4_CONV": "mvit_b_16x4",
    "MVIT_B_32x3_CONV": "mvit_b_24_32x3",
    "MVITv2_S_16x4": "mvitv2_s",
    "MVITv2_B_32x3": "mvitv2_b",
    "MVITv2_L_40x3": "mvitv2_l",
    "MVITv2_L_40x3_test": "mvitv2_l",
}
SLOWFAST_SIZES = {
    "MVIT_B_16x4_CONV": (16, 224),
    "MVIT_B_32x3_CONV": (32, 224),
    "MVITv2_S_16x4": (16, 224),
    "MVITv2_B_32x3": (32, 224),
    "MVITv2_L_40x3": (40, 312),
    "MVITv2_L_40x3_test": (40, 312),
}
"""Frames of a clip and their edge length, for which a model has its positions."""
SLOWFAST_NAMES = {"MVIT.MODE": "pool_mode"} | {
    f"MVIT.{name.upper()}": name
    for name in [
        *PYTORCHVIDEO_NAMES.values(),
        *("use_abs_pos", "rel_pos_spatial", "rel_pos_temporal", "residual_pooling", "dim_mul_in_att"),
        *("use_mean_pooling", "layer_scale_init_value"),
    ]
}
SLOWFAST_OTHER = {
    *("base_config", "DATA.TRAIN_CROP_SIZE", "DATA.TEST_CROP_SIZE", "DATA.NUM_FRAMES", "MODEL.NUM_CLASSES"),
    "DATA.INPUT_CHANNEL_NUM",
    *("MVIT.DROPOUT_RATE", "MVIT.DROPPATH_RATE", "MVIT.SEPARATE_QKV", "MVIT.ZERO_DECAY_POS_CLS", "MODEL.DROPOUT_RATE"),
    *("MVIT.REL_POS_ZERO_INIT", "MVIT.HEAD_INIT_SCALE", "MODEL.HEAD_ACT", "MODEL.ACT_CHECKPOINT", "MVIT.PATCH_2D"),
}
SLOWFAST_FIXED = {
    "MVIT.NORM": "layernorm",
    "MVIT.USE_FIXED_SINCOS_POS": False,
    "MVIT.REV.ENABLE": False,
}


LISTS = ("dim_mul", "head_mul", "pool_q_stride", "pool_kv_stride")
"""Options that list blocks; the published code also takes None for an empty list."""


class MViTAdapter:
    """Takes what either builder takes, or a configuration of PySlowFast with what it overrides."""

    def __init__(self, fixture: Fixture) -> None:
        described = f"{fixture.model} {fixture.reference}".lower()
        self.source = next((source for source in OPTIONS if source in described), "")
        if not self.source:
            raise UnknownFormatError(f"{fixture.path}: no MViT of {', '.join(OPTIONS)}, but {described}")
        self.translate: Translate = translate
        self.labels = fixture.tensors["output"].shape[1]
        try:
            given = OPTIONS[self.source](fixture)
            if any(fixture.arguments.get(name) for name in ("use_2d_patch", "MVIT.PATCH_2D")):
                given |= _in_three_dimensions(given)
            self.options = MViTOptions.model_validate({"name": "mvit", **given})
            if self.source == "pytorchvideo":
                self.options = _with_last_width(self.options)
            _, channels, *size = self.arrange(fixture.tensors["input"]).shape
            self.input_info = InputInfo("video", channels, tuple(size))
            self.options.check_input(self.input_info)
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise UnknownFormatError(f"{fixture.path}: {error}") from error
        # What all keys have in common cancels out; and of the last block's queries only the class token's is read.
        last = len(self.options.blocks) - 1
        unread = rf"|blocks\.{last}\.attn\.(rel_pos_|pool_q\.(pool\.)?weight)" if self.options.cls_embed_on else ""
        self.inert: str | None = r"attn\.(norm_k|pool_k\.norm_act\.0)\.bias" + unread

    def build(self) -> Model:
        target_info = TargetInfo("case", "class", tuple(f"class {index}" for index in range(self.labels)))
        backbone = MViT(self.options, self.input_info)
        head = LinearClassifierOptions(name="classification")
        return Model(backbone, build_head(HOST.build, head, backbone.feature_info, self.input_info, target_info))

    def arrange(self, input: Tensor) -> Tensor:
        """Images are clips of one frame."""
        return input.unsqueeze(2) if input.ndim == 4 else input

    def modules(self, model: Model) -> Mapping[str, nn.Module]:
        assert isinstance(model.head, LinearClassifier)
        return {"feature": model.head.dropout}

    def losses(self, model: Model, output: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        return model.head.loss(output, target)


def _pytorchvideo(fixture: Fixture) -> dict[str, Any]:
    given = _renamed(fixture, PYTORCHVIDEO_NAMES, PYTORCHVIDEO_OTHER, PYTORCHVIDEO_FIXED)
    defaults = dict.fromkeys(LISTS, ()) | {"pool_kv_stride_adaptive": None, "pool_kvq_kernel": None}
    return {"pool_norm_eps": 1e-5 if "0.1.5" in fixture.reference else 1e-6} | defaults | given


def _with_last_width(options: MViTOptions) -> MViTOptions:
    """pytorchvideo rounds the width behind a block to a multiple of 8, and other ones only fit behind the last."""
    *others, last = options.blocks
    heads = rounded(last.num_heads * dict(options.head_mul).get(options.depth, 1), divisor=8, least=8)
    factor = dict(options.dim_mul).get(options.depth, 1)
    width = rounded(last.input_channels * factor, divisor=heads, least=8)
    last = last.model_copy(update={"output_channels": width})
    return options.model_copy(update={"block_setting": (*others, last)})


def _in_three_dimensions(options: Mapping[str, Any]) -> dict[str, Any]:
    """The convolution of an image as that of a clip of one frame."""
    fill = {"patch_kernel": 1, "patch_stride": 1, "patch_padding": 0}
    return {name: (value, *options[name]) for name, value in fill.items() if name in options}


def _torchvision(fixture: Fixture) -> dict[str, Any]:
    options = _renamed(fixture, TORCHVISION_NAMES, TORCHVISION_OTHER, TORCHVISION_FIXED)
    relative = fixture.arguments.get("rel_pos_embed", False)
    blocks = [
        {
            "num_heads": block["num_heads"],
            "input_channels": block["input_channels"],
            "output_channels": block["output_channels"],
            "pool_q": make_pooling(block["kernel_q"], block["stride_q"]),
            "pool_kv": make_pooling(block["kernel_kv"], block["stride_kv"]),
        }
        for block in _listed(fixture.arguments["block_setting"])
    ]
    return options | {
        "block_setting": blocks,
        "use_abs_pos": not relative,
        "rel_pos_spatial": relative,
        "rel_pos_temporal": relative,
    }


def _listed(blocks: Any) -> Sequence[Mapping[str, Any]]:
    """One mapping per block, of them or of a mapping of lists."""
    if isinstance(blocks, Mapping):
        return [dict(zip(blocks, values, strict=True)) for values in zip(*blocks.values(), strict=True)]
    return list(blocks)


def _slowfast(fixture: Fixture) -> dict[str, Any]:
    options = _renamed(fixture, SLOWFAST_NAMES, SLOWFAST_OTHER, SLOWFAST_FIXED)
    config = PurePosixPath(fixture.arguments["base_config"]).stem
    frames, edge = SLOWFAST_SIZES[config]
    frames, edge = fixture.arguments.get("DATA.NUM_FRAMES", frames), fixture.arguments.get("DATA.TRAIN_CROP_SIZE", edge)
    return {"variant": SLOWFAST_CONFIGS[config], "table_size": (frames, edge, edge)} | options


OPTIONS: dict[str, Callable[[Fixture], dict[str, Any]]] = {
    "torchvision": _torchvision,
    "slowfast": _slowfast,
    "pytorchvideo": _pytorchvideo,
}


def _renamed(
    fixture: Fixture, names: Mapping[str, str], others: Collection[str], fixed: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments under our names; refuses unknown ones, and fixed ones with another value."""
    arguments = fixture.arguments
    if unknown := set(arguments) - set(names) - set(others) - set(fixed):
        raise UnknownFormatError(f"{fixture.path}: MViT takes no {', '.join(sorted(unknown))}")
    for name in set(arguments) & set(fixed):
        if arguments[name] != fixed[name]:
            raise UnknownFormatError(f"{fixture.path}: MViT with {name} {arguments[name]!r}, not {fixed[name]!r}")
    given = {ours: arguments[theirs] for theirs, ours in names.items() if theirs in arguments}
    return {name: () if value is None and name in LISTS else value for name, value in given.items()}
