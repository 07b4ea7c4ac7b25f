"""Files that timm saves, loaded into backbones of other sizes, channels and classes."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from families import SMALL_VIT, SPECS
from medvid.config.examples import read_options
from medvid.config.options import BackboneOptions, HeadOptions
from medvid.errors import CheckpointError
from medvid.models.build import build_head
from medvid.models.model import Model
from medvid.models.weights.loading import ImportReport, import_weights
from medvid.plugin import HeadSpec, InputInfo, TargetInfo
from medvid.testing import host_with
from medvid_timm.weights import translate

HOST = host_with(*SPECS.values())
SWIN = {"embed_dim": 12, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4}
CNN: Mapping[str, object] = {}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("vit_tiny_patch16_224", SMALL_VIT),
        ("swin_tiny_patch4_window7_224", SWIN),
        ("test_convnext", CNN),
        ("pvt_v2_b0", CNN),
        ("test_efficientnet", CNN),
    ],
)
def test_the_logits_are_timms(name: str, arguments: Mapping[str, object], tmp_path: Path) -> None:
    published = _published(name, arguments)
    model = _model(name, arguments)
    report = _load(model, published, tmp_path)
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model(image), published(image), rtol=1e-4, atol=1e-5)
    assert not report.fresh
    assert not report.resized


def test_positions_of_another_size_are_resized_as_timm_does(tmp_path: Path) -> None:
    published = _published("vit_tiny_patch16_224", SMALL_VIT)
    model = _model("vit_tiny_patch16_224", SMALL_VIT, size=96)
    report = _load(model, published, tmp_path)
    assert report.resized == {"backbone.model.pos_embed": ((1, 17, 24), (1, 37, 24))}
    published.set_input_size((96, 96))
    image = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(model(image), published(image), rtol=1e-4, atol=1e-5)


def test_a_gray_image_is_seen_as_its_colours_were(tmp_path: Path) -> None:
    published = _published("test_efficientnet", CNN)
    model = _model("test_efficientnet", CNN, channels=1)
    report = _load(model, published, tmp_path)
    assert report.resized == {"backbone.model.conv_stem.weight": ((24, 3, 3, 3), (24, 1, 3, 3))}
    gray = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model(gray), published(gray.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5)


def test_a_classifier_of_other_classes_is_dropped(tmp_path: Path) -> None:
    report = _load(
        _model("vit_tiny_patch16_224", SMALL_VIT, classes=3), _published("vit_tiny_patch16_224", SMALL_VIT), tmp_path
    )
    assert set(report.dropped) == {"head.weight", "head.bias"}
    assert "10 classes" in report.dropped["head.weight"]
    assert set(report.fresh) == {"head.classifier.weight", "head.classifier.bias"}


@pytest.mark.parametrize(
    ("name", "arguments", "count"),
    [("deit_tiny_distilled_patch16_224", SMALL_VIT, 4), ("levit_128s", {}, 14)],
)
def test_two_classifiers_are_dropped(name: str, arguments: Mapping[str, object], count: int, tmp_path: Path) -> None:
    report = _load(_model(name, arguments), _published(name, arguments), tmp_path)
    assert len(report.dropped) == count
    assert set(report.dropped.values()) == {"the model's head and timm's classifier are not both a single linear layer"}
    assert set(report.fresh) == {"head.classifier.weight", "head.classifier.bias"}


def test_a_file_without_classifier_leaves_the_head_fresh(tmp_path: Path) -> None:
    published = _published("pvt_v2_b0", CNN)
    published.reset_classifier(0)
    report = _load(_model("pvt_v2_b0", CNN), published, tmp_path)
    assert set(report.fresh.values()) == {"the file has no weights for this head"}
    assert not report.dropped


def test_a_file_of_another_model_is_refused(tmp_path: Path) -> None:
    model = _model("pvt_v2_b0", CNN)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(CheckpointError, match="does not fit the model"):
        _load(model, _published("test_efficientnet", CNN), tmp_path)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_file_that_timms_rules_cannot_read_is_refused(tmp_path: Path) -> None:
    model = _model("vit_tiny_patch16_224", SMALL_VIT)
    state = {"patch_embed.proj.weight": torch.zeros(5)}
    with pytest.raises(CheckpointError, match=r"rules for files of a VisionTransformer fail"):
        _import(model, state, tmp_path)


def _published(name: str, arguments: Mapping[str, object]) -> nn.Module:
    """What timm built with 10 classes for 64 x 64 RGB, with no parameter as initialised."""
    torch.manual_seed(0)
    size = {"img_size": 64} if timm.models.get_pretrained_cfg_value(name, "fixed_input_size") else {}
    model: nn.Module = timm.create_model(name, num_classes=10, **size, **arguments)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return model.eval()


def _model(
    name: str, arguments: Mapping[str, object], *, size: int = 64, channels: int = 3, classes: int = 10
) -> Model:
    info = InputInfo("image", channels, (size, size))
    options = read_options(HOST, SPECS["timm"], {"model": name, "model_args": arguments})
    assert isinstance(options, BackboneOptions)
    backbone = HOST.build(options, info)
    head_options = read_options(HOST, HOST.spec(HeadSpec, "classification"), {})
    assert isinstance(head_options, HeadOptions)
    target = TargetInfo("case", "class", tuple(map(str, range(classes))))
    head = build_head(HOST.build, head_options, backbone.feature_info, info, target)
    return Model(backbone, head).eval()


def _load(model: Model, published: nn.Module, folder: Path) -> ImportReport:
    return _import(model, published.state_dict(), folder)


def _import(model: Model, state: dict[str, Tensor], folder: Path) -> ImportReport:
    path = folder / "published.safetensors"
    save_file(state, path)
    return import_weights(model, path, translate, "timm")
