"""SlowFast and X3D: shapes, what they declare, and options; test_slowfast_weights compares their scores."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from medvid.models.backbone import Backbone
from medvid.plugin.info import InputInfo
from medvid_pytorchvideo.config import SlowFastOptions, X3DOptions
from medvid_pytorchvideo.model import X3D, SlowFast


def slowfast(channels: int = 3, **options: Any) -> SlowFast:
    torch.manual_seed(0)
    checked = SlowFastOptions(**({"name": "slowfast", "depth": 18, "width": 8, "beta_inv": 4} | options))
    return SlowFast(checked, InputInfo("video", channels, (8, 64, 64)))


def x3d(channels: int = 3, **options: Any) -> X3D:
    torch.manual_seed(0)
    small = {"width_factor": 0.7, "depth_factor": 1.0, "head_dim": 16}
    return X3D(X3DOptions(**({"name": "x3d"} | small | options)), InputInfo("video", channels, (4, 64, 64)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("make", "options"),
    [
        (slowfast, {}),
        (slowfast, {"alpha": 2, "beta_inv": 8, "fusion_conv_channel_ratio": 3, "fusion_kernel_size": 5}),
        (slowfast, {"alpha": 8}),
        (x3d, {}),
        (x3d, {"width_factor": 1.3, "bottleneck_factor": 1.5, "head_dim": 24}),
    ],
)
def test_features_are_as_declared(make: Callable[..., Backbone], options: dict[str, Any], channels: int) -> None:
    backbone = make(channels, **options).eval()
    size = 8, 64, 96
    features = backbone(torch.rand(2, channels, *size))
    info = backbone.feature_info
    assert len(features.maps) == len(info.maps) == 4
    for feature_map, declared in zip(features.maps, info.maps, strict=True):
        shape = [length // stride for length, stride in zip(size, declared.stride, strict=True)]
        assert feature_map.shape == (2, declared.channels, *shape)
    assert features.embedding is not None
    assert features.embedding.shape == (2, info.embedding)


def test_published_sizes() -> None:
    with torch.device("meta"):
        info = SlowFast(SlowFastOptions(name="slowfast"), InputInfo("video", 3, (32, 224, 224))).feature_info
        x3d_info = X3D(X3DOptions(name="x3d"), InputInfo("video", 3, (16, 224, 224))).feature_info
    assert [(item.channels, item.stride) for item in info.maps] == [
        (320, (4, 4, 4)), (640, (4, 8, 8)), (1280, (4, 16, 16)), (2048, (4, 32, 32)),
    ]  # fmt: skip
    assert info.embedding == 2304
    assert [item.channels for item in x3d_info.maps] == [24, 48, 96, 192]
    assert x3d_info.embedding == 2048


@pytest.mark.parametrize(("frames", "chosen"), [(8, [0, 7]), (16, [0, 5, 10, 15])])
def test_the_slow_pathway_sees_frames_from_the_first_to_the_last(frames: int, chosen: list[int]) -> None:
    backbone = slowfast()
    seen: list[Tensor] = []
    backbone.blocks[0].register_forward_pre_hook(lambda _module, args: seen.extend(args[0]))
    video = torch.rand(1, 3, frames, 32, 32)
    backbone(video.expand(2, -1, -1, -1, -1))
    assert torch.equal(seen[0][0], video[0, :, chosen])
    assert torch.equal(seen[1][0], video[0])


def test_slow_maps_hear_of_the_fast_pathway() -> None:
    backbone = slowfast().eval()
    video = torch.rand(1, 3, 8, 64, 64)
    other = video.clone()
    other[:, :, 3] += 1  # a frame that only the fast pathway sees
    before, after = backbone(video).maps, backbone(other).maps
    assert all(not torch.equal(*pair) for pair in zip(before, after, strict=True))


def test_res4_temporal_blocks_limits_convolutions_in_time() -> None:
    blocks = slowfast(depth=50, res4_temporal_blocks=2).blocks[3].multipathway_blocks
    for pathway in blocks:
        kernels = [block.branch2.conv_a.kernel_size[0] for block in pathway.res_blocks]
        assert kernels == [3, 3, 1, 1, 1, 1]


def test_another_number_of_frames_is_refused() -> None:
    with pytest.raises(ValueError, match=r"clips of 6 frames: .* multiple of alpha \(4\)"):
        slowfast()(torch.rand(1, 3, 6, 32, 32))


@pytest.mark.parametrize("make", [slowfast, x3d])
def test_layers_can_be_run_twice(make: Callable[..., Backbone]) -> None:
    """As gradient checkpointing does, with the same input."""
    video, gradients = torch.rand(2, 3, 8, 32, 32, dtype=torch.float64), []
    for checkpointed in (False, True):
        backbone = make().double()
        assert len(backbone.layers) == 5
        if checkpointed:
            for layer in backbone.layers:
                own = layer.forward
                layer.forward = lambda x, own=own: checkpoint(own, x, use_reentrant=False)
        embedding = backbone(video).embedding
        assert embedding is not None
        embedding.square().sum().backward()
        gradients.append([parameter.grad for parameter in backbone.parameters()])
    for plain, again in zip(*gradients, strict=True):
        assert plain is not None
        torch.testing.assert_close(plain, again)


@pytest.mark.parametrize("make", [slowfast, x3d])
def test_it_runs_under_autocast(make: Callable[..., nn.Module]) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert make()(torch.rand(2, 3, 8, 32, 32)).embedding.isfinite().all()
