"""VTN: window attention, positions, and its Longformer against transformers'. Weights are compared in tests/parity."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from medvid.errors import ConfigError
from medvid.models.weights import Translation
from medvid.plugin.info import InputInfo
from medvid_vit.config import ViTOptions
from medvid_vit.model import ViT
from medvid_vtn.config import VTNOptions
from medvid_vtn.longformer import window_attention
from medvid_vtn.model import VTN, Longformer
from medvid_vtn.weights import AUTHORS

VIT = ViTOptions(name="vit", img_size=(16, 16), patch_size=8, embed_dim=12, depth=1, num_heads=2)
SMALL = {
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 16,
    "attention_window": (4, 2),
    "max_position_embeddings": 32,
}


def options(**changes: Any) -> VTNOptions:
    return VTNOptions(**({"name": "vtn", "frame": VIT} | SMALL | changes))


def build(**changes: Any) -> VTN:
    torch.manual_seed(0)
    frame = ViT(VIT, InputInfo("image", 3, VIT.img_size))
    return VTN(options(**changes), InputInfo("video", 3, (6, 16, 16)), lambda *_: frame)


@pytest.mark.parametrize("frames", [1, 2, 5, 8, 11])
@pytest.mark.parametrize("reach", [1, 2, 3, 20])
def test_window_attention_is_full_attention_under_a_band(frames: int, reach: int) -> None:
    torch.manual_seed(0)
    query, (key, value) = torch.randn(2, 3, frames, 4), torch.randn(2, 2, 3, 1 + frames, 4)
    times = torch.arange(frames)
    band = functional.pad((times[:, None] - times).abs() <= reach, (1, 0), value=True)
    expected = functional.scaled_dot_product_attention(query, key, value, attn_mask=band)
    torch.testing.assert_close(window_attention(query, key, value, reach), expected)


def test_window_attention_never_holds_all_pairs_of_frames() -> None:
    seen: list[torch.Size] = []
    attend = functional.scaled_dot_product_attention

    def watch(query: Tensor, key: Tensor, value: Tensor, **more: Any) -> Tensor:
        seen.append(torch.Size([query.shape[1] * query.shape[2], key.shape[2]]))
        return attend(query, key, value, **more)

    key, value = torch.randn(2, 1, 1, 251, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(functional, "scaled_dot_product_attention", watch)
        window_attention(torch.randn(1, 1, 250, 4), key, value, reach=9)
    assert seen == [torch.Size([252, 28])]  # queries, and what each of them is compared with


def published_longformer(window: tuple[int, int], heads: int) -> nn.Module:
    import transformers

    config = transformers.LongformerConfig(
        vocab_size=1, hidden_size=12, num_hidden_layers=2, num_attention_heads=heads, intermediate_size=16,
        attention_window=list(window), max_position_embeddings=32, type_vocab_size=2, pad_token_id=0,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    torch.manual_seed(1)
    model = transformers.LongformerModel(config, add_pooling_layer=False)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval()  # type: ignore[no-any-return]


def load(published: nn.Module, ours: Longformer) -> None:
    state = published.state_dict()
    del state["embeddings.word_embeddings.weight"]
    translation = Translation.renamed({f"temporal_encoder.{key}": value for key, value in state.items()}, AUTHORS)
    translation.fuse()
    translation.fuse(("key_global", "value_global"), "kv_global")
    renamed = {key.removeprefix("backbone.temporal."): value for key, value in translation.tensors.items()}
    ours.load_state_dict(renamed | {"class_token": ours.class_token.detach()})


@pytest.mark.parametrize(("frames", "window"), [(3, (4, 4)), (10, (4, 8)), (19, (6, 4))])
@torch.no_grad()
def test_the_longformer_is_that_of_transformers(frames: int, window: tuple[int, int]) -> None:
    published = published_longformer(window, 3)
    ours = Longformer(options(attention_window=window), 12).eval()
    load(published, ours)
    embeddings, positions = torch.randn(2, frames, 12), torch.randint(0, 90, (2, frames))
    # As VTN calls it: the class token first, of type 1, at the last position but one, then padding to whole windows.
    tokens = torch.cat([ours.class_token.expand(2, -1, -1), embeddings], dim=1)
    fill = -tokens.shape[1] % (2 * max(window))
    tokens = functional.pad(tokens, (0, 0, 0, fill))
    attention = torch.ones(2, tokens.shape[1], dtype=torch.long)
    attention[:, 0] = 2
    attention[:, 1 + frames :] = 0
    ids = functional.pad(positions % 30, (1, fill), value=31)
    ids[:, 0] = 30
    types = torch.zeros_like(ids)
    types[:, 0] = 1
    expected = published(inputs_embeds=tokens, attention_mask=attention, position_ids=ids, token_type_ids=types)
    torch.testing.assert_close(ours(embeddings, positions), expected.last_hidden_state[:, 0], rtol=1e-5, atol=1e-5)


def test_features_are_as_declared_for_any_length() -> None:
    backbone = build()
    assert backbone.feature_info.embedding == 12
    for frames in (1, 6, 13):
        features = backbone(torch.rand(2, 3, frames, 16, 16))
        assert features.embedding.shape == (2, 12)
        assert features.maps[0].shape == (2, 12, frames, 2, 2)
    assert backbone.feature_info.maps[0].stride == (1, 8, 8)


def spread(backbone: VTN) -> VTN:
    """With weights that tell positions apart."""
    for parameter in backbone.parameters():
        nn.init.normal_(parameter, std=0.5)
    return backbone.eval()


@torch.no_grad()
def test_positions_are_the_frames_indices() -> None:
    video = torch.rand(1, 3, 6, 16, 16)
    backbone = spread(build())
    _, embeddings = backbone.encode_frames(video)
    default = backbone(video).embedding
    assert torch.equal(backbone.temporal(embeddings, torch.arange(6)), default)
    assert torch.equal(backbone.temporal(embeddings, 30 + torch.arange(6)[None]), default)  # modulo 32 - 2
    assert not torch.allclose(backbone.temporal(embeddings, 1 + torch.arange(6)), default)
    for options, stride in (({"frame_stride": 3}, 3), ({"frame_stride": 8, "test_frame_stride": 2}, 2)):
        apart = spread(build(**options))
        apart.load_state_dict(backbone.state_dict())
        assert torch.equal(apart(video).embedding, backbone.temporal(embeddings, stride * torch.arange(6)))


@pytest.mark.parametrize("name", ["hidden_dropout_prob", "attention_probs_dropout_prob"])
def test_dropout_reaches_the_longformer(name: str) -> None:
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    video = torch.rand(1, 3, 6, 16, 16)
    backbone = build(**none)
    assert torch.equal(backbone(video).embedding, backbone(video).embedding)
    backbone = build(**none | {name: 0.5})
    assert not torch.equal(backbone(video).embedding, backbone(video).embedding)


def test_layers_and_tables() -> None:
    backbone = build()
    assert list(backbone.layers) == [*backbone.frame.layers, *backbone.temporal.layers]
    assert set(backbone.no_weight_decay) <= set(dict(backbone.named_parameters()))
    assert "temporal.positions.weight" in backbone.no_weight_decay


def test_eps_reaches_the_norms() -> None:
    backbone = build(layer_norm_eps=1e-3)
    norms = [module for module in backbone.temporal.modules() if isinstance(module, nn.LayerNorm)]
    assert {norm.eps for norm in norms} == {1e-3}
    assert len(norms) == 5


def test_heads_have_to_divide_the_width_of_the_frames() -> None:
    with pytest.raises(ConfigError, match="12 channels, which is not a multiple of 5 attention heads"):
        build(num_attention_heads=5)


@pytest.mark.parametrize("run", [lambda model: model.double(), lambda model: model.to(torch.bfloat16)])
def test_other_precisions(run: Callable[[nn.Module], nn.Module]) -> None:
    backbone = run(build())
    dtype = next(backbone.parameters()).dtype
    assert backbone(torch.rand(1, 3, 6, 16, 16, dtype=dtype)).embedding.dtype == dtype


def test_it_runs_under_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert build()(torch.rand(1, 3, 6, 16, 16)).embedding.isfinite().all()
