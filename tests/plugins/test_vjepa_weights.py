"""V-JEPA 2's published layouts: at full size, with and without pooler, and what happens where the model differs."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.parity import recorded
from tests.parity.recorded import count, shapes
from torch import Tensor
from transformers import VJEPA2Config, VJEPA2ForVideoClassification, VJEPA2Model

from medvid.errors import CheckpointError
from medvid.models.model import Model
from medvid.models.weights.loading import import_weights
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.classification import LinearClassifier
from medvid_heads.config import LinearClassifierOptions
from medvid_vjepa.config import VJEPAOptions
from medvid_vjepa.model import VJEPA
from medvid_vjepa.weights import translate

SMALL: dict[str, Any] = {"patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4}
CONFIG: dict[str, Any] = {
    "crop_size": 16,
    "patch_size": 8,
    "frames_per_clip": 4,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_pooler_layers": 1,
    "pred_hidden_size": 12,
    "pred_num_hidden_layers": 1,
    "num_labels": 5,
}
SIZES: dict[str, dict[str, Any]] = {
    "large": {},
    "huge": {"hidden_size": 1280, "num_hidden_layers": 32},
    "giant": {"hidden_size": 1408, "num_hidden_layers": 40, "num_attention_heads": 22, "mlp_ratio": 48 / 11},
}
"""As published, in transformers' words."""


def build(labels: int = 5, channels: int = 3, **options: Any) -> Model:
    torch.manual_seed(0)
    checked = VJEPAOptions.model_validate({"name": "vjepa"} | options)
    info = InputInfo("video", channels, (4, 16, 16))
    backbone = VJEPA(checked, info)
    target = TargetInfo("case", "class", tuple(map(str, range(labels))))
    head = LinearClassifierOptions(name="classification")
    return Model(backbone, LinearClassifier(head, backbone.feature_info, info, target)).eval()


def published(kind: type[Any]) -> Any:
    """A small network of transformers', roughened."""
    torch.manual_seed(1)
    network = kind(VJEPA2Config(**CONFIG)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return network


def as_authors(encoder: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of transformers' encoder as the authors' file has it."""
    state: dict[str, Tensor] = {"module.backbone.pos_embed": torch.zeros(1, 8, 32)}
    for key, tensor in encoder.items():
        name = re.sub(r"^embeddings\.patch_embeddings\.", "patch_embed.", key)
        name = re.sub(r"^layer\.", "blocks.", name).replace("layernorm.", "norm.").replace(".attention.", ".attn.")
        state[f"module.backbone.{name}"] = tensor
    for name in [name for name in state if ".query." in name]:
        parts = [state.pop(name.replace(".query.", f".{part}.")) for part in ("query", "key", "value")]
        state[name.replace(".query.", ".qkv.")] = torch.cat(parts)
    return state


def import_state(model: Model, state: Mapping[str, Tensor], source: str, folder: Path) -> str:
    return str(recorded.import_state(model, state, translate, source, folder))


@pytest.fixture(scope="module")
def classifier() -> Any:
    return published(VJEPA2ForVideoClassification)


@pytest.fixture(scope="module")
def video() -> Tensor:
    return torch.rand(2, 3, 4, 16, 16, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    ("variant", "parameters"), [("large", 303_885_312), ("huge", 631_648_000), ("giant", 1_012_173_952)]
)
def test_full_size_states_match_tensor_by_tensor(variant: str, parameters: int) -> None:
    with torch.device("meta"):
        model = build(174, variant=variant, num_pooler_layers=3)
        network = VJEPA2ForVideoClassification(VJEPA2Config(**SIZES[variant], num_labels=174))
    translation = translate(network.state_dict(), "huggingface", model)
    assert shapes(translation.tensors) == shapes(model.state_dict())
    assert not translation.fresh
    assert not translation.resized
    assert all(key.startswith("vjepa2.predictor.") for key in translation.dropped)
    encoder = sum(parameter.numel() for name, parameter in model.backbone.named_parameters() if "pooler" not in name)
    assert encoder == count(network.vjepa2.encoder) == parameters
    state = as_authors(network.vjepa2.encoder.state_dict())
    alone = translate({key.removeprefix("module."): tensor for key, tensor in state.items()}, "authors", model)
    assert set(alone.tensors) == {"backbone." + name for name in model.backbone.state_dict() if "pooler" not in name}


def test_a_published_classifier(classifier: Any, video: Tensor, tmp_path: Path) -> None:
    model = build(**SMALL, num_pooler_layers=1)
    report = import_state(model, classifier.state_dict(), "huggingface", tmp_path)
    assert "more: it is of the predictor, which pre-training alone needs" in report
    assert "newly initialised" not in report
    torch.testing.assert_close(model(video), classifier(video.transpose(1, 2)).logits, atol=1e-4, rtol=0)


def test_an_encoder_alone(video: Tensor, tmp_path: Path) -> None:
    network, model = published(VJEPA2Model), build(**SMALL)
    import_state(model, network.state_dict(), "huggingface", tmp_path)
    (ours,) = model.backbone(video).maps
    theirs = network(video.transpose(1, 2), skip_predictor=True).last_hidden_state
    torch.testing.assert_close(ours.flatten(2).transpose(1, 2), theirs, atol=1e-4, rtol=0)


def test_the_target_encoder_of_the_authors_file(classifier: Any, video: Tensor, tmp_path: Path) -> None:
    target = as_authors(classifier.vjepa2.encoder.state_dict())
    student = {key: torch.zeros_like(tensor) for key, tensor in target.items()}
    content = {"encoder": student, "predictor": {"module.x": torch.ones(1)}, "opt": {"state": {}}, "epoch": 9}
    torch.save({**content, "target_encoder": target}, tmp_path / "vitl.pt")
    model = build(**SMALL)
    report = str(import_weights(model, tmp_path / "vitl.pt", translate, "authors"))
    assert "dropped backbone.pos_embed: positions are rotary" in report
    (ours,) = model.backbone(video).maps
    theirs = classifier.vjepa2(video.transpose(1, 2), skip_predictor=True).last_hidden_state
    torch.testing.assert_close(ours.flatten(2).transpose(1, 2), theirs, atol=1e-4, rtol=0)


def test_a_pooler_that_only_one_side_has(classifier: Any, tmp_path: Path) -> None:
    report = import_state(build(**SMALL), classifier.state_dict(), "huggingface", tmp_path)
    assert "more: backbone.num_pooler_layers is not set" in report
    state = {key: value for key, value in classifier.state_dict().items() if key.startswith("vjepa2.")}
    report = import_state(build(**SMALL, num_pooler_layers=2), state, "huggingface", tmp_path)
    assert "more: the file has no pooler" in report


@pytest.mark.parametrize(
    ("options", "source", "message"),
    [
        ({"depth": 1}, "huggingface", r"not in the model: vjepa2\.encoder\.layer\.1\."),
        ({"num_pooler_layers": 2}, "huggingface", r"not in the file: backbone\.pooler\.blocks\.1\."),
        ({"mlp_ratio": 2.0}, "huggingface", "of different shapes in file and model"),
        ({"patch_size": 4}, "huggingface", r"the file has tubelets of \[2, 8, 8\] .*, the model of \[2, 4, 4\]"),
        ({}, "authors", r"not in the model: "),
    ],
)
def test_states_of_other_models_are_refused(
    classifier: Any, options: dict[str, Any], source: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=message):
        import_state(build(**(SMALL | options)), classifier.state_dict(), source, tmp_path)
