"""Published ViViT states at full size, image models that are inflated, and what happens where the model differs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.parity import recorded
from tests.parity.recorded import assert_full_size, count, published, sidecar
from torch import Tensor

from medvid.errors import CheckpointError
from medvid.models.model import Model
from medvid.models.weights import resize_positions
from medvid.models.weights.loading import import_weights
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.classification import LinearClassifier
from medvid_heads.config import LinearClassifierOptions
from medvid_heads.pixel import PixelHead, PixelHeadOptions
from medvid_vivit.config import ViViTOptions
from medvid_vivit.model import ViViT
from medvid_vivit.weights import guess_grid, translate

LARGE: dict[str, Any] = {"hidden_size": 1024, "num_layers": 24, "num_heads": 16, "mlp_dim": 4096}
SMALL: dict[str, Any] = {
    "num_frames": 8,
    "image_size": (32, 32),
    "tubelet_size": (2, 8, 8),
    "hidden_size": 48,
    "num_layers": 3,
    "num_heads": 4,
    "mlp_dim": 192,
    "temporal_num_layers": 2,
}
"""Sizes of the fixtures."""


def build(labels: int = 11, channels: int = 3, **options: Any) -> Model:
    torch.manual_seed(0)
    checked = ViViTOptions(name="vivit", **options)
    info = InputInfo("video", channels, checked.input_size)
    target = TargetInfo("case", "class", tuple(map(str, range(labels))))
    backbone = ViViT(checked, info)
    head = LinearClassifierOptions(name="classification")
    return Model(backbone, LinearClassifier(head, backbone.feature_info, info, target))


def small(**options: Any) -> Model:
    return build(**{**SMALL, **options})


def import_state(model: Model, state: Mapping[str, Tensor], source: str, folder: Path) -> str:
    return str(recorded.import_state(model, state, translate, source, folder))


@pytest.mark.parametrize(
    ("name", "source", "options", "parameters"),
    [
        ("vivit_hf", "huggingface", {}, 88_954_000),
        ("vivit_hf_v5names", "huggingface", {}, 88_954_000),
        ("vivit_scenic_b16x2", "scenic", {}, 88_954_000),
        ("vivit_fe_scenic_b16x2", "scenic", {"model": "factorised_encoder"}, 115_062_928),
        ("vivit_fe_scenic_l16x2", "scenic", {"model": "factorised_encoder", **LARGE}, 354_903_440),
    ],
)
def test_full_size_states_match_tensor_by_tensor(
    name: str, source: str, options: dict[str, Any], parameters: int
) -> None:
    with torch.device("meta"):
        model = build(400, **options)
    assert_full_size(name, model, translate, source, parameters)


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({"model": "factorised_self_attention"}, 117_319_312),
        ({"model": "factorised_dot_product"}, 88_952_464),
        (LARGE, 307_508_624),
        ({"image_size": (320, 320), **LARGE}, 310_850_960),
        ({"image_size": (320, 320), "model": "factorised_encoder", **LARGE}, 355_112_336),
    ],
)
def test_full_size_has_as_many_parameters_as_published(options: dict[str, Any], parameters: int) -> None:
    with torch.device("meta"):
        assert count(build(400, **options)) == parameters


def test_both_generations_of_transformers_names_are_the_same() -> None:
    state = published("vivit_hf")
    in_memory = {ours: state[hub] for ours, hub in sidecar("vivit_hf")["v5_to_hub"].items()}
    assert set(in_memory) != set(state)
    old, new = (translate(names, "huggingface", small()).tensors for names in (state, in_memory))
    assert set(old) == set(new)
    assert all(torch.equal(old[key], new[key]) for key in old)


def test_a_bare_encoder_has_no_classifier(tmp_path: Path) -> None:
    state = {key.removeprefix("vivit."): value for key, value in published("vivit_hf").items() if "classif" not in key}
    state["pooler.dense.weight"] = torch.zeros(48, 48)
    report = import_state(small(), state, "huggingface", tmp_path)
    assert "dropped pooler.dense.weight: the published classifier does not use the pooler" in report
    assert (
        "newly initialised head.classifier.weight, head.classifier.bias: the file has no weights for this head"
        in report
    )


def test_other_classes_and_other_heads_start_anew(tmp_path: Path) -> None:
    report = import_state(small(labels=5), published("vivit_scenic"), "scenic", tmp_path)
    assert (
        "dropped output_projection/kernel, output_projection/bias: the checkpoint's classifier has 11 classes, the"
        in report
    )
    model = small()
    info, target = InputInfo("video", 3, (8, 32, 32)), TargetInfo("voxel", "class", ("a", "b"))
    head = PixelHead(PixelHeadOptions(name="pixel"), model.backbone.feature_info, info, target)
    report = import_state(Model(model.backbone, head), published("vivit_scenic"), "scenic", tmp_path)
    assert "newly initialised head.classifier.weight, head.classifier.bias" in report


def test_a_class_token_is_dropped_where_tokens_are_pooled(tmp_path: Path) -> None:
    state, model = published("vivit_hf"), small(classifier="gap")
    report = import_state(model, state, "huggingface", tmp_path)
    assert "dropped vivit.embeddings.cls_token: the model pools its tokens instead (classifier: gap)" in report
    positions = model.state_dict()["backbone.encoder.positions"]
    assert torch.equal(positions, state["vivit.embeddings.position_embeddings"][:, 1:])
    with pytest.raises(CheckpointError, match=r"in the model, but not in the file: backbone\.encoder\.class_token"):
        import_state(small(), translate_to_gap(state), "huggingface", tmp_path)


def translate_to_gap(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    positions = state["vivit.embeddings.position_embeddings"]
    rest = {key: value for key, value in state.items() if not key.endswith("cls_token")}
    return rest | {"vivit.embeddings.position_embeddings": positions[:, 1:]}


@pytest.mark.parametrize(
    ("options", "grid", "unchanged"),
    [
        ({"num_frames": 14}, (7, 4, 4), (slice(None, None, 2), slice(None), slice(None))),
        ({"image_size": (56, 56)}, (4, 7, 7), (slice(None), slice(None, None, 2), slice(None, None, 2))),
        ({"num_frames": 14, "image_size": (56, 80)}, (7, 7, 10), (slice(None, None, 2), slice(None, None, 2), [0, 9])),
    ],
)
def test_positions_are_resized_along_time_and_space(
    options: dict[str, Any], grid: tuple[int, int, int], unchanged: Any, tmp_path: Path
) -> None:
    weights = {"source": "huggingface", "path": tmp_path / "x", "grid": (4, 4, 4)} if len(options) == 2 else None
    model, state = small(**options, weights=weights), published("vivit_hf")
    report = import_state(model, state, "huggingface", tmp_path)
    count = 1 + grid[0] * grid[1] * grid[2]
    assert f"resized backbone.encoder.positions: [1, 65, 48] to [1, {count}, 48]" in report
    old, new = state["vivit.embeddings.position_embeddings"], model.state_dict()["backbone.encoder.positions"]
    assert torch.equal(new[:, 0], old[:, 0])
    old, new = old[:, 1:].reshape(4, 4, 4, 48), new[:, 1:].reshape(*grid, 48)
    picked = new[unchanged[0]][:, unchanged[1]][:, :, unchanged[2]]
    expected = old[..., [0, 3], :] if isinstance(unchanged[2], list) else old
    torch.testing.assert_close(picked, expected)
    if grid[0] == 7:
        torch.testing.assert_close(new[1, 0, 0], (old[0, 0, 0] + old[1, 0, 0]) / 2)


def test_both_tables_of_a_factorised_encoder_are_resized(tmp_path: Path) -> None:
    model = small(model="factorised_encoder", num_frames=14, image_size=(56, 56))
    report = import_state(model, published("vivit_fe_scenic"), "scenic", tmp_path)
    assert "resized backbone.encoder.positions: [1, 17, 48] to [1, 50, 48]" in report
    assert "resized backbone.temporal_encoder.positions: [1, 5, 48] to [1, 8, 48]" in report


def test_positions_along_time_are_interpolated_linearly() -> None:
    table = torch.tensor([0.0, 1.0, 4.0]).reshape(1, 3, 1)
    resized = resize_positions(table, (3,), (5,), "linear", align_corners=True)
    torch.testing.assert_close(resized.flatten(), torch.tensor([0.0, 0.5, 1.0, 2.5, 4.0]))


@pytest.mark.parametrize(
    ("count", "grid", "is_image", "expected"),
    [
        (3136, (16, 14, 14), False, (16, 14, 14)),
        (3136, (8, 14, 14), False, (16, 14, 14)),
        (3136, (16, 20, 20), False, (16, 14, 14)),
        (196, (20, 20), False, (14, 14)),
        (16, (8,), False, (16,)),
        (196, (16, 20, 20), True, (1, 14, 14)),
        (280, (16, 14, 20), True, (1, 14, 20)),
        (196, (14, 20), True, (14, 14)),
    ],
)
def test_the_grid_of_a_file(count: int, grid: tuple[int, ...], is_image: bool, expected: tuple[int, ...]) -> None:
    assert guess_grid(count, grid, is_image=is_image) == expected


@pytest.mark.parametrize(("count", "grid"), [(3136, (8, 20, 20)), (3136, (4, 7, 7)), (280, (14, 14))])
def test_a_grid_that_cannot_be_inferred_is_asked_for(count: int, grid: tuple[int, ...]) -> None:
    with pytest.raises(CheckpointError, match=rf"positions for {count} patches, the model for {grid[0]} x") as caught:
        guess_grid(count, grid, is_image=False)
    assert "backbone.weights.grid" in caught.value.hint


def test_a_grid_that_does_not_fit_the_file_is_refused() -> None:
    model = small(weights={"source": "huggingface", "path": "x", "grid": (4, 4, 5)})
    with pytest.raises(CheckpointError, match=r"64 tubelets, but backbone\.weights\.grid \[4, 4, 5\] has 80"):
        translate(published("vivit_hf"), "huggingface", model)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vivit_hf", {"num_layers": 4}, r"3 layers, the model 4 \(backbone\.num_layers\)"),
        (
            "vivit_fe_scenic",
            {"temporal_num_layers": 4},
            r"2 temporal layers, the model 4 \(backbone\.temporal_num_layers",
        ),
        ("vivit_fe_scenic", {"model": "joint"}, "2 temporal layers, the model 0"),
        ("vivit_scenic", {"model": "factorised_encoder"}, "0 temporal layers, the model 2"),
        ("vivit_scenic", {"num_heads": 6}, r"4 attention heads, the model 6 \(backbone\.num_heads"),
        ("vivit_fe_scenic", {"temporal_num_heads": 6}, "4 temporal attention heads, the model 6"),
        ("vivit_hf", {"tubelet_size": (8, 8, 2)}, r"tubelets of \[2, 8, 8\], the model \[8, 8, 2\]"),
        ("vivit_scenic", {"channels": 1}, "3 channels, the model gets 1"),
    ],
)
def test_other_sizes_are_named(name: str, options: dict[str, Any], message: str) -> None:
    kind = {"model": "factorised_encoder"} if "fe" in name else {}
    source = "huggingface" if "hf" in name else "scenic"
    with pytest.raises(CheckpointError, match=message) as caught:
        translate(published(name), source, small(**kind | options))
    assert caught.value.hint


def test_a_file_of_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"in the file, but not in the model: .*Attention_time"):
        import_state(small(classifier="gap"), published("vivit_fsa_scenic"), "scenic", tmp_path)


@pytest.mark.parametrize("root", ["params/", "optimizer/target/", "anything/"])
def test_parameters_are_found_below_what_scenic_puts_around_them(root: str, tmp_path: Path) -> None:
    state = published("vivit_scenic")
    wrapped = {f"{root}{key}": value for key, value in state.items()} | {"global_step": torch.tensor(7)}
    model, wrapped_model = small(), small()
    import_state(model, state, "scenic", tmp_path)
    report = import_state(wrapped_model, wrapped, "scenic", tmp_path)
    assert f"dropped global_step: it is not under {root}, where the parameters are" in report
    assert all(map(torch.equal, model.state_dict().values(), wrapped_model.state_dict().values()))


def test_the_parameters_are_told_from_the_optimizer_s_copies(tmp_path: Path) -> None:
    state = published("vivit_scenic")
    copies = {f"opt_state/0/trace/{key}": 0 * value for key, value in state.items()}
    params = {f"params/{key}": value for key, value in state.items()}
    assert "opt_state/0/trace" in import_state(small(), params | copies, "scenic", tmp_path)
    with pytest.raises(CheckpointError, match="more than once, under 'ema/', 'opt_state/0/trace/'") as caught:
        import_state(small(), {f"ema/{key}": value for key, value in state.items()} | copies, "scenic", tmp_path)
    assert "alone" in caught.value.hint


def test_scenic_parameters_are_read_from_npz(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {key: value.numpy() for key, value in published("vivit_scenic").items()}
    np.savez(tmp_path / "vivit.npz", **arrays)
    assert import_weights(small(), tmp_path / "vivit.npz", translate, "scenic").matched == 44


def test_a_representation_layer_is_read(tmp_path: Path) -> None:
    layer = {"pre_logits/kernel": torch.rand(48, 20), "pre_logits/bias": torch.rand(20)}
    state, model = published("vivit_scenic"), small(representation_size=20)
    state["output_projection/kernel"] = torch.rand(20, 11)
    import_state(model, state | layer, "scenic", tmp_path)
    assert torch.equal(model.state_dict()["backbone.pre_logits.weight"], layer["pre_logits/kernel"].t())
    with pytest.raises(CheckpointError, match=r"in the file, but not in the model: pre_logits/"):
        import_state(small(), state | layer, "scenic", tmp_path)


def image_model() -> Model:
    """A ViT: a ViViT of one frame."""
    return small(num_frames=1, tubelet_size=(1, 8, 8), labels=7)


def timm_state(model: Model) -> dict[str, Tensor]:
    names = {
        "backbone.tubelet_embedding.projection.": "patch_embed.proj.",
        "backbone.encoder.class_token": "cls_token",
        "backbone.encoder.positions": "pos_embed",
        "backbone.encoder.": "",
        "head.classifier.": "head.",
    }
    state = {}
    for key, value in model.state_dict().items():
        ours = next(name for name in names if key.startswith(name))
        state[key.replace(ours, names[ours])] = value
    state["patch_embed.proj.weight"] = state["patch_embed.proj.weight"].reshape(-1, 8, 8, 3).movedim(-1, 1)
    return state


def test_an_inflated_image_model_sees_the_central_frames(tmp_path: Path) -> None:
    image, clip = image_model().eval(), torch.rand(2, 3, 8, 32, 32)
    video = small(model="factorised_encoder", spatial_only_baseline=True).eval()
    report = import_state(video, timm_state(image), "vit", tmp_path)
    assert "dropped head.bias, head.weight: it is of the image model's classes" in report
    assert "newly initialised head.classifier.weight, head.classifier.bias: the image model's classes are" in report
    frames = [image.backbone(clip[:, :, index : index + 1]) for index in (1, 3, 5, 7)]
    features = video.backbone(clip)
    torch.testing.assert_close(features.embedding, torch.stack([frame.embedding for frame in frames]).mean(0))
    torch.testing.assert_close(features.maps[0], torch.cat([frame.maps[0] for frame in frames], dim=2))


def test_an_image_s_positions_are_those_of_every_time_index(tmp_path: Path) -> None:
    state, video = timm_state(image_model()), small()
    report = import_state(video, state, "vit", tmp_path)
    assert "resized backbone.encoder.positions: [1, 17, 48] to [1, 65, 48]" in report
    positions = video.state_dict()["backbone.encoder.positions"]
    assert torch.equal(positions[:, 0], state["pos_embed"][:, 0])
    assert torch.equal(positions[:, 1:].reshape(4, 16, 48), state["pos_embed"][:, 1:].expand(4, -1, -1))


@pytest.mark.parametrize("start", ["copy", "zero"])
def test_temporal_attention_starts_from_the_spatial_one(start: str, tmp_path: Path) -> None:
    weights = {"source": "vit", "path": tmp_path / "x", "temporal_attention": start}
    model = small(model="factorised_self_attention", weights=weights)
    report = import_state(model, timm_state(image_model()), "vit", tmp_path)
    assert "newly initialised backbone.encoder.blocks.0.norm_time.weight" in report
    assert "dropped cls_token: the model pools its tokens instead" in report
    state, block = model.state_dict(), "backbone.encoder.blocks.1"
    assert torch.equal(state[f"{block}.attn_time.qkv.weight"], state[f"{block}.attn.qkv.weight"])
    spatial = state[f"{block}.attn.proj.weight"]
    assert torch.equal(state[f"{block}.attn_time.proj.weight"], spatial if start == "copy" else 0 * spatial)


def test_google_s_image_models_are_read_too(tmp_path: Path) -> None:
    names = {
        "SpatialTransformer/": "Transformer/",
        "cls_SpatialTransformer": "cls",
        "LayerNorm_1": "LayerNorm_2",
        "MlpBlock_0": "MlpBlock_3",
        "MultiHeadDotProductAttention_0": "MultiHeadDotProductAttention_1",
    }
    scenic, google = published("vivit_fe_scenic"), {}
    for key, value in scenic.items():
        if not key.startswith(("Temporal", "cls_Temporal", "output")):
            for ours, theirs in names.items():
                key = key.replace(ours, theirs)  # noqa: PLW2901 (one renaming after the other)
            google[key] = value
    google |= {"embedding/kernel": scenic["embedding/kernel"][1], "head/kernel": torch.zeros(48, 1000)}
    google["head/bias"] = torch.zeros(1000)
    one, other = small(model="factorised_encoder"), small(model="factorised_encoder")
    import_state(one, scenic, "scenic", tmp_path)
    report = import_state(other, google, "vit", tmp_path)
    assert "newly initialised backbone.temporal_encoder.class_token" in report
    expected = one.state_dict()
    imported = {key: value for key, value in other.state_dict().items() if key.startswith("backbone.encoder.")}
    assert all(torch.equal(value, expected[key]) for key, value in imported.items())
    kernel = other.state_dict()["backbone.tubelet_embedding.projection.weight"].unflatten(1, (2, -1))
    assert (kernel[:, 0] == 0).all()
    assert torch.equal(
        kernel[:, 1], expected["backbone.tubelet_embedding.projection.weight"].unflatten(1, (2, -1))[:, 1]
    )


def test_an_image_model_of_other_patches_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"patches of \[8, 8\], the model \[2, 16, 4\]"):
        translate(timm_state(image_model()), "vit", small(tubelet_size=(2, 16, 4)))
