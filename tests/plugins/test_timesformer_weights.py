"""Published TimeSformer states and ViTs of images, at full size, and what happens where the model differs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.parity import recorded
from tests.parity.recorded import assert_full_size, count
from torch import Tensor
from torch.nn import functional

from medvid.errors import CheckpointError
from medvid.models.features import Features
from medvid.models.head import Head
from medvid.models.model import Model
from medvid.models.weights import resize_positions, with_channels
from medvid.models.weights.loading import import_weights
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.classification import LinearClassifier
from medvid_heads.config import LinearClassifierOptions
from medvid_timesformer.config import TimeSformerOptions
from medvid_timesformer.model import TimeSformer
from medvid_timesformer.weights import translate

SMALL: dict[str, Any] = {"img_size": 32, "patch_size": 8, "num_frames": 4, "embed_dim": 48, "depth": 3, "num_heads": 4}


class OtherHead(Head):
    """A head without a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, features: Features, input: Tensor) -> Tensor:  # noqa: ARG002 - every head gets it
        return features.maps[-1] * self.scale


def build(labels: int = 11, channels: int = 3, **options: Any) -> Model:
    torch.manual_seed(0)
    checked = TimeSformerOptions(name="timesformer", **options)
    info = InputInfo("video", channels, (checked.num_frames, 32, 32))
    backbone = TimeSformer(checked, info)
    target = TargetInfo("case", "class", tuple(map(str, range(labels))))
    head = LinearClassifier(LinearClassifierOptions(name="classification"), backbone.feature_info, info, target)
    return Model(backbone, head)


def published(name: str) -> dict[str, Tensor]:
    return recorded.published(f"timesformer_{name}")


def import_state(model: Model, state: Mapping[str, Tensor], source: str, folder: Path) -> str:
    return str(recorded.import_state(model, state, translate, source, folder))


@pytest.mark.parametrize(("name", "source"), [("facebook", "facebook"), ("hf", "huggingface")])
def test_full_size_states_match_tensor_by_tensor(name: str, source: str) -> None:
    with torch.device("meta"):
        model = build(400)
    assert_full_size(f"timesformer_{name}", model, translate, source, 121_566_352)


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({}, 121_566_352),
        ({"num_frames": 16, "img_size": 448}, 122_024_080),
        ({"num_frames": 96}, 121_633_936),
        ({"attention_type": "joint_space_time"}, 86_112_400),
        ({"attention_type": "space_only"}, 86_106_256),
    ],
    ids=["base", "HR", "L", "joint", "space only"],
)
def test_published_models_have_their_number_of_parameters(options: dict[str, Any], parameters: int) -> None:
    with torch.device("meta"):
        model = build(400, **options)
    assert count(model) == parameters


def test_a_checkpoint_as_the_authors_wrap_it(tmp_path: Path) -> None:
    model, state = build(**SMALL).eval(), published("facebook")
    wrapped = {"model_state": {f"model.{key}": tensor for key, tensor in state.items()}, "cfg": "x", "epoch": 1}
    torch.save(wrapped, tmp_path / "state.pyth")
    report = str(import_weights(model, tmp_path / "state.pyth", translate, "facebook"))
    assert report.endswith("(facebook): 69 tensors loaded")
    ours, theirs = (recorded.published("timesformer_facebook", kind)[""] for kind in ("input", "output"))
    torch.testing.assert_close(model(ours), theirs, atol=1e-5, rtol=0)


def test_transformers_backbone_alone_has_no_classifier(tmp_path: Path) -> None:
    model = build(**SMALL)
    state = {key.removeprefix("timesformer."): tensor for key, tensor in published("hf").items()}
    state = {key: tensor for key, tensor in state.items() if not key.startswith("classifier")}
    report = import_state(model, state, "huggingface", tmp_path)
    assert "67 tensors loaded" in report
    assert (
        "newly initialised head.classifier.weight, head.classifier.bias: the file has no weights for this head"
        in report
    )


def image_vit() -> dict[str, Tensor]:
    """A ViT of images: the names of TimeSformer without attention over time are those of timm."""
    return published("facebook_space")


def test_an_image_vit_is_inflated(tmp_path: Path) -> None:
    model, vit = build(7, **SMALL), image_vit()
    report = import_state(model, vit | {"pre_logits.fc.weight": torch.ones(2, 2)}, "vit", tmp_path)
    assert "dropped pre_logits.fc.weight: the layer between class token and classifier is not taken over" in report
    assert "newly initialised backbone.embedding.time_positions: images have no time" in report
    assert "and 3 more: attention over time starts by adding nothing" in report
    assert "dropped head.weight, head.bias: the checkpoint's classifier has 11 classes, the model 7" in report
    state = {key.removeprefix("backbone."): tensor for key, tensor in model.state_dict().items()}
    for index in range(3):
        block = f"blocks.{index}"
        for name in ("attn.qkv.weight", "attn.qkv.bias", "attn.proj.weight", "norm1.weight", "norm1.bias"):
            assert torch.equal(state[f"{block}.temporal_{name}"], vit[f"{block}.{name}"])
        assert not state[f"{block}.temporal_fc.weight"].any()
    assert not state["embedding.time_positions"].any()


@pytest.mark.parametrize("attention_type", ["divided_space_time", "space_only"])
def test_an_inflated_vit_sees_a_still_video_as_the_vit_sees_the_image(tmp_path: Path, attention_type: str) -> None:
    model = build(**SMALL, attention_type=attention_type).eval()
    report = import_state(model, image_vit(), "vit", tmp_path)
    assert "dropped" not in report
    image = torch.rand(2, 3, 1, 32, 32)
    logits = model(image.expand(-1, -1, 4, -1, -1))

    vit, x = image_vit(), image.squeeze(2)
    x = functional.conv2d(x, vit["patch_embed.proj.weight"], vit["patch_embed.proj.bias"], stride=8)
    x = torch.cat([vit["cls_token"].expand(2, -1, -1), x.flatten(2).transpose(1, 2)], dim=1) + vit["pos_embed"]
    for index in range(3):
        x = vit_block(x, {key.partition(f"blocks.{index}.")[2]: value for key, value in vit.items()})
    x = functional.layer_norm(x[:, 0], [48], vit["norm.weight"], vit["norm.bias"], 1e-6)
    expected = functional.linear(x, vit["head.weight"], vit["head.bias"])
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


def vit_block(x: Tensor, state: Mapping[str, Tensor]) -> Tensor:
    def layer(name: str, x: Tensor) -> Tensor:
        return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(name: str, x: Tensor) -> Tensor:
        return functional.layer_norm(x, [48], state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    query, key, value = layer("attn.qkv", norm("norm1", x)).reshape(len(x), -1, 3, 4, 12).permute(2, 0, 3, 1, 4)
    weights = (query @ key.transpose(-2, -1) / 12**0.5).softmax(-1)
    x = x + layer("attn.proj", (weights @ value).transpose(1, 2).flatten(2))
    return x + layer("mlp.fc2", functional.gelu(layer("mlp.fc1", norm("norm2", x))))


def test_tables_are_resized_on_loading_as_published(tmp_path: Path) -> None:
    model, state = build(**(SMALL | {"num_frames": 6, "img_size": (32, 48)})), published("facebook")
    report = import_state(model, state, "facebook", tmp_path)
    assert "resized backbone.embedding.positions: [1, 17, 48] to [1, 25, 48]" in report
    assert "resized backbone.embedding.time_positions: [1, 4, 48] to [1, 6, 48]" in report
    ours = model.state_dict()
    assert torch.equal(ours["backbone.embedding.time_positions"], state["time_embed"][:, [0, 0, 1, 2, 2, 3]])
    rows = [0, *(1 + index * 16 // 24 for index in range(24))]  # along the flattened grid
    assert torch.equal(ours["backbone.embedding.positions"], state["pos_embed"][:, rows])


def test_resizing_keeps_what_is_fixed_and_passes_gradients() -> None:
    table = torch.arange(5.0).reshape(1, 5, 1).requires_grad_()
    resized = resize_positions(table, [4], [2], "nearest")
    assert resized.flatten().tolist() == [0, 1, 3]
    resized.sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert table.grad is not None
    assert table.grad.flatten().tolist() == [1, 1, 0, 1, 0]


def test_other_numbers_of_channels(tmp_path: Path) -> None:
    model, state = build(channels=1, **SMALL).eval(), published("facebook")
    report = import_state(model, state, "facebook", tmp_path)
    assert "resized backbone.embedding.projection.weight: [48, 3, 8, 8] to [48, 64]" in report
    colour = build(**SMALL).eval()
    import_state(colour, state, "facebook", tmp_path)
    grey = torch.rand(1, 1, 4, 32, 32)
    torch.testing.assert_close(model(grey), colour(grey.expand(-1, 3, -1, -1, -1)))

    kernel = torch.rand(5, 3, 2, 2)
    torch.testing.assert_close(with_channels(kernel, 6).sum(1), kernel.sum(1))
    assert torch.equal(with_channels(kernel, 4)[:, 3], kernel[:, 0] * 0.75)


def test_another_head_keeps_its_initialisation(tmp_path: Path) -> None:
    model = Model(build(**SMALL).backbone, OtherHead())
    report = import_state(model, published("facebook"), "facebook", tmp_path)
    assert "dropped head.bias, head.weight: the model has another head" in report
    assert "newly initialised head.scale" in report


@pytest.mark.parametrize(
    ("name", "source", "options", "message"),
    [
        ("facebook_joint", "facebook", {}, r"not in the file: backbone\.blocks\.0\.temporal_norm1\.weight"),
        ("facebook", "facebook", {"attention_type": "joint_space_time"}, r"not in the model: blocks\.0\.temporal"),
        ("facebook", "huggingface", {}, r"not in the file: backbone\.embedding\.class_token"),
        ("facebook", "facebook", {"depth": 2}, r"not in the model: blocks\.2\."),
        ("facebook", "facebook", {"embed_dim": 96}, "of different shapes in file and model"),
        ("facebook", "facebook", {"patch_size": 4}, r"projection\.weight \(\[48, 192\], \[48, 48\]\)"),
    ],
)
def test_states_of_other_models_are_refused(
    tmp_path: Path, name: str, source: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        import_state(build(**(SMALL | options)), published(name), source, tmp_path)
