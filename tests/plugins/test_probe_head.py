"""The head `probe`: what it pools, and that it is told where the backbone is trained."""

from typing import Any

import pytest
import torch
from torch import nn

from medvid.config.checked import check_task
from medvid.config.load import load_task
from medvid.errors import ConfigError
from medvid.models.build import build_head
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.config import ProbeOptions
from medvid_heads.probe import AttentivePooling

HOST = make_host()
CLASSES = TargetInfo("case", "class", ("a", "b", "c"))
VALUES = TargetInfo("case", "value", ("age",), units=("years",))


def head_of(info: TargetInfo = CLASSES, width: int = 8, **options: Any) -> nn.Module:
    given = ProbeOptions.model_validate({"name": "probe", **options}).filled(info)
    features = FeatureInfo((MapInfo(3, (2, 2)), MapInfo(width, (4, 4))), embedding=5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_head(HOST.build, given, features, InputInfo("image", 1, (8, 8)), info).eval()


def features_of(width: int = 8) -> Features:
    random = torch.Generator().manual_seed(0)
    maps = [torch.randn(2, channels, size, size, generator=random) for channels, size in ((3, 4), (width, 2))]
    return Features(tuple(maps), torch.randn(2, 5, generator=random))


@pytest.mark.parametrize("info", [CLASSES, VALUES])
@pytest.mark.parametrize("options", [{}, {"pooling": "linear"}, {"num_queries": 3, "depth": 2, "num_heads": 4}])
def test_each_case_has_an_answer(info: TargetInfo, options: dict[str, Any]) -> None:
    output = head_of(info, **options)(features_of(), torch.zeros(2, 1, 8, 8))
    assert output.shape == (2, len(info.names))


def test_pooling_sees_all_tokens_in_any_order_and_the_linear_probe_the_embedding() -> None:
    given, image = features_of(), torch.zeros(2, 1, 8, 8)
    finest, coarsest = given.maps
    turned = Features((finest, coarsest.flip(-1)), given.embedding)
    others = Features((torch.zeros_like(finest), coarsest), torch.zeros(2, 5))
    attentive, linear = head_of(), head_of(pooling="linear")
    for changed in (turned, others):
        torch.testing.assert_close(attentive(changed, image), attentive(given, image))
    one = coarsest.clone()
    one[:, 0, 0, 0] += 1
    assert not torch.equal(attentive(Features((finest, one), None), image), attentive(given, image))
    torch.testing.assert_close(linear(Features((finest, one), given.embedding), image), linear(given, image))


def test_the_pooling_is_that_of_torch_with_a_residual_and_an_mlp() -> None:
    """Against `nn.MultiheadAttention` with the same projections, and none behind."""
    torch.manual_seed(0)
    pooling, tokens = AttentivePooling(8, 2, 3, 1).double(), torch.randn(2, 5, 8, dtype=torch.float64)
    for parameter in pooling.parameters():
        nn.init.normal_(parameter, std=0.5)
    attention = nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        attention.in_proj_weight.copy_(torch.cat([pooling.to_query.weight, pooling.to_key_value.weight]))
        attention.in_proj_bias.copy_(torch.cat([pooling.to_query.bias, pooling.to_key_value.bias]))
        attention.out_proj.weight.copy_(torch.eye(8))
        attention.out_proj.bias.zero_()
        queries, normed = pooling.queries.expand(2, -1, -1), pooling.norm1(tokens)
        pooled = queries + attention(queries, normed, normed)[0]
        expected = pooled + pooling.mlp(pooling.norm2(pooled))
        torch.testing.assert_close(pooling(tokens), expected.flatten(1))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"head\.num_heads is 3, which does not divide the 8 channels"):
        head_of(num_heads=3)
    with pytest.raises(ConfigError, match=r"head\.mix mixes classes or labels"):
        head_of(VALUES, mix={"mixup": 0.8})


@pytest.mark.parametrize(
    ("freeze", "told"), [("[]", True), ("[{parameters: backbone.*}]", False), ("[{parameters: '*', steps: 3}]", True)]
)
def test_a_backbone_that_is_trained_is_said(tmp_path, monkeypatch, freeze: str, told: bool) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "task.yaml").write_text(
        "name: probe\n"
        "dataset: {name: kinetics, root: k, classes: [a, b], frames: 4, size: 16, short_side: [16, 16]}\n"
        "backbone: {name: vit, img_size: [16, 16], patch_size: 8, embed_dim: 16, depth: 1, num_heads: 2}\n"
        f"head: probe\ntrain: {{steps: 1, batch_size: 1, optimizer: {{name: adamw, lr: 1e-3}}, freeze: {freeze}}}\n"
    )
    notes = check_task(load_task(tmp_path / "task.yaml", HOST), HOST).notes
    assert any("head probe is for a frozen backbone" in note for note in notes) == told
