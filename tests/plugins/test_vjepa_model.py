"""The V-JEPA backbone: shapes, rotary positions, pooler. Numbers are compared with transformers' in tests/parity."""

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import StochasticDepth

from medvid.config.load import load_task
from medvid.models.features import Features
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo
from medvid_vjepa.config import VJEPAOptions
from medvid_vjepa.model import VJEPA
from medvid_vjepa.rotary import rotate, rotation_of

TASKS = Path(__file__).parents[2] / "tasks"


def build(channels: int = 3, **options: Any) -> VJEPA:
    torch.manual_seed(0)
    small = {"patch_size": 4, "embed_dim": 16, "num_heads": 2, "depth": 3}
    checked = VJEPAOptions.model_validate({"name": "vjepa"} | small | options)
    return VJEPA(checked, InputInfo("video", channels, (4, 16, 16)))


def embedding(backbone: VJEPA, video: Tensor) -> Tensor:
    features: Features = backbone(video)
    assert features.embedding is not None
    return features.embedding


@pytest.mark.parametrize("num_pooler_layers", [None, 0, 2])
@pytest.mark.parametrize("size", [(4, 16, 16), (6, 24, 8), (2, 4, 4)])
def test_features_are_as_declared(num_pooler_layers: int | None, size: tuple[int, int, int]) -> None:
    backbone = build(1, num_pooler_layers=num_pooler_layers, taps=(0, 1))
    features = backbone(torch.rand(2, 1, *size))
    info = backbone.feature_info
    assert len(features.maps) == len(info.maps) == 3
    for feature_map, declared in zip(features.maps, info.maps, strict=True):
        grid = [length // stride for length, stride in zip(size, declared.stride, strict=True)]
        assert feature_map.shape == (2, declared.channels, *grid)
    assert features.embedding is not None
    assert features.embedding.shape == (2, info.embedding)


def test_the_embedding_is_the_mean_of_the_normalised_tokens_or_the_poolers() -> None:
    video = torch.rand(2, 3, 4, 16, 16)
    features = build()(video)
    torch.testing.assert_close(features.embedding, features.maps[-1].mean(dim=(2, 3, 4)))
    backbone = build(num_pooler_layers=1)
    assert backbone.pooler is not None
    tokens = backbone(video).maps[-1].flatten(2).transpose(1, 2)
    assert torch.equal(embedding(backbone, video), backbone.pooler(tokens))


def test_a_map_keeps_places() -> None:
    """Without attention and MLP a token depends on its own tubelet alone."""
    backbone = build()
    for name, parameter in backbone.named_parameters():
        if name.endswith(("attn.proj.weight", "mlp.fc2.weight")):
            nn.init.zeros_(parameter)
    video = torch.rand(1, 3, 4, 16, 16)
    changed = video.clone()
    changed[0, 1, 3, 5, 14] += 1  # the second tubelet in time, row 1, column 3
    difference = (backbone(changed).maps[0] - backbone(video).maps[0]).abs().sum(dim=1)[0]
    assert difference.nonzero().tolist() == [[1, 1, 3]]


def test_each_axis_turns_a_third_of_the_channels() -> None:
    cosines, sines = rotation_of((2, 3, 4), 20, torch.zeros(()))
    assert cosines.shape == sines.shape == (24, 20)
    time, row, column = 1, 2, 3
    place = (time * 3 + row) * 4 + column
    frequencies = torch.tensor([1.0, 10000 ** (-1 / 3), 10000 ** (-2 / 3)])  # repeated as a whole
    angles = torch.cat([where * frequencies.repeat(2) for where in (time, row, column)])
    torch.testing.assert_close(cosines[place, :18], angles.cos())
    torch.testing.assert_close(sines[place, :18], angles.sin())
    assert torch.equal(cosines[:, 18:], torch.ones(24, 2))  # what is left over is not turned
    assert not sines[:, 18:].any()


def test_pairs_of_neighbouring_channels_are_turned() -> None:
    quarter = torch.zeros(1, 4), torch.ones(1, 4)
    assert rotate(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), quarter).tolist() == [[-2.0, 1.0, -4.0, 3.0]]


def test_queries_and_keys_are_turned_in_their_own_precision() -> None:
    rotation = rotation_of((2, 2, 2), 8, torch.zeros((), dtype=torch.bfloat16))
    assert rotation[0].dtype == torch.float32
    assert rotate(torch.ones(8, 8, dtype=torch.bfloat16), rotation).dtype == torch.bfloat16
    assert rotation_of((2, 2, 2), 8, torch.zeros((), dtype=torch.float64))[0].dtype == torch.float64


def test_the_order_of_frames_matters() -> None:
    backbone, video = build(), torch.rand(2, 3, 4, 16, 16)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    clips = video.unflatten(2, (2, 2)).flip(2).flatten(2, 3)  # tubelets in the other order
    assert (embedding(backbone, clips) - embedding(backbone, video)).abs().max() > 1e-3


def test_the_pooler_reads_all_tokens_and_does_not_know_their_order() -> None:
    pooler = build(num_pooler_layers=1).pooler
    assert pooler is not None
    tokens = torch.rand(2, 6, 16)
    torch.testing.assert_close(pooler(tokens.flip(1)), pooler(tokens))
    changed = tokens.clone()
    changed[:, 4] += torch.rand(16)
    assert not torch.allclose(pooler(changed), pooler(tokens))
    alone = build(num_pooler_layers=0).pooler
    assert alone is not None
    query = alone.query.expand(2, -1, -1)
    normalised = functional.layer_norm(tokens, [16], eps=1e-6)
    attended = query + alone.attn(query, normalised)
    torch.testing.assert_close(alone(tokens), (attended + alone.mlp(alone.norm2(attended)))[:, 0])


def test_the_initialisation_is_the_published_one() -> None:
    backbone = build(embed_dim=96, num_heads=4, num_pooler_layers=2)
    weights = {name: parameter.std().item() for name, parameter in backbone.named_parameters() if parameter.ndim > 1}
    expected = dict.fromkeys(weights, 0.02)
    for parent in ("", "pooler."):
        for block in range(3):
            for layer in ("attn.proj", "mlp.fc2"):
                expected[f"{parent}blocks.{block}.{layer}.weight"] = 0.02 / (2 * (block + 1)) ** 0.5
    assert weights == pytest.approx({name: expected[name] for name in weights}, rel=0.15)
    biases = {name for name, parameter in backbone.named_parameters() if name.endswith("bias") and parameter.any()}
    assert not biases


def test_what_it_says_to_the_recipe() -> None:
    backbone = build(num_pooler_layers=1)
    assert list(backbone.layers) == list(backbone.blocks)
    assert backbone.no_weight_decay == ("pooler.query",)
    assert build().no_weight_decay == ()


def test_the_recipe_trains_the_pooler_alone(tmp_path: Path) -> None:
    task = load_task(TASKS / "vjepa_kinetics.yaml", make_host(), overrides={"dataset.root": str(tmp_path)})
    names = [f"backbone.{name}" for name, _ in build(num_pooler_layers=1).named_parameters()]
    trained = {name for name in names if not any(fnmatch(name, frozen.parameters) for frozen in task.train.freeze)}
    assert trained == {name for name in names if name.startswith("backbone.pooler.")}


def test_clips_that_do_not_divide_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"size \[4, 18, 16\] do not divide into tubelets of \[2, 4, 4\]"):
        build()(torch.rand(1, 3, 4, 18, 16))


def test_branches_are_dropped_in_the_last_blocks_most_and_in_training_only() -> None:
    backbone, video = build(drop_path_rate=0.5), torch.rand(8, 3, 4, 16, 16)
    assert [module.p for module in backbone.modules() if isinstance(module, StochasticDepth)] == [0.0, 0.25, 0.5]
    assert not torch.equal(embedding(backbone, video), embedding(backbone, video))
    backbone.eval()
    assert torch.equal(embedding(backbone, video), embedding(backbone, video))
