"""R(2+1)D has the features and the scores of torchvision's, whose state it takes over."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torchvision.models.video import r2plus1d_18

from medvid.models.model import Model
from medvid.models.weights.loading import import_weights
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.classification import LinearClassifier
from medvid_heads.config import LinearClassifierOptions
from medvid_r2plus1d.config import R2Plus1DOptions
from medvid_r2plus1d.model import R2Plus1D
from medvid_r2plus1d.weights import translate

CLIP = InputInfo("video", 3, (6, 24, 24))


@pytest.fixture(scope="module")
def published() -> nn.Module:
    torch.manual_seed(0)
    network = r2plus1d_18(num_classes=5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module")
def model(published: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """With the weights of the file."""
    path: Path = tmp_path_factory.mktemp("weights") / "r2plus1d_18.pth"
    torch.save(published.state_dict(), path)
    backbone = R2Plus1D(R2Plus1DOptions(name="r2plus1d"), CLIP)
    target = TargetInfo("case", "class", tuple("abcde"))
    options = LinearClassifierOptions(name="classification")
    model = Model(backbone, LinearClassifier(options, backbone.feature_info, CLIP, target)).eval()
    report = import_weights(model, path, translate, "torchvision")
    assert report.matched == len(published.state_dict()) == len(model.state_dict())
    return model


@torch.inference_mode()
def test_scores_and_maps_are_torchvisions(published: nn.Module, model: Model) -> None:
    clip = torch.randn(2, 3, *CLIP.size)
    torch.testing.assert_close(model(clip), published(clip))
    x = published.stem(clip)
    features, infos = model.backbone(clip), model.backbone.feature_info.maps
    stages = (published.layer1, published.layer2, published.layer3, published.layer4)
    for stage, found, info in zip(stages, features.maps, infos, strict=True):
        x = stage(x)
        torch.testing.assert_close(found, x)
        assert found.shape[1] == info.channels
        assert found.shape[2:] == tuple(-(-size // stride) for size, stride in zip(CLIP.size, info.stride, strict=True))


@pytest.mark.parametrize("frames", [1, 6, 16])
def test_gradients_in_bfloat16_are_finite_for_short_clips(frames: int) -> None:
    info = InputInfo("video", 3, (frames, 32, 32))
    backbone = R2Plus1D(R2Plus1DOptions(name="r2plus1d", blocks=(1, 1, 1, 1), width=4), info)
    with torch.autocast("cpu", torch.bfloat16):
        embedding = backbone(torch.randn(2, 3, *info.size)).embedding
    embedding.float().square().sum().backward()
    assert max(float(parameter.grad.abs().max()) for parameter in backbone.parameters()) < 1e4


def test_small_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="frames of 8 x 24 are too small; the minimum is 16 x 16"):
        R2Plus1DOptions(name="r2plus1d").check_input(InputInfo("video", 3, (4, 8, 24)))
    with pytest.raises(ValidationError):
        R2Plus1DOptions.model_validate({"name": "r2plus1d", "blocks": [2, 2, 2]})
