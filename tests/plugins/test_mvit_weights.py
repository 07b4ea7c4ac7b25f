"""Published MViT states of all three sources, at full size, and what happens where the model differs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.parity import recorded
from tests.parity.recorded import assert_full_size, published, shapes
from torch import Tensor
from torch.nn import functional

from medvid.errors import CheckpointError
from medvid.models.model import Model
from medvid.models.weights import Translation
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.classification import LinearClassifier
from medvid_heads.config import LinearClassifierOptions
from medvid_mvit.config import MViTOptions
from medvid_mvit.model import MViT
from medvid_mvit.weights import translate

FULL_SIZE = [
    ("mvit_pytorchvideo_16x4", "pytorchvideo", "mvit_b_16x4", 16, 36_610_672),
    ("mvit_pytorchvideo_32x3", "pytorchvideo", "mvit_b_32x3", 32, 36_611_440),
    ("mvit_torchvision_v1_b", "torchvision", "mvit_b_16x4", 16, 36_610_672),
    ("mvit_torchvision_v2_s", "torchvision", "mvitv2_s", 16, 34_537_744),
    ("mvit_slowfast_v1_16x4", "slowfast", "mvit_b_16x4", 16, 36_610_672),
    ("mvit_slowfast_v1_32x3", "slowfast", "mvit_b_24_32x3", 32, 53_115_280),
    ("mvit_slowfast_v2_s", "slowfast", "mvitv2_s", 16, 34_537_744),
    ("mvit_slowfast_v2_b", "slowfast", "mvitv2_b", 32, 51_230_128),
]
SMALL: dict[str, Any] = {
    "embed_dim": 16,
    "depth": 4,
    "dim_mul": ((1, 2.0), (2, 2.0)),
    "head_mul": ((1, 2.0), (2, 2.0)),
    "pool_q_stride": ((1, 1, 2, 2), (2, 1, 2, 2)),
}
"""The fixtures of v1."""
SMALL_V2 = SMALL | {
    "variant": "mvitv2_s",
    "pool_q_stride": ((0, 1, 1, 1), (1, 1, 2, 2), (2, 1, 2, 2), (3, 1, 1, 1)),
}


def build(size: tuple[int, int, int] = (4, 64, 64), labels: int = 11, **options: Any) -> Model:
    torch.manual_seed(0)
    info = InputInfo("video", 3, size)
    backbone = MViT(MViTOptions.model_validate({"name": "mvit"} | options), info)
    target = TargetInfo("case", "class", tuple(f"class {index}" for index in range(labels)))
    head = LinearClassifierOptions(name="classification")
    return Model(backbone, LinearClassifier(head, backbone.feature_info, info, target))


def import_state(model: Model, state: Mapping[str, Tensor], source: str, folder: Path) -> str:
    return str(recorded.import_state(model, state, translate, source, folder))


def complete(translation: Translation, model: Model) -> bool:
    """Whether each tensor of the model is there, in its shape."""
    return shapes(translation.tensors) == shapes(model.state_dict())


@pytest.mark.parametrize(
    ("name", "source", "variant", "frames", "parameters"), FULL_SIZE, ids=[f[0] for f in FULL_SIZE]
)
def test_full_size_states_match_tensor_by_tensor(
    name: str, source: str, variant: str, frames: int, parameters: int
) -> None:
    with torch.device("meta"):
        model = build((frames, 224, 224), 400, variant=variant)
    assert_full_size(name, model, translate, source, parameters)


def test_separate_projections_of_slowfast_are_joined() -> None:
    state = published("mvit_slowfast_v1")
    separate = {key: value for key, value in state.items() if ".qkv." not in key}
    for key in state.keys() - separate.keys():
        separate |= {key.replace("qkv", kind): part for kind, part in zip("qkv", state[key].chunk(3), strict=True)}
    model = build(**SMALL)
    fused, joined = translate(state, "slowfast", model).tensors, translate(separate, "slowfast", model).tensors
    assert fused.keys() == joined.keys()
    assert all(torch.equal(fused[name], joined[name]) for name in fused)


def test_positions_are_resized_as_slowfast_does(tmp_path: Path) -> None:
    state, model = published("mvit_slowfast_v1"), build((8, 96, 64), **SMALL)
    report = import_state(model, state, "slowfast", tmp_path)
    embedding = "backbone.patch_embedding"
    assert f"resized {embedding}.spatial_positions: [1, 256, 16] to [1, 384, 16]" in report
    assert f"resized {embedding}.temporal_positions: [1, 2, 16] to [1, 4, 16]" in report
    tables = model.state_dict()
    square = state["pos_embed_spatial"].reshape(1, 16, 16, 16).permute(0, 3, 1, 2)
    resized = functional.interpolate(square, (24, 16), mode="bicubic").permute(0, 2, 3, 1).reshape(1, -1, 16)
    torch.testing.assert_close(tables[f"{embedding}.spatial_positions"], resized)
    first, second = state["pos_embed_temporal"][0]
    expected = torch.stack([first, 0.75 * first + 0.25 * second, 0.25 * first + 0.75 * second, second])
    torch.testing.assert_close(tables[f"{embedding}.temporal_positions"][0], expected)


def test_relative_positions_are_resized_as_the_model_itself_does() -> None:
    state, model = published("mvit_torchvision_v2"), build((8, 96, 96), **SMALL_V2)
    translation = translate(state, "torchvision", model)
    assert complete(translation, model)
    name = "backbone.blocks.0.attn.positions.h.table"
    assert translation.resized[name] == (31, 16)
    expected = functional.interpolate(state["blocks.0.attn.rel_pos_h"].T[None], 47, mode="linear")[0].T
    torch.testing.assert_close(translation.tensors[name], expected)


def test_positions_of_a_frame_that_is_not_square_are_refused() -> None:
    state = published("mvit_slowfast_v1") | {"pos_embed_spatial": torch.rand(1, 12, 16)}
    with pytest.raises(CheckpointError, match="for 12 patches, the model for 16 x 16; their grid cannot be inferred"):
        translate(state, "slowfast", build(**SMALL))


def test_a_model_of_images_starts_one_of_videos() -> None:
    state = published("mvit_slowfast_v2")
    image = {key: value for key, value in state.items() if not key.endswith("rel_pos_t")}
    image["patch_embed.proj.weight"] = state["patch_embed.proj.weight"][:, :, 0]
    image |= {key: value[:, :, :1] for key, value in state.items() if ".pool_" in key}
    model = build(**SMALL_V2)
    translation = translate(image, "slowfast", model)
    kernel = translation.tensors["backbone.patch_embedding.projection.weight"]
    assert kernel.shape == (16, 3, 3, 7, 7)
    assert torch.equal(kernel[:, :, 2], image["patch_embed.proj.weight"])
    assert translation.resized["backbone.blocks.0.attn.pool_q.conv.weight"] == (16, 1, 1, 3, 3)
    assert set(translation.fresh) == {f"backbone.blocks.{index}.attn.positions.t.table" for index in range(4)}
    assert complete(translation, model) is False
    assert translation.tensors.keys() | translation.fresh.keys() == model.state_dict().keys()


def test_other_poolings_are_refused_with_the_blocks() -> None:
    old = {key: value for key, value in published("mvit_slowfast_v1").items() if not _pools_keys(key, blocks="23")}
    with pytest.raises(CheckpointError, match="of blocks 2, 3 unlike the model") as caught:
        translate(old, "slowfast", build(**SMALL))
    assert "K400_MVIT_B_16x4_CONV" in caught.value.hint
    model = build(**SMALL, pool_kv_stride_adaptive=None, pool_kv_stride=((0, 1, 8, 8), (1, 1, 4, 4)))
    assert complete(translate(old, "slowfast", model), model)


def _pools_keys(key: str, blocks: str) -> bool:
    return any(
        f"blocks.{block}.attn.{layer}_{kind}." in key for block in blocks for layer in ("pool", "norm") for kind in "kv"
    )


def test_another_number_of_classes_gets_a_fresh_classifier(tmp_path: Path) -> None:
    model = build(labels=5, **SMALL)
    report = import_state(model, published("mvit_pytorchvideo"), "pytorchvideo", tmp_path)
    assert "dropped head.proj.weight, head.proj.bias: the checkpoint's classifier has 11 classes, the model 5" in report


def test_unknown_tensors_and_other_widths_are_refused(tmp_path: Path) -> None:
    state = published("mvit_torchvision_v1")
    with pytest.raises(CheckpointError, match="not in the model: extra"):
        import_state(build(**SMALL), state | {"extra": torch.zeros(1)}, "torchvision", tmp_path)
    with pytest.raises(CheckpointError, match=r"different shapes.*blocks\.0\.attn\.qkv\.bias \(\[48\], \[96\]\)"):
        import_state(build(**(SMALL | {"embed_dim": 32})), state, "torchvision", tmp_path)
    with pytest.raises(CheckpointError, match=r"not in the file: .*blocks\.0\.attn\.positions\.t\.table"):
        import_state(build(**SMALL, rel_pos_temporal=True), state, "torchvision", tmp_path)
