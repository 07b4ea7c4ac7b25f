"""Published TransUNet and ImageNet states at full size, and what happens where the model differs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from tests.parity import recorded
from tests.parity.recorded import count, empty_state, published, shapes, sidecar
from torch import Tensor, nn

from medvid.errors import CheckpointError
from medvid.models.features import Features
from medvid.models.head import Head
from medvid.models.model import Model
from medvid.models.weights import rename
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_transunet.config import CascadedUpsamplerOptions, TransUNetOptions
from medvid_transunet.decoder import CascadedUpsampler
from medvid_transunet.model import TransUNet
from medvid_transunet.weights import AUTHORS, GOOGLE, fit_positions, translate

FULL_SIZE = sidecar("transunet_fullsize_keys")
PUBLISHED = FULL_SIZE["variants"]["R50-ViT-B_16_224_9"]
NPZ = FULL_SIZE["npz_R50+ViT-B_16"]
WIDTHS: dict[str, Any] = {"hidden_size": 32, "mlp_dim": 64, "num_heads": 4, "num_layers": 2}
SMALL: dict[str, Any] = WIDTHS | {"resnet": {"num_layers": (1, 2, 2), "width_factor": 0.5}}
SMALL_HEAD: dict[str, Any] = {"decoder_channels": (16, 8, 8, 4)}


class OtherHead(Head):
    """A head that happens to have layers of the same name."""

    def __init__(self) -> None:
        super().__init__()
        self.segmentation = nn.Conv2d(32, 4, 3)

    def forward(self, features: Features, input: Tensor) -> Tensor:
        return self.segmentation(features.maps[-1]) + 0 * input.mean()  # type: ignore[no-any-return]


def build(size: tuple[int, int], labels: int, head: Mapping[str, Any] = SMALL_HEAD, **options: Any) -> Model:
    info = InputInfo("image", 1, size)
    backbone = TransUNet(TransUNetOptions(name="transunet", img_size=size, **options), info)
    target = TargetInfo("voxel", "class", tuple(map(str, range(labels))))
    checked = CascadedUpsamplerOptions(name="cascaded_upsampler", **head)
    return Model(backbone, CascadedUpsampler(checked, backbone.feature_info, info, target))


def import_state(model: Model, state: Mapping[str, Tensor], folder: Path, source: str = "transunet") -> str:
    return str(recorded.import_state(model, state, translate, source, folder))


@pytest.fixture(scope="module")
def full_size() -> Model:
    with torch.device("meta"):
        return build((224, 224), 9, head={})


def test_full_size_state_matches_tensor_by_tensor(full_size: Model) -> None:
    assert count(full_size) == PUBLISHED["n_params"] == 105_277_081
    assert len(PUBLISHED["keys"]) == 409
    translation = translate(empty_state(PUBLISHED["keys"]), "transunet", full_size)
    assert shapes(translation.tensors) == shapes(full_size.state_dict())
    assert not translation.fresh | translation.dropped | translation.resized


def test_full_size_npz_fills_the_backbone(full_size: Model) -> None:
    arrays = empty_state({key: entry["shape"] for key, entry in NPZ["keys"].items()})
    for key, entry in NPZ["keys"].items():
        assert rename(key, GOOGLE) == rename(entry["target"], AUTHORS)
    translation = translate(arrays, "google_npz", full_size)
    ours = shapes(full_size.state_dict())
    backbone = {key: shape for key, shape in ours.items() if key.startswith("backbone.")}
    assert shapes(translation.tensors) == backbone
    assert translation.fresh.keys() == ours.keys() - backbone.keys()
    assert len(translation.fresh) == len(NPZ["not_loaded"])


def test_what_imagenet_leaves_over_is_named(tmp_path: Path) -> None:
    arrays = published("transunet_npz", "npz.")
    classifier = {"head/kernel": torch.zeros(32, 5), "pre_logits/bias": torch.zeros(32), "cls": torch.zeros(1, 1, 32)}
    model = build((96, 64), 4, **WIDTHS, resnet={"num_layers": (1, 1, 1), "width_factor": 0.5})
    report = import_state(model, arrays | classifier, tmp_path, "google_npz")
    assert "resized backbone.patch_embedding.positions: [1, 17, 32] to [1, 24, 32]" in report
    assert "dropped cls, head/kernel, pre_logits/bias: it is of ImageNet's classes" in report
    assert "and 53 more: the file has no weights for this head" in report


def test_a_pure_vit_refuses_the_weights_of_a_hybrid(tmp_path: Path) -> None:
    model = build((64, 64), 4, **WIDTHS, resnet=None)
    with pytest.raises(CheckpointError, match=r"not in the model: block1/unit1/conv1/kernel"):
        import_state(model, published("transunet_npz", "npz."), tmp_path, "google_npz")


@pytest.mark.parametrize("grid", [(14, 14), (7, 7), (20, 20), (32, 32), (16, 40)])
def test_positions_are_resized_as_scipys_zoom_does(grid: tuple[int, int]) -> None:
    positions = torch.randn(1, 1 + 14 * 14, 5)
    table = positions[0, 1:].reshape(14, 14, 5).numpy()
    expected = ndimage.zoom(table, (grid[0] / 14, grid[1] / 14, 1), order=1)
    ours = fit_positions(positions, grid).reshape(*grid, 5).numpy()
    np.testing.assert_allclose(ours, expected, atol=2e-5)


def test_positions_without_a_class_token_are_resized_too() -> None:
    positions = torch.randn(1, 9, 5)
    assert torch.equal(fit_positions(positions, (3, 3)), positions)
    assert torch.equal(fit_positions(positions, (5, 7))[:, [0, -1]], positions[:, [0, -1]])


def test_positions_of_an_unknown_grid_are_refused() -> None:
    with pytest.raises(CheckpointError, match="for 12 patches, the model for 3 x 4") as caught:
        fit_positions(torch.zeros(1, 12, 24), (3, 4))
    assert "img_size" in caught.value.hint


def test_another_number_of_labels_gets_a_fresh_output_layer(tmp_path: Path) -> None:
    model = build((64, 64), 5, **SMALL)
    before = model.head.state_dict()["segmentation.weight"].clone()
    report = import_state(model, published("transunet"), tmp_path)
    assert (
        "head.segmentation.weight, head.segmentation.bias: the checkpoint's classifier has 4 classes, the model 5"
        in report
    )
    assert torch.equal(model.head.state_dict()["segmentation.weight"], before)


def test_another_head_keeps_its_initialisation(tmp_path: Path) -> None:
    model = Model(build((64, 64), 4, **SMALL).backbone, OtherHead())
    before = model.head.state_dict()["segmentation.weight"].clone()
    report = import_state(model, published("transunet"), tmp_path)
    assert "and 53 more: the model has another head" in report
    assert "head.segmentation.weight, head.segmentation.bias: the file has no weights for this head" in report
    assert torch.equal(model.head.state_dict()["segmentation.weight"], before)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    state = published("transunet")
    del state["transformer.encoder.layer.1.attn.key.bias"]
    with pytest.raises(CheckpointError, match=r"not in the file: backbone\.blocks\.1\.attn\.qkv\.bias"):
        import_state(build((64, 64), 4, **SMALL), state, tmp_path)


def test_fewer_skips_than_the_file_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"head\.blocks\.1\.conv1\.0\.weight \(\[8, 144, 3, 3\], \[8, 16, 3, 3\]\)"
    ):
        import_state(build((64, 64), 4, SMALL_HEAD | {"n_skip": 1}, **SMALL), published("transunet"), tmp_path)
