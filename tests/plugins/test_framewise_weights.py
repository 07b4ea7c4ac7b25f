"""Published weights of ViT, STAM and VTN: at full size, from files, and what happens where the model differs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.parity import recorded
from tests.parity.recorded import assert_full_size, published
from torch import Tensor

from medvid.errors import CheckpointError
from medvid.losses.options import DiceCEOptions
from medvid.models.backbone import Backbone
from medvid.models.model import Model
from medvid.models.weights import Translate, rename
from medvid.models.weights.loading import import_weights
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.classification import LinearClassifier
from medvid_heads.config import LinearClassifierOptions, PixelHeadOptions
from medvid_heads.pixel import PixelHead
from medvid_stam.config import STAMOptions
from medvid_stam.model import STAM
from medvid_stam.weights import translate as translate_stam
from medvid_transunet.config import TransUNetOptions
from medvid_transunet.model import TransUNet
from medvid_vit.config import ViTOptions
from medvid_vit.model import ViT
from medvid_vit.weights import translate as translate_vit
from medvid_vtn.config import VTNOptions
from medvid_vtn.model import VTN
from medvid_vtn.weights import translate as translate_vtn

SMALL: dict[str, Any] = {"img_size": (32, 32), "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 4}
STAM_SMALL: dict[str, Any] = {"num_frames": 4, "num_layers": 2, "num_heads": 8}
VTN_SMALL: dict[str, Any] = {
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "attention_window": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 32,
}


def vit(**options: Any) -> tuple[ViTOptions, ViT]:
    checked = ViTOptions(**({"name": "vit"} | options))
    return checked, ViT(checked, InputInfo("image", 3, checked.img_size))


def with_head(backbone: Backbone, classes: int = 11, hidden_dim: int | None = None) -> Model:
    options = LinearClassifierOptions(name="classification", hidden_dim=hidden_dim)
    target = TargetInfo("case", "class", tuple(map(str, range(classes))))
    return Model(backbone, LinearClassifier(options, backbone.feature_info, InputInfo("image", 3, (32, 32)), target))


def stam(frame: dict[str, Any] = SMALL, classes: int = 11, **options: Any) -> Model:
    inner_options, inner = vit(**frame)
    checked = STAMOptions(**({"name": "stam", "frame": inner_options} | options))
    return with_head(
        STAM(checked, InputInfo("video", 3, (checked.num_frames, *inner_options.img_size)), lambda *_: inner), classes
    )


def vtn(frame: dict[str, Any] = SMALL, classes: int = 11, hidden_dim: int | None = 40, **options: Any) -> Model:
    inner_options, inner = vit(**frame)
    checked = VTNOptions(**({"name": "vtn", "frame": inner_options} | options))
    return with_head(
        VTN(checked, InputInfo("video", 3, (4, *inner_options.img_size)), lambda *_: inner), classes, hidden_dim
    )


def import_state(
    model: Model, state: Mapping[str, Tensor], translate: Translate, folder: Path, source: str = "timm"
) -> str:
    return str(recorded.import_state(model, state, translate, source, folder))


FULL_SIZE: dict[str, Any] = {"img_size": (224, 224)}


def test_full_size_states_match_tensor_by_tensor() -> None:
    with torch.device("meta"):
        stam_16, vtn_vitb = stam(FULL_SIZE, 400), vtn(FULL_SIZE, 400, hidden_dim=768)
    assert_full_size("stam_16", stam_16, translate_stam, "stam", 119_205_520)
    assert_full_size("vtn_vitb", vtn_vitb, translate_vtn, "vtn", 113_502_352)


# ViT


def timm_state(model: Model) -> dict[str, Tensor]:
    """A state as timm has it."""
    names = (
        (r"^head\.classifier\.", "head."),
        (r"^backbone\.", ""),
        (r"^class_token$", "cls_token"),
        (r"^positions$", "pos_embed"),
        (r"^patch_embedding\.projection\.", "patch_embed.proj."),
    )
    return {rename(key, names): value.clone() for key, value in model.state_dict().items()}


def test_timms_vit_gives_the_same_and_resizes_alike(tmp_path: Path) -> None:
    import timm

    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 4}
    torch.manual_seed(0)
    theirs = timm.models.VisionTransformer(**sizes, num_classes=11).eval()
    ours = with_head(vit(**SMALL)[1]).eval()
    import_state(ours, theirs.state_dict(), translate_vit, tmp_path)
    image = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(ours(image), theirs(image), rtol=1e-4, atol=1e-5)
    wide = vit(**SMALL | {"img_size": (48, 72)})[1]
    import_state(with_head(wide), theirs.state_dict(), translate_vit, tmp_path)
    torch.testing.assert_close(wide.positions, timm.layers.resample_abs_pos_embed(theirs.pos_embed, (6, 9)))


def test_positions_are_resized_from_a_square_grid(tmp_path: Path) -> None:
    state = timm_state(with_head(vit(**SMALL)[1]))
    model = with_head(vit(**SMALL | {"img_size": (48, 64)})[1])
    report = import_state(model, state, translate_vit, tmp_path)
    assert "resized backbone.positions: [1, 17, 48] to [1, 49, 48]" in report
    assert isinstance(model.backbone, ViT)
    assert torch.equal(model.backbone.positions[:, 0], state["pos_embed"][:, 0])


@pytest.mark.parametrize(("size", "resized"), [((32, 32), False), ((16, 64), True)])
def test_a_grid_of_as_many_patches_but_another_shape_is_resized(
    tmp_path: Path, size: tuple[int, int], resized: bool
) -> None:
    state = timm_state(with_head(vit(**SMALL)[1]))
    report = import_state(with_head(vit(**SMALL | {"img_size": size})[1]), state, translate_vit, tmp_path)
    assert ("resized backbone.positions: [1, 17, 48] to [1, 17, 48]" in report) == resized


def test_positions_of_an_unknown_grid_are_refused() -> None:
    state = timm_state(with_head(vit(**SMALL)[1])) | {"pos_embed": torch.zeros(1, 13, 48)}
    with pytest.raises(CheckpointError, match="for 12 patches, the model for 4 x 4; their grid cannot be inferred"):
        translate_vit(state, "timm", with_head(vit(**SMALL)[1]))


def test_other_classes_and_other_heads_start_anew(tmp_path: Path) -> None:
    state = timm_state(with_head(vit(**SMALL)[1])) | {"pre_logits.fc.weight": torch.zeros(48, 48)}
    report = import_state(with_head(vit(**SMALL)[1], classes=5), state, translate_vit, tmp_path)
    assert "dropped head.weight, head.bias: the checkpoint's classifier has 11 classes, the model 5" in report
    assert "dropped pre_logits.fc.weight: it is of the classes that the ViT was pre-trained on" in report
    backbone = vit(**SMALL)[1]
    info, target = InputInfo("image", 3, (32, 32)), TargetInfo("voxel", "class", ("a", "b"))
    pixel = Model(backbone, PixelHead(PixelHeadOptions(name="pixel"), backbone.feature_info, info, target))
    report = import_state(pixel, state, translate_vit, tmp_path)
    assert "dropped head.bias, head.weight: the model has another head" in report


def test_what_the_network_lacks_is_refused(tmp_path: Path) -> None:
    state = timm_state(with_head(vit(**SMALL)[1])) | {"dist_token": torch.zeros(1, 1, 48)}
    with pytest.raises(CheckpointError, match=r"in the file, but not in the model: dist_token"):
        import_state(with_head(vit(**SMALL)[1]), state, translate_vit, tmp_path)


def google_arrays(state: Mapping[str, Tensor], heads: int) -> dict[str, Any]:
    """A ViT's state, by timm's names, as Google's npz files hold it."""
    arrays: dict[str, Any] = {
        "cls": state["cls_token"],
        "Transformer/posembed_input/pos_embedding": state["pos_embed"],
        "embedding/kernel": state["patch_embed.proj.weight"].permute(2, 3, 1, 0),
        "embedding/bias": state["patch_embed.proj.bias"],
        "Transformer/encoder_norm/scale": state["norm.weight"],
        "Transformer/encoder_norm/bias": state["norm.bias"],
        "head/kernel": state["head.weight"].t(),
        "head/bias": state["head.bias"],
        "pre_logits/kernel": torch.zeros(48, 48),
        "pre_logits/bias": torch.zeros(48),
    }
    for index in range(2):
        theirs, ours = f"Transformer/encoderblock_{index}", f"blocks.{index}"
        attention = f"{theirs}/MultiHeadDotProductAttention_1"
        for part, name in enumerate(("query", "key", "value")):
            weight, bias = (state[f"{ours}.attn.qkv.{kind}"].chunk(3)[part] for kind in ("weight", "bias"))
            arrays[f"{attention}/{name}/kernel"] = weight.t().reshape(48, heads, -1)
            arrays[f"{attention}/{name}/bias"] = bias.reshape(heads, -1)
        arrays[f"{attention}/out/kernel"] = state[f"{ours}.attn.proj.weight"].t().reshape(heads, -1, 48)
        arrays[f"{attention}/out/bias"] = state[f"{ours}.attn.proj.bias"]
        for norm, name in (("norm1", "LayerNorm_0"), ("norm2", "LayerNorm_2")):
            arrays[f"{theirs}/{name}/scale"] = state[f"{ours}.{norm}.weight"]
            arrays[f"{theirs}/{name}/bias"] = state[f"{ours}.{norm}.bias"]
        for layer, name in (("fc1", "Dense_0"), ("fc2", "Dense_1")):
            arrays[f"{theirs}/MlpBlock_3/{name}/kernel"] = state[f"{ours}.mlp.{layer}.weight"].t()
            arrays[f"{theirs}/MlpBlock_3/{name}/bias"] = state[f"{ours}.mlp.{layer}.bias"]
    return {key: value.numpy() for key, value in arrays.items()}


def test_googles_files_are_read(tmp_path: Path) -> None:
    source, model = with_head(vit(**SMALL)[1]), with_head(vit(**SMALL)[1])
    for parameter in source.parameters():
        torch.nn.init.normal_(parameter)
    np.savez(tmp_path / "vit.npz", **google_arrays(timm_state(source), heads=4))
    report = str(import_weights(model, tmp_path / "vit.npz", translate_vit, "google_npz"))
    assert "and 1 more: it is of the classes that the ViT was pre-trained on" in report
    assert (
        "newly initialised head.classifier.weight, head.classifier.bias: the file has no weights for this head"
        in report
    )
    for name, tensor in source.backbone.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[name], tensor), name


# STAM


def test_a_stam_checkpoint_is_read_under_its_key(tmp_path: Path) -> None:
    torch.save({"model": published("stam")}, tmp_path / "stam.pth")
    model = stam(**STAM_SMALL)
    report = import_weights(model, tmp_path / "stam.pth", translate_stam, "stam")
    assert report.matched == 60
    assert not report.dropped


def test_positions_of_other_numbers_of_frames_are_interpolated(tmp_path: Path) -> None:
    model = stam(**STAM_SMALL | {"num_frames": 7})
    state = published("stam")
    report = import_state(model, state, translate_stam, tmp_path)
    assert "resized backbone.temporal.positions: [1, 5, 48] to [1, 8, 48]" in report
    ours, theirs = model.state_dict()["backbone.temporal.positions"], state["aggregate.pos_embed"]
    for row, source in ((0, 0), (1, 1), (7, 4)):
        torch.testing.assert_close(ours[0, row], theirs[0, source])
    torch.testing.assert_close(ours[0, 4], (theirs[0, 2] + theirs[0, 3]) / 2)


def test_other_sizes_of_frames_and_other_classes(tmp_path: Path) -> None:
    report = import_state(
        stam(SMALL | {"img_size": (48, 32)}, 3, **STAM_SMALL), published("stam"), translate_stam, tmp_path
    )
    assert "resized backbone.frame.positions: [1, 17, 48] to [1, 25, 48]" in report
    assert (
        "newly initialised head.classifier.weight, head.classifier.bias: the checkpoint's classifier has 11 classes"
        in report
    )


@pytest.mark.parametrize("name", ["stam", "vtn"])
def test_another_backbone_of_frames_is_refused(name: str) -> None:
    options = TransUNetOptions(
        name="transunet", img_size=(32, 32), resnet=None, hidden_size=48, num_heads=4, num_layers=1
    )
    frame, info = TransUNet(options, InputInfo("image", 3, (32, 32))), InputInfo("video", 3, (4, 32, 32))
    backbone: Backbone
    if name == "stam":
        backbone = STAM(
            STAMOptions.model_validate({"name": name, "frame": options, "num_frames": 4}), info, lambda *_: frame
        )
    else:
        backbone = VTN(VTNOptions.model_validate({"name": name, "frame": options}), info, lambda *_: frame)
    translate = {"stam": translate_stam, "vtn": translate_vtn}[name]
    with pytest.raises(
        CheckpointError, match=f"the published {name.upper()} runs a ViT on each frame, the model a Tran"
    ):
        translate(published(name), name, with_head(backbone))


# VTN


def test_vtns_hidden_layer_goes_into_the_head_and_other_classes_start_anew(tmp_path: Path) -> None:
    state = published("vtn")
    model = vtn(classes=3, **VTN_SMALL)
    report = import_state(model, state, translate_vtn, tmp_path)
    assert (
        "newly initialised head.classifier.weight, head.classifier.bias: the checkpoint's classifier has 11 classes"
        in report
    )
    ours = model.state_dict()
    for index, kind in ((0, "weight"), (0, "bias"), (1, "weight"), (1, "bias")):
        assert torch.equal(ours[f"head.hidden.{index}.{kind}"], state[f"mlp_head.{index}.{kind}"])


@pytest.mark.parametrize("hidden_dim", [None, 24])
def test_a_head_without_that_hidden_layer_starts_anew(tmp_path: Path, hidden_dim: int | None) -> None:
    model = vtn(hidden_dim=hidden_dim, **VTN_SMALL)
    before = {name: value.clone() for name, value in model.state_dict().items() if name.startswith("head.")}
    report = import_state(model, published("vtn"), translate_vtn, tmp_path)
    assert "mlp_head.0.bias, mlp_head.0.weight, mlp_head.1.bias and 3 more: the model's head has no" in report
    assert "head.hidden_dim: 40" in report
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())


def test_another_head_is_left_alone() -> None:
    backbone = vtn(**VTN_SMALL).backbone
    info, target = InputInfo("video", 3, (4, 32, 32)), TargetInfo("voxel", "class", ("a", "b"))
    head = PixelHead(
        PixelHeadOptions(name="pixel", loss=DiceCEOptions(include_background=True)), backbone.feature_info, info, target
    )
    translation = translate_vtn(published("vtn"), "vtn", Model(backbone, head))
    assert set(translation.dropped) == {key for key in published("vtn") if key.startswith("mlp_head.")}


def test_what_older_transformers_kept_is_dropped(tmp_path: Path) -> None:
    state = published("vtn") | {"temporal_encoder.embeddings.position_ids": torch.arange(32)[None]}
    report = import_state(vtn(**VTN_SMALL), state, translate_vtn, tmp_path)
    assert "dropped temporal_encoder.embeddings.position_ids: older transformers kept the row numbers" in report


def test_an_incomplete_file_is_refused_by_name(tmp_path: Path) -> None:
    state = published("vtn")
    del state["temporal_encoder.encoder.layer.1.attention.self.key.weight"]
    with pytest.raises(CheckpointError, match=r"not in the model: .*layer\.1\.attention\.self\.query\.weight"):
        import_state(vtn(**VTN_SMALL), state, translate_vtn, tmp_path)
