"""One model of each family: its maps, and a step of training on volumes and on videos."""

import pytest
import torch
from torch import Tensor, nn

from families import FAMILIES, SPECS, Family, block, images
from medvid.config.axes import find_adaptation
from medvid.config.examples import read_options
from medvid.config.options import BackboneOptions, HeadOptions
from medvid.models.axes import make_adapter
from medvid.models.build import build_head
from medvid.models.model import Model
from medvid.plugin import BackboneSpec, HeadSpec, InputInfo, TargetInfo
from medvid.testing import host_with
from medvid.training.memory import checkpoint_layers

HOST = host_with(*SPECS.values())
SEGMENTATION = TargetInfo("voxel", "class", ("background", "liver", "spleen"))
CLASSIFICATION = TargetInfo("case", "class", ("jump", "run"))


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    chosen = FAMILIES[request.param]
    if chosen.backbone == "vit_pytorch":
        pytest.importorskip("vit_pytorch")
    torch.manual_seed(0)
    return chosen


def test_maps_are_as_declared(family: Family) -> None:
    info = images(family)
    backbone = HOST.build(_options(block(family)), info).eval()
    with torch.no_grad():
        features = backbone(torch.randn(1, 3, *info.size))
    declared = backbone.feature_info
    assert [(item.channels, item.stride) for item in declared.maps] == [
        (channels, (step, step)) for channels, step in family.maps
    ]
    for item, given in zip(declared.maps, features.maps, strict=True):
        cells = {-(-family.size // item.stride[0]), family.size // item.stride[0]}
        assert given.shape[:2] == (1, item.channels)
        assert set(given.shape[2:]) <= cells
    assert features.embedding is not None
    assert features.embedding.shape == (1, family.embedding)
    assert declared.embedding == family.embedding
    assert backbone.layers


def test_it_learns_to_segment_volumes_slice_by_slice(family: Family) -> None:
    info = InputInfo("volume", 1, (family.size, family.size, 2))
    model = _model(family, info, {"name": "cascaded_upsampler", "decoder_channels": [8, 8, 8, 8]}, SEGMENTATION)
    target = torch.randint(3, (1, *info.size))
    output = _check_step(model, torch.randn(1, 1, *info.size), target)
    assert output.shape == (1, 3, *info.size)


def test_it_learns_to_classify_videos_frame_by_frame(family: Family) -> None:
    """With gradient checkpointing: recomputes each of what `layers` names."""
    info = InputInfo("video", 3, (2, family.size, family.size))
    model = _model(family, info, {"name": "classification"}, CLASSIFICATION)
    checkpoint_layers(model.backbone)
    output = _check_step(model, torch.randn(2, 3, *info.size), torch.tensor([0, 1]))
    assert output.shape == (2, 2)


@pytest.mark.parametrize("time", [{"name": "stam", "num_frames": 2}, {"name": "vtn", "num_attention_heads": 2}])
@pytest.mark.parametrize("name", ["ViT", "PVTv2"])
def test_it_sees_the_frames_of_a_video_transformer(time: dict[str, object], name: str) -> None:
    family = FAMILIES[name]
    options = _options({**time, "frame": block(family)})
    info = InputInfo("video", 3, (2, family.size, family.size))
    backbone = HOST.build(options, info)
    features = backbone(torch.randn(1, 3, *info.size))
    assert features.embedding is not None
    assert features.embedding.shape == (1, family.embedding)
    assert [item.shape[:3] for item in features.maps] == [(1, channels, 2) for channels, _ in family.maps]


@pytest.mark.parametrize("name", ["ViT", "Swin", "PiT", "CrossViT"])
def test_unetr_decodes_its_maps(name: str) -> None:
    family = FAMILIES[name]
    model = _model(family, images(family, 1), {"name": "unetr_decoder", "feature_size": 4}, SEGMENTATION)
    assert model(torch.randn(1, 1, family.size, family.size)).shape == (1, 3, family.size, family.size)


def _options(options: dict[str, object]) -> BackboneOptions:
    validated = read_options(HOST, HOST.spec(BackboneSpec, str(options["name"])), options)
    assert isinstance(validated, BackboneOptions)
    return validated


def _model(family: Family, info: InputInfo, head: dict[str, object], target: TargetInfo) -> Model:
    options = _options(block(family))
    head_options = read_options(HOST, HOST.spec(HeadSpec, str(head["name"])), head)
    assert isinstance(head_options, HeadOptions)
    adaptation = find_adaptation(SPECS[family.backbone], options, info)
    adapter = make_adapter(adaptation, 1) if adaptation else None
    backbone = HOST.build(options, adaptation.inner(info, options) if adaptation else info)
    declared = adapter.feature_info(backbone.feature_info) if adapter else backbone.feature_info
    return Model(backbone, build_head(HOST.build, head_options, declared, info, target), adapter)


def _check_step(model: Model, input: Tensor, target: Tensor) -> Tensor:
    """A small step against the gradient lowers the loss; returns the output before it."""
    output: Tensor = model(input)
    loss = model.head.loss(output, target)["loss"]
    loss.backward()
    gradients = [parameter.grad for parameter in model.backbone.parameters() if parameter.grad is not None]
    assert gradients
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    assert norm > 0
    torch.optim.SGD(model.parameters(), lr=0.01).step()
    with torch.no_grad():
        assert model.head.loss(model(input), target)["loss"] < loss
    return output
