"""States of pytorchvideo's complete networks give the same scores here."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from medvid.models.backbone import Backbone
from medvid.models.model import Model
from medvid.models.weights.loading import import_weights
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.classification import LinearClassifier
from medvid_heads.config import LinearClassifierOptions
from medvid_pytorchvideo.config import SlowFastOptions, X3DOptions
from medvid_pytorchvideo.model import X3D, SlowFast
from medvid_pytorchvideo.weights import translate_slowfast, translate_x3d


def with_head(backbone: Backbone, classes: int) -> Model:
    target = TargetInfo("case", "class", tuple(map(str, range(classes))))
    info, options = InputInfo("video", 3, (8, 64, 64)), LinearClassifierOptions(name="classification")
    return Model(backbone, LinearClassifier(options, backbone.feature_info, info, target)).eval()


def slowfast(classes: int = 7, **options: Any) -> Model:
    checked = SlowFastOptions(name="slowfast", **options)
    return with_head(SlowFast(checked, InputInfo("video", 3, (8, 64, 64))), classes)


def x3d(classes: int = 7, **options: Any) -> Model:
    return with_head(X3D(X3DOptions(name="x3d", **options), InputInfo("video", 3, (4, 64, 64))), classes)


def create_slowfast(**options: Any) -> nn.Module:
    from pytorchvideo.models import slowfast  # not at the top: model.py imports it first, and filters its warnings

    return slowfast.create_slowfast(**options)  # type: ignore[no-any-return]  # untyped library


def create_x3d(**options: Any) -> nn.Module:
    from pytorchvideo.models import x3d

    return x3d.create_x3d(**options)  # type: ignore[no-any-return]  # untyped library


def perturbed(network: nn.Module) -> nn.Module:
    """With statistics of norms and weights that all matter: builders zero the last norm of each block."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            for name, tensor in module.state_dict().items():
                if name in ("weight", "running_var"):
                    nn.init.uniform_(tensor, 0.5, 1.5)
                elif name in ("bias", "running_mean"):
                    nn.init.normal_(tensor, std=0.1)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.bias)
    return network.eval()


def save(network: nn.Module, folder: Path) -> Path:
    """As the model zoo keeps its files."""
    torch.save({"model_state": network.state_dict(), "epoch": 1}, folder / "published.pyth")
    return folder / "published.pyth"


def pathways(video: Tensor, alpha: int) -> list[Tensor]:
    """The slow and the fast one, as PySlowFast packs them."""
    chosen = torch.linspace(0, video.shape[2] - 1, video.shape[2] // alpha).long()
    return [torch.index_select(video, 2, chosen), video]


R101_50_50 = (
    ((1, 1, 1), (1, 1, 1), ((3, 1, 1),) * 2 + ((1, 1, 1),) * 4, (3, 1, 1)),
    ((3, 1, 1), (3, 1, 1), ((3, 1, 1),) * 2 + ((1, 1, 1),) * 4, (3, 1, 1)),
)


@pytest.mark.parametrize(
    ("options", "published", "size"),
    [
        ({"depth": 18}, {"model_depth": 18}, (8, 64, 64)),
        (
            {"depth": 50, "width": 16, "fusion_kernel_size": 5, "alpha": 8},
            {
                "stem_dim_outs": (16, 2),
                "slowfast_fusion_conv_kernel_size": (5, 1, 1),
                "slowfast_fusion_conv_stride": (8, 1, 1),
            },
            (16, 64, 96),
        ),
        (
            {"depth": 50, "width": 16, "beta_inv": 4, "res4_temporal_blocks": 2, "fusion_conv_channel_ratio": 3},
            {
                "stem_dim_outs": (16, 4),
                "slowfast_channel_reduction_ratio": 4,
                "slowfast_conv_channel_fusion_ratio": 3,
                "stage_conv_a_kernel_sizes": R101_50_50,
            },
            (8, 64, 64),
        ),
    ],
    ids=["R18", "R50", "R50 of fewer convolutions in time"],
)
@torch.no_grad()
def test_slowfast_gives_pytorchvideos_scores(
    tmp_path: Path, options: dict[str, Any], published: dict[str, Any], size: tuple[int, int, int]
) -> None:
    alpha = options.get("alpha", 4)
    frames, height, width = size
    pools = (frames // alpha, height // 32, width // 32), (frames, height // 32, width // 32)
    theirs = perturbed(create_slowfast(model_num_class=7, head_pool_kernel_sizes=pools, **published))
    ours = slowfast(**options)
    report = import_weights(ours, save(theirs, tmp_path), translate_slowfast, "pytorchvideo")
    assert report.matched == len(theirs.state_dict()) == len(ours.state_dict())
    video = torch.rand(2, 3, *size)
    expected = theirs(pathways(video, alpha))
    assert expected.std() > 0.01
    torch.testing.assert_close(ours(video), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "published", "size"),
    [
        ({"variant": "XS"}, {}, (4, 64, 64)),
        ({"variant": "S"}, {}, (5, 96, 96)),
        ({"variant": "L", "width_factor": 1.0}, {"depth_factor": 5.0, "width_factor": 1.0}, (4, 32, 32)),
        (
            {"depth_factor": 1.0, "bottleneck_factor": 1.5, "head_dim": 32},
            {"depth_factor": 1.0, "bottleneck_factor": 1.5, "head_dim_out": 32},
            (4, 50, 50),
        ),
    ],
    ids=["XS", "S", "L", "other factors"],
)
@torch.no_grad()
def test_x3d_gives_pytorchvideos_scores(
    tmp_path: Path, options: dict[str, Any], published: dict[str, Any], size: tuple[int, int, int]
) -> None:
    theirs = perturbed(
        create_x3d(
            model_num_class=7, input_clip_length=size[0], input_crop_size=size[1], head_activation=None, **published
        )
    )
    ours = x3d(**options)
    report = import_weights(ours, save(theirs, tmp_path), translate_x3d, "pytorchvideo")
    assert report.matched == len(theirs.state_dict()) == len(ours.state_dict())
    video = torch.rand(2, 3, *size)
    expected = theirs(video)
    assert expected.std() > 0.01
    torch.testing.assert_close(ours(video), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "published"),
    [
        ({}, {}),
        ({"depth": 101, "fusion_kernel_size": 5}, {"model_depth": 101, "slowfast_fusion_conv_kernel_size": (5, 1, 1)}),
    ],
)
def test_slowfast_at_its_published_size(options: dict[str, Any], published: dict[str, Any]) -> None:
    with torch.device("meta"):
        theirs, ours = create_slowfast(**published), slowfast(400, **options)
    translation = translate_slowfast(theirs.state_dict(), "pytorchvideo", ours)
    shapes = {name: tensor.shape for name, tensor in ours.state_dict().items()}
    assert {name: tensor.shape for name, tensor in translation.tensors.items()} == shapes


@pytest.mark.parametrize(("variant", "depth_factor"), [("M", 2.2), ("L", 5.0)])
def test_x3d_at_its_published_size(variant: str, depth_factor: float) -> None:
    with torch.device("meta"):
        theirs, ours = create_x3d(depth_factor=depth_factor), x3d(400, variant=variant)
    translation = translate_x3d(theirs.state_dict(), "pytorchvideo", ours)
    shapes = {name: tensor.shape for name, tensor in ours.state_dict().items()}
    assert {name: tensor.shape for name, tensor in translation.tensors.items()} == shapes


def test_other_classes_start_anew(tmp_path: Path) -> None:
    sizes = {"depth_factor": 1.0, "width_factor": 0.7}
    path = save(create_x3d(model_num_class=7, head_dim_out=16, **sizes), tmp_path)
    report = str(import_weights(x3d(3, head_dim=16, **sizes), path, translate_x3d, "pytorchvideo"))
    assert (
        "dropped blocks.5.proj.weight, blocks.5.proj.bias: the checkpoint's classifier has 7 classes, the model 3"
        in report
    )
