"""A backbone of images on volumes and videos: the features of its slices, put together again."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.parity.recorded import published
from torch import Tensor, nn

from medvid.config.axes import ADAPTATIONS, SLICES, Adaptation
from medvid.config.checked import CheckedTask, check_task
from medvid.config.load import load_task
from medvid.config.options import BackboneOptions
from medvid.models.axes import AxisFold, make_adapter
from medvid.models.backbone import Backbone
from medvid.models.build import build_model, load_initial_weights
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.plugin.host import Host, make_host
from medvid.plugin.info import InputInfo
from medvid.runs.weights import read_trained

TASK = Path(__file__).parents[2] / "tasks" / "transunet_btcv.yaml"
TINY = {
    "dataset.patch.size": [48, 32, 3],
    "dataset.augment": ["flip"],
    "backbone.img_size": [48, 32],
    "backbone.resnet": {"num_layers": [1, 1, 1], "width_factor": 0.5},
    "backbone.hidden_size": 12,
    "backbone.mlp_dim": 16,
    "backbone.num_heads": 2,
    "backbone.num_layers": 2,
    "backbone.dropout_rate": 0.0,
    "head.head_channels": 8,
    "head.decoder_channels": [8, 8, 8, 4],
}
FOLD_OF = {axes: AxisFold(axis) for axes, axis in SLICES.items()}
axes = pytest.mark.parametrize("fold", FOLD_OF.values(), ids=FOLD_OF)


class Flat(Backbone):
    """A backbone of images that remembers what it was fed."""

    feature_info = FeatureInfo(maps=(MapInfo(4, (2, 2)), MapInfo(6, (4, 8))), embedding=6)

    def __init__(self, *, embeds: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, (2, 2), stride=(2, 2))
        self.conv2 = nn.Conv2d(4, 6, (2, 4), stride=(2, 4))
        self.embeds = embeds

    def forward(self, input: Tensor) -> Features:
        self.input = input
        fine = self.conv1(input)
        coarse = self.conv2(fine.tanh())
        return Features(maps=(fine, coarse), embedding=coarse.mean((2, 3)) if self.embeds else None)


def make_stack(fold: AxisFold, batch: int = 2) -> Tensor:
    """(B, 2, *S): 3 slices or frames of 8 x 16."""
    size = [8, 16]
    size.insert(fold.axis, 3)
    return torch.rand(batch, 2, *size, generator=torch.Generator().manual_seed(0))


def one_by_one(backbone: Callable[[Tensor], Features], input: Tensor, fold: AxisFold) -> list[Features]:
    return [backbone(piece) for piece in input.unbind(2 + fold.axis)]


@axes
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last_3d])
def test_features_are_those_of_the_slices(fold: AxisFold, batch: int, memory_format: torch.memory_format) -> None:
    backbone, stack = Flat(), make_stack(fold, batch).contiguous(memory_format=memory_format)
    features, slices = fold.features(backbone, stack), one_by_one(backbone, stack, fold)
    for index, feature_map in enumerate(features.maps):
        expected = torch.stack([piece.maps[index] for piece in slices], dim=2 + fold.axis)
        torch.testing.assert_close(feature_map, expected)
    embeddings = [piece.embedding for piece in slices if piece.embedding is not None]
    assert features.embedding is not None
    torch.testing.assert_close(features.embedding, torch.stack(embeddings).mean(0))
    torch.testing.assert_close(features.frames, torch.stack(embeddings, dim=1))


@axes
def test_features_are_as_declared(fold: AxisFold) -> None:
    stack = make_stack(fold)
    features, info = fold.features(Flat(), stack), fold.feature_info(Flat.feature_info)
    for feature_map, declared in zip(features.maps, info.maps, strict=True):
        spanned = [count * stride for count, stride in zip(feature_map.shape[2:], declared.stride, strict=True)]
        assert (feature_map.shape[1], spanned) == (declared.channels, list(stack.shape[2:]))
    assert features.embedding is not None
    assert features.embedding.shape == (2, info.embedding)
    assert features.frames is not None
    assert features.frames.shape == (2, 3, info.frames)


def test_a_backbone_without_embedding_stays_without() -> None:
    assert AxisFold(2).features(Flat(embeds=False), make_stack(AxisFold(2))).embedding is None


@axes
def test_gradients_are_those_of_the_slices(fold: AxisFold) -> None:
    backbone, stack = Flat().double(), make_stack(fold).double()

    def gradients(features: list[Features]) -> tuple[Tensor, ...]:
        loss = torch.stack([feature_map.square().sum() for each in features for feature_map in each.maps]).sum()
        return torch.autograd.grad(loss, list(backbone.parameters()))

    torch.testing.assert_close(
        gradients([fold.features(backbone, stack)]), gradients(one_by_one(backbone, stack, fold))
    )


@axes
@pytest.mark.parametrize("batch", [1, 2])
def test_the_memory_format_of_the_input_is_kept(fold: AxisFold, batch: int) -> None:
    backbone, stack = Flat(), make_stack(fold, batch)
    for feature_map in fold.features(backbone, stack).maps:
        assert feature_map.is_contiguous()
    assert backbone.input.is_contiguous()
    for feature_map in fold.features(backbone, stack.contiguous(memory_format=torch.channels_last_3d)).maps:
        assert feature_map.is_contiguous(memory_format=torch.channels_last_3d)
    assert backbone.input.is_contiguous(memory_format=torch.channels_last)


def test_frames_that_lie_one_after_the_other_are_not_copied() -> None:
    backbone, stack = Flat(), make_stack(FOLD_OF["video"]).contiguous(memory_format=torch.channels_last_3d)
    FOLD_OF["video"].features(backbone, stack)
    assert backbone.input.data_ptr() == stack.data_ptr()


class Solid(Backbone):
    """A backbone of three axes that remembers what it was fed."""

    feature_info = FeatureInfo(maps=(MapInfo(3, (1, 2, 4)),), embedding=3)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(2, 3, (1, 2, 4), stride=(1, 2, 4))

    def forward(self, input: Tensor) -> Features:
        self.input = input
        out = self.conv(input)
        return Features(maps=(out,), embedding=out.mean((2, 3, 4)))


INNER = {
    ("move", "volume"): (8, 4, 6),
    ("move", "video"): (6, 8, 4),
    ("fold", "volume"): (4, 6),
    ("fold", "video"): (6, 8),
    ("insert", "video"): (1, 4, 6),
    ("insert", "volume"): (4, 6, 1),
}


@pytest.mark.parametrize("adaptation", ADAPTATIONS, ids=lambda item: f"{item.native} on {item.given}")
def test_the_backbone_is_built_for_its_own_layout(adaptation: Adaptation) -> None:
    size = (4, 6) if adaptation.given == "image" else (4, 6, 8)
    inner = adaptation.inner(InputInfo(adaptation.given, 3, size), BackboneOptions(name="any"))
    key = (adaptation.kind, adaptation.native if adaptation.kind == "insert" else adaptation.given)
    assert inner == InputInfo(adaptation.native, 3, INNER[key])


@pytest.mark.parametrize("adaptation", [item for item in ADAPTATIONS if item.kind != "fold"], ids=str)
@pytest.mark.parametrize("depth", [1, 2])
def test_maps_come_back_with_the_axes_of_the_input(adaptation: Adaptation, depth: int) -> None:
    frames = 4 * depth if adaptation.native == "volume" else depth  # at least its stride on the axis of slices
    backbone, adapter = Solid(), make_adapter(adaptation, frames)
    given = torch.rand(2, 2, 16, 24) if adaptation.given == "image" else torch.rand(2, 2, 16, 24, 8)
    features, info = adapter.features(backbone, given), adapter.feature_info(Solid.feature_info)
    spanned = [n * stride for n, stride in zip(features.maps[0].shape[2:], info.maps[0].stride, strict=True)]
    assert spanned == list(given.shape[2:])
    assert features.embedding is not None


def test_slices_become_frames_in_their_order() -> None:
    volume, backbone = torch.rand(1, 2, 8, 12, 5), Solid()
    [move] = [item for item in ADAPTATIONS if item.kind == "move" and item.given == "volume"]
    make_adapter(move, 1).features(backbone, volume)
    for number in range(5):
        assert torch.equal(backbone.input[:, :, number], volume[..., number])


@pytest.fixture(scope="module")
def host() -> Host:
    return make_host()


@pytest.fixture
def task(host: Host) -> CheckedTask:
    """TransUNet on BTCV, tiny."""
    return check_task(load_task(TASK, host, overrides={**TINY, "dataset.if_missing": "error"}), host)


def test_a_built_model_maps_a_volume_to_its_labels_and_all_of_it_learns(task: CheckedTask) -> None:
    model = build_model(task)
    logits = model(torch.rand(2, 1, 48, 32, 3))
    assert logits.shape == (2, 14, 48, 32, 3)
    loss = model.head.loss(logits, torch.randint(14, (2, 48, 32, 3)))["loss"]
    gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    names = (name for name, _ in model.named_parameters())
    assert [name for name, gradient in zip(names, gradients, strict=True) if gradient is None] == []


def test_published_weights_are_imported_as_for_images(host: Host, tmp_path: Path) -> None:
    state, path = published("transunet"), tmp_path / "encoder.safetensors"
    encoder = {key: value for key, value in state.items() if key.startswith("transformer.")}
    save_file(encoder, path)
    overrides = {
        "backbone.weights": {"source": "transunet", "path": str(path)},
        "backbone.resnet": {"num_layers": [1, 2, 2], "width_factor": 0.5},
        "backbone.hidden_size": 32,
        "backbone.mlp_dim": 64,
        "backbone.num_heads": 4,
    }
    other = check_task(load_task(TASK, host, overrides={**TINY, "dataset.if_missing": "error", **overrides}), host)
    model = build_model(other)
    [report] = load_initial_weights(model, other, read_trained)
    assert all(name.startswith("head.") for name in report.fresh)
    assert report.matched == len(model.backbone.state_dict())
    projection = model.backbone.state_dict()["patch_embedding.projection.weight"]
    assert torch.equal(projection, encoder["transformer.embeddings.patch_embeddings.weight"])


def test_kernels_of_both_kinds_are_laid_out(task: CheckedTask) -> None:
    model = build_model(task)
    kernels = {parameter.ndim: parameter for parameter in model.parameters() if min(parameter.shape) > 1}
    assert kernels[4].is_contiguous(memory_format=torch.channels_last)
    assert kernels[5].is_contiguous(memory_format=torch.channels_last_3d)
    assert not kernels[4].is_contiguous()
