"""The published MViTs agree, differences are found, and so do options against the installed libraries."""

from typing import Any

import pytest
import torch
from tests.parity.recorded import Comparison, Edit
from torch import Tensor, nn
from torchvision.models.video.mvit import MSBlockConfig, MViT

NAMES = [
    *("mvit_pytorchvideo", "mvit_pytorchvideo_nocls"),
    *("mvit_torchvision_v1", "mvit_torchvision_v2", "mvit_slowfast_v1", "mvit_slowfast_v2"),
]


@pytest.mark.parametrize("name", NAMES)
def test_the_published_networks_agree(comparison: Comparison, name: str) -> None:
    comparison.assert_agrees(name, checks=8)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("mvit_pytorchvideo", "state.cls_positional_encoding.pos_embed_temporal"),
        ("mvit_pytorchvideo", "state.blocks.1.attn.norm_q.weight"),
        ("mvit_pytorchvideo_nocls", "state.cls_positional_encoding.pos_embed"),
        ("mvit_torchvision_v1", "state.pos_encoding.class_pos"),
        ("mvit_torchvision_v2", "state.blocks.1.attn.rel_pos_t"),
        ("mvit_slowfast_v1", "state.blocks.0.proj.weight"),
        ("mvit_slowfast_v2", "state.blocks.2.attn.pool_v.weight"),
        ("mvit_slowfast_v2", "feature"),
    ],
)
def test_a_perturbed_tensor_is_found(comparison: Comparison, name: str, key: str) -> None:
    comparison.assert_notices(name, key)


def test_gradients_are_compared(comparison: Comparison) -> None:
    def falsify(_: dict[str, Tensor], sidecar: dict[str, Any]) -> None:
        sidecar["grad_norms"]["blocks.1.attn.rel_pos_w"] *= 1.01

    assert comparison.differing("mvit_slowfast_v2", falsify) == ["gradient"]


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        ("mvit_pytorchvideo", lambda _, sidecar: sidecar["constructor"].update(window=3), "MViT takes no window"),
        (
            "mvit_pytorchvideo",
            lambda _, sidecar: sidecar["constructor"].update(enable_patch_embed=False),
            "with enable_patch_embed False",
        ),
        ("mvit_torchvision_v2", lambda _, sidecar: sidecar["constructor"].pop("block_setting"), "block_setting"),
        ("mvit_slowfast_v1", lambda _, sidecar: sidecar.update(base_config="configs/SLOW.yaml"), "SLOW"),
        ("mvit_slowfast_v1", lambda _, sidecar: sidecar["overrides"].update({"MVIT.REV.ENABLE": True}), "REV"),
        ("mvit_slowfast_v1", lambda _, sidecar: sidecar["overrides"].update({"MVIT.DEPTH": 2}), "names block 2"),
        ("mvit_slowfast_v1", lambda _, sidecar: sidecar.update(model="mvit", reference="elsewhere"), "elsewhere"),
    ],
)
def test_what_is_not_understood_is_told_apart(comparison: Comparison, name: str, edit: Edit, message: str) -> None:
    comparison.assert_refuses(name, edit, message)


PYTORCHVIDEO: dict[str, Any] = {
    "spatial_size": 32,
    "temporal_size": 4,
    "depth": 3,
    "patch_embed_dim": 8,
    "embed_dim_mul": [[1, 2.0]],
    "atten_head_mul": [[1, 2.0]],
    "pool_q_stride_size": [[1, 1, 2, 2]],
    "pool_kv_stride_adaptive": [1, 4, 4],
    "pool_kvq_kernel": [3, 3, 3],
    "head_num_classes": 5,
}
PYTORCHVIDEO_OPTIONS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "frames that are not square": {"spatial_size": [32, 48], "mlp_ratio": 2.0},
    "other patches": {
        "conv_patch_embed_kernel": [1, 4, 4],
        "conv_patch_embed_stride": [1, 4, 4],
        "conv_patch_embed_padding": [0, 0, 0],
    },
    "kernels that grow with strides": {"pool_kvq_kernel": None},
    "listed strides, in time too": {
        "pool_kv_stride_adaptive": None,
        "pool_kv_stride_size": [[0, 2, 4, 4], [2, 1, 1, 1]],
        "pool_q_stride_size": [[1, 2, 2, 2]],
    },
    "no pooling": {"pool_kv_stride_adaptive": None, "pool_q_stride_size": None},
    "maximum": {"pooling_mode": "max"},
    "average": {"pooling_mode": "avg", "pool_kvq_kernel": [1, 3, 3], "cls_embed_on": False},
    "joint positions, norm, no bias": {"sep_pos_embed": False, "enable_patch_embed_norm": True, "qkv_bias": False},
    "tokens are pooled, then projected": {"pool_first": True, "qkv_bias": False},
    "rounded widths": {"depth": 2, "patch_embed_dim": 24, "embed_dim_mul": [[1, 1.3]], "atten_head_mul": [[1, 4.0]]},
    "a last width that is rounded": {"depth": 1, "patch_embed_dim": 10, "embed_dim_mul": None, "atten_head_mul": None}
    | {"pool_q_stride_size": None},
    "more heads, gray": {"num_heads": 2, "input_channels": 1, "cls_embed_on": False},
}


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")  # by what pytorchvideo imports
@pytest.mark.parametrize("options", PYTORCHVIDEO_OPTIONS.values(), ids=PYTORCHVIDEO_OPTIONS)
def test_options_agree_with_pytorchvideo(comparison: Comparison, options: dict[str, Any]) -> None:
    from pytorchvideo.models.vision_transformers import create_multiscale_vision_transformers

    arguments = PYTORCHVIDEO | options
    torch.manual_seed(0)
    model = create_multiscale_vision_transformers(**arguments)
    size = arguments["spatial_size"]
    clip = torch.rand(2, arguments.get("input_channels", 3), 4, *(size if isinstance(size, list) else [size] * 2))
    assert comparison.run_classifier("mvit", "pytorchvideo 0.1.5", arguments, randomise(model), clip) == 0


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
def test_images_agree_with_pytorchvideo(comparison: Comparison) -> None:
    from pytorchvideo.models.vision_transformers import create_multiscale_vision_transformers

    patches = {"kernel": [7, 7], "stride": [4, 4], "padding": [3, 3]}
    arguments = PYTORCHVIDEO | {"use_2d_patch": True, "temporal_size": 1, "pool_kvq_kernel": [1, 3, 3]}
    arguments |= {f"conv_patch_embed_{name}": value for name, value in patches.items()}
    torch.manual_seed(0)
    model = randomise(create_multiscale_vision_transformers(**arguments))
    assert comparison.run_classifier("mvit", "pytorchvideo 0.1.5", arguments, model, torch.rand(2, 3, 32, 32)) == 0


BLOCKS: dict[str, list[Any]] = {
    "num_heads": [1, 2, 2],
    "input_channels": [8, 8, 16],
    "output_channels": [8, 16, 24],
    "kernel_q": [[3, 3, 3], [3, 3, 3], []],
    "kernel_kv": [[1, 3, 3], [3, 5, 3], [1, 1, 1]],
    "stride_q": [[1, 1, 1], [1, 2, 2], []],
    "stride_kv": [[1, 4, 4], [1, 2, 2], [1, 1, 1]],
}
TORCHVISION: dict[str, Any] = {
    "spatial_size": [32, 32],
    "temporal_size": 4,
    "block_setting": BLOCKS,
    "residual_pool": True,
    "residual_with_cls_embed": False,
    "rel_pos_embed": True,
    "proj_after_attn": True,
    "num_classes": 5,
}
TORCHVISION_OPTIONS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "frames that are not square": {"spatial_size": [48, 20]},
    "sides that strides do not divide": {"spatial_size": [52, 52], "temporal_size": 6},
    "residual of the class token": {"residual_with_cls_embed": True},
    "relative positions in v1": {
        "proj_after_attn": False,
        "residual_pool": False,
        "block_setting": BLOCKS | {"output_channels": [8, 16, 16]},
    },
    "absolute positions in v2": {
        "rel_pos_embed": False,
        "patch_embed_kernel": [3, 3, 3],
        "patch_embed_padding": [1, 1, 1],
    },
    "time is pooled": {"block_setting": BLOCKS | {"stride_q": [[1, 1, 1], [2, 2, 2], []]}, "temporal_size": 8},
}


@pytest.mark.parametrize("options", TORCHVISION_OPTIONS.values(), ids=TORCHVISION_OPTIONS)
def test_options_agree_with_torchvision(comparison: Comparison, options: dict[str, Any]) -> None:
    arguments = TORCHVISION | options
    torch.manual_seed(0)
    settings = arguments["block_setting"]
    blocks = [
        MSBlockConfig(**dict(zip(settings, values, strict=True))) for values in zip(*settings.values(), strict=True)
    ]
    model = MViT(**(arguments | {"block_setting": blocks, "spatial_size": tuple(arguments["spatial_size"])}))
    clip = torch.rand(2, 3, arguments["temporal_size"], *arguments["spatial_size"])
    assert comparison.run_classifier("mvit", "torchvision", arguments, randomise(model), clip) == 0


def randomise(model: nn.Module) -> nn.Module:
    """So that no norm is an identity and attention is not uniform."""
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.add_(torch.randn_like(tensor) / max(tensor[0].numel(), 16) ** 0.5)
    return model
