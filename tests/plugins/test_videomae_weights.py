"""VideoMAE's published layouts: at full size, pre-trained and fine-tuned, and what happens where the model differs."""

import argparse
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.parity import recorded
from tests.parity.recorded import count, shapes
from torch import Tensor
from transformers import VideoMAEConfig, VideoMAEForPreTraining, VideoMAEForVideoClassification, VideoMAEModel

from medvid.errors import CheckpointError
from medvid.models.model import Model
from medvid.models.weights import Translation
from medvid.models.weights.loading import import_weights
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.classification import LinearClassifier
from medvid_heads.config import LinearClassifierOptions
from medvid_videomae.config import VideoMAEOptions
from medvid_videomae.model import VideoMAE
from medvid_videomae.weights import translate

SMALL: dict[str, Any] = {"img_size": 16, "patch_size": 8, "num_frames": 4, "embed_dim": 24, "depth": 2, "num_heads": 4}
CONFIG = VideoMAEConfig(
    image_size=16,
    patch_size=8,
    num_frames=4,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=96,
    decoder_hidden_size=12,
    decoder_num_hidden_layers=1,
    decoder_num_attention_heads=2,
    decoder_intermediate_size=24,
    num_labels=5,
)
SIZES: dict[str, dict[str, int]] = {
    "small": {"hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536},
    "base": {},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
    "huge": {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16, "intermediate_size": 5120},
    "giant": {
        "hidden_size": 1408,
        "num_hidden_layers": 40,
        "num_attention_heads": 16,
        "intermediate_size": 6144,
        "patch_size": 14,
    },
}
"""As the authors publish them, in transformers' words."""


def build(labels: int = 5, channels: int = 3, **options: Any) -> Model:
    torch.manual_seed(0)
    checked = VideoMAEOptions.model_validate({"name": "videomae"} | options)
    info = InputInfo("video", channels, (checked.num_frames, 224, 224))
    backbone = VideoMAE(checked, info)
    target = TargetInfo("case", "class", tuple(map(str, range(labels))))
    head = LinearClassifierOptions(name="classification")
    return Model(backbone, LinearClassifier(head, backbone.feature_info, info, target)).eval()


def published(kind: type[Any], **changes: Any) -> Any:
    """A small network of transformers', roughened."""
    torch.manual_seed(1)
    network = kind(VideoMAEConfig(**{**CONFIG.to_dict(), **changes})).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return network


def as_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of transformers' classifier under the names of the authors' fine-tuning code."""
    rules = [
        (r"^videomae\.", ""),
        (r"^classifier\.", "head."),
        (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
        (r"^encoder\.layer\.", "blocks."),
        (r"\.attention\.output\.dense\.", ".attn.proj."),
        (r"\.intermediate\.dense\.", ".mlp.fc1."),
        (r"\.output\.dense\.", ".mlp.fc2."),
        (r"\.layernorm_before\.", ".norm1."),
        (r"\.layernorm_after\.", ".norm2."),
        (r"\.attention\.attention\.query\.bias$", ".attn.q_bias"),
        (r"\.attention\.attention\.value\.bias$", ".attn.v_bias"),
    ]
    names: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = key
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        names[name] = tensor
    for name in [name for name in names if name.endswith(".query.weight")]:
        parts = [names.pop(name.replace(".query.", f".{part}.")) for part in ("query", "key", "value")]
        names[name.replace(".attention.attention.query.", ".attn.qkv.")] = torch.cat(parts)
    return names


def as_pretrained(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's part of the authors' pre-training code, with a piece of the decoder."""
    encoder = {f"encoder.{key}": value for key, value in state.items() if not key.startswith(("head.", "fc_norm."))}
    norm = {f"encoder.norm.{name}": torch.full((24,), 0.5) for name in ("weight", "bias")}
    rest = ("decoder.blocks.0.norm1.weight", "decoder.head.bias", "encoder_to_decoder.weight", "mask_token")
    return encoder | norm | {key: torch.ones(3) for key in rest}


def import_state(model: Model, state: Mapping[str, Tensor], source: str, folder: Path) -> str:
    return str(recorded.import_state(model, state, translate, source, folder))


@pytest.fixture(scope="module")
def classifier() -> Any:
    return published(VideoMAEForVideoClassification)


@pytest.fixture(scope="module")
def video() -> Tensor:
    return torch.rand(2, 3, 4, 16, 16, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    ("variant", "parameters"),
    [
        ("small", 22_033_936),
        ("base", 86_534_800),
        ("large", 304_270_736),
        ("huge", 632_119_440),
        ("giant", 1_012_174_352),
    ],
)
def test_full_size_states_match_tensor_by_tensor(variant: str, parameters: int) -> None:
    with torch.device("meta"):
        model = build(400, variant=variant)
        config = VideoMAEConfig(**SIZES[variant], num_labels=400, image_size=28, num_frames=2)  # positions take long
        network = VideoMAEForVideoClassification(config)
    for state, source in ((network.state_dict(), "huggingface"), (as_authors(network.state_dict()), "authors")):
        translation = translate(state, source, model)
        assert shapes(translation.tensors) == shapes(model.state_dict())
        assert translation == Translation(translation.tensors)  # nothing resized, dropped or fresh
    assert count(model) == count(network) == parameters


@pytest.mark.parametrize("wrapper", ["module", "model", "bare", "compiled", "prefixed"])
def test_checkpoints_of_the_authors_as_they_wrap_them(
    classifier: Any, video: Tensor, wrapper: str, tmp_path: Path
) -> None:
    state: Mapping[str, Any] = OrderedDict(as_authors(classifier.state_dict()))
    contents: dict[str, Mapping[str, Any]] = {
        "module": {"module": state, "ds_version": "0.9", "global_steps": 5},
        "model": {"model": state, "optimizer": {"state": {}}, "epoch": 9, "args": argparse.Namespace(lr=1e-3, opt="x")},
        "bare": state,
        "compiled": {"module": {f"_orig_mod.{key}": value for key, value in state.items()}},
        "prefixed": {f"model.{key}": value for key, value in state.items()},
    }
    torch.save(contents[wrapper], tmp_path / "checkpoint.pth")
    model = build(**SMALL)
    report = str(import_weights(model, tmp_path / "checkpoint.pth", translate, "authors"))
    assert report.endswith("(authors): 32 tensors loaded")
    torch.testing.assert_close(model(video), classifier(video.transpose(1, 2)).logits, atol=1e-4, rtol=0)


def test_names_of_older_transformers(classifier: Any, video: Tensor, tmp_path: Path) -> None:
    state = {
        key.replace(".query.bias", ".q_bias").replace(".value.bias", ".v_bias"): value
        for key, value in classifier.state_dict().items()
    }
    model = build(**SMALL)
    assert "dropped" not in import_state(model, state, "huggingface", tmp_path)
    torch.testing.assert_close(model(video), classifier(video.transpose(1, 2)).logits, atol=1e-4, rtol=0)


def test_features_of_the_pretrained_encoder(video: Tensor, tmp_path: Path) -> None:
    network = published(VideoMAEForPreTraining, use_mean_pooling=False)
    model = build(**SMALL, use_mean_pooling=False)
    report = import_state(model, network.state_dict(), "huggingface", tmp_path)
    assert "18 more: it is of the decoder, which pre-training alone needs" in report
    assert "newly initialised head.classifier.weight, head.classifier.bias" in report
    (ours,), theirs = model.backbone(video).maps, network.videomae(video.transpose(1, 2)).last_hidden_state
    torch.testing.assert_close(ours.flatten(2).transpose(1, 2), theirs, atol=1e-4, rtol=0)


def test_the_tokens_of_a_fine_tuned_encoder(video: Tensor, tmp_path: Path) -> None:
    network, model = published(VideoMAEModel), build(**SMALL)
    report = import_state(model, network.state_dict(), "huggingface", tmp_path)
    assert "newly initialised backbone.fc_norm.weight, backbone.fc_norm.bias: the file has none" in report
    (ours,), theirs = model.backbone(video).maps, network(video.transpose(1, 2)).last_hidden_state
    torch.testing.assert_close(ours.flatten(2).transpose(1, 2), theirs, atol=1e-4, rtol=0)


def test_fine_tuning_starts_from_a_pretrained_file(classifier: Any, tmp_path: Path) -> None:
    state = as_pretrained(as_authors(classifier.state_dict()))
    torch.save({"model": state, "epoch": 1599}, tmp_path / "checkpoint-1599.pth")
    model = build(**SMALL)
    report = str(import_weights(model, tmp_path / "checkpoint-1599.pth", translate, "authors"))
    assert "and 1 more: it is of the decoder, which pre-training alone needs" in report
    assert "dropped encoder.norm.weight, encoder.norm.bias: the model has fc_norm instead" in report
    assert "newly initialised backbone.fc_norm.weight, backbone.fc_norm.bias: the file has none" in report
    ours = model.state_dict()["backbone.blocks.1.attn.qkv.weight"]
    assert torch.equal(ours, state["encoder.blocks.1.attn.qkv.weight"])

    frozen = build(**SMALL, use_mean_pooling=False)
    assert "backbone.norm" not in str(import_weights(frozen, tmp_path / "checkpoint-1599.pth", translate, "authors"))
    assert torch.equal(frozen.state_dict()["backbone.norm.weight"], torch.full((24,), 0.5))


def test_a_head_of_other_classes_starts_afresh(classifier: Any, tmp_path: Path) -> None:
    report = import_state(build(7, **SMALL), classifier.state_dict(), "huggingface", tmp_path)
    assert "the checkpoint's classifier has 5 classes, the model 7" in report


def test_one_channel_sees_what_three_equal_ones_do(classifier: Any, tmp_path: Path) -> None:
    grey, colour = build(channels=1, **SMALL), build(**SMALL)
    report = import_state(grey, classifier.state_dict(), "huggingface", tmp_path)
    assert "resized backbone.tubelet_embedding.projection.weight: [24, 3, 2, 8, 8] to [24, 128]" in report
    import_state(colour, classifier.state_dict(), "huggingface", tmp_path)
    clip = torch.rand(1, 1, 4, 16, 16)
    torch.testing.assert_close(grey(clip), colour(clip.expand(-1, 3, -1, -1, -1)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "source", "message"),
    [
        ({"depth": 1}, "authors", r"not in the model: blocks\.1\."),
        ({"depth": 3}, "authors", r"not in the file: backbone\.blocks\.2\."),
        ({"embed_dim": 48}, "authors", "of different shapes in file and model"),
        ({"patch_size": 4}, "authors", r"the file has tubelets of \[2, 8, 8\] .*, the model of \[2, 4, 4\]"),
        ({"tubelet_size": 4}, "authors", r"the file has tubelets of \[2, 8, 8\] .*, the model of \[4, 8, 8\]"),
        ({}, "huggingface", r"not in the model: blocks\.0\.attn\.proj"),
    ],
)
def test_states_of_other_models_are_refused(
    classifier: Any, options: dict[str, Any], source: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=message):
        import_state(build(**(SMALL | options)), as_authors(classifier.state_dict()), source, tmp_path)
