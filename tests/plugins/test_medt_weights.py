"""Published MedT states at full size, and what happens where the model differs."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.parity import recorded
from tests.parity.recorded import count, empty_state, published, shapes, sidecar
from torch import Tensor, nn

from medvid.errors import CheckpointError
from medvid.models.features import Features
from medvid.models.head import Head
from medvid.models.model import Model
from medvid.models.weights import Translation
from medvid.models.weights.loading import ImportReport
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.config import PixelHeadOptions
from medvid_heads.pixel import PixelHead
from medvid_medt.config import MedTOptions
from medvid_medt.model import MedT
from medvid_medt.weights import resize_distances, translate

FULL_SIZE = sidecar("medt_fullsize_keys")["variants"]
PUBLISHED_NAMES = {"medt": "MedT", "gated": "gatedaxialunet", "logo": "logo", "axial": "axialunet"}
SMALL: dict[str, Any] = {"variant": "gated", "layers": (1, 2, 1, 1), "s": 0.0625, "groups": 4, "img_size": (32, 32)}
"""The fixture medt_gated."""


class OtherHead(Head):
    def __init__(self) -> None:
        super().__init__()
        self.segmentation = nn.Conv2d(8, 2, 1)

    def forward(self, features: Features, input: Tensor) -> Tensor:  # noqa: ARG002
        logits: Tensor = self.segmentation(features.maps[0])
        return logits


def build(labels: int = 2, **options: Any) -> Model:
    checked = MedTOptions.model_validate({"name": "medt", "img_size": (128, 128)} | options)
    input_info = InputInfo("image", 3, checked.img_size)
    backbone = MedT(checked, input_info)
    target_info = TargetInfo("voxel", "class", tuple(f"label {index}" for index in range(labels)))
    return Model(backbone, PixelHead(PixelHeadOptions(name="pixel"), backbone.feature_info, input_info, target_info))


def import_state(model: Model, state: Mapping[str, Tensor], folder: Path) -> ImportReport:
    return recorded.import_state(model, state, translate, "medt", folder)


def full_size(variant: str) -> tuple[Model, dict[str, list[int]], Translation]:
    listed = FULL_SIZE[PUBLISHED_NAMES[variant]]["keys"]
    with torch.device("meta"):
        model = build(variant=variant)
    return model, listed, translate(empty_state(listed), "medt", model)


@pytest.mark.parametrize("variant", PUBLISHED_NAMES)
def test_every_published_key_has_its_place_or_a_reason(variant: str) -> None:
    model, listed, translation = full_size(variant)
    assert shapes(translation.tensors) == shapes(model.state_dict())
    assert len(translation.tensors) + len(translation.dropped) == len(listed)
    assert not translation.resized
    assert not translation.fresh


@pytest.mark.parametrize(
    ("variant", "built"), [("medt", 1_524_298), ("gated", 1_326_530), ("logo", 1_528_970), ("axial", 1_326_466)]
)
def test_parameters_are_the_published_ones_less_those_without_effect(variant: str, built: int) -> None:
    model, listed, translation = full_size(variant)
    assert count(model) == built
    without_effect = {"never run": 0, "shift": 0}
    for key in translation.dropped:
        elements = math.prod(listed[key])
        if key.endswith("bn_similarity.bias"):  # softmax ignores it
            without_effect["shift"] += elements
        elif key.startswith("adjust_p.") or ".conv1." in key:  # AxialBlock_wopos makes conv1, medt_net adjust_p
            without_effect["never run"] += elements
    # medt: 35,536 in conv1 of the eight blocks over patches and 34 in adjust_p; 6 biases of 24 and 16 of 8.
    assert (
        without_effect
        == {
            "medt": {"never run": 35_536 + 34, "shift": 6 * 24 + 16 * 8},
            "logo": {"never run": 34, "shift": 22 * 24},
            "gated": {"never run": 0, "shift": 16 * 24},
            "axial": {"never run": 0, "shift": 16 * 24},
        }[variant]
    )
    assert built + sum(without_effect.values()) == FULL_SIZE[PUBLISHED_NAMES[variant]]["n_params"]


def test_what_is_dropped_is_told_with_the_reason(tmp_path: Path) -> None:
    small = SMALL | {"variant": "medt", "layers": (1, 2, 2, 1), "img_size": (128, 128)}
    report = import_state(build(**small), published("medt"), tmp_path)
    reasons = {
        "layer1.0.hight_block.flatten_index": "which entries of `relative`",
        "layer2_p.1.width_block.bn_similarity.bias": "which softmax ignores",
        "layer2_p.1.width_block.bn_similarity.running_mean": "which softmax ignores",
        "layer3_p.0.conv1.weight": "never runs this convolution",
        "adjust_p.bias": "never runs this convolution",
    }
    for key, reason in reasons.items():
        assert reason in report.dropped[key]
    assert not report.fresh


def test_positions_are_resized_to_another_size(tmp_path: Path) -> None:
    model = build(**SMALL | {"img_size": (64, 48)})
    report = import_state(model, published("medt_gated"), tmp_path)
    stage = "backbone.global_branch.stages.0.0"
    assert report.resized[f"{stage}.height_attention.relative"] == ((4, 31), (4, 63))
    assert report.resized[f"{stage}.width_attention.relative"] == ((4, 31), (4, 47))
    assert model.eval()(torch.rand(1, 3, 64, 48)).isfinite().all()


@pytest.mark.parametrize("length", [2, 5, 9, 16])
def test_resized_positions_keep_the_ends_and_the_middle(length: int) -> None:
    relative = torch.randn(6, 2 * 5 - 1)
    resized = resize_distances(relative, 2 * length - 1)
    assert resized.shape == (6, 2 * length - 1)
    torch.testing.assert_close(resized[:, [0, length - 1, -1]], relative[:, [0, 4, -1]])


def test_another_number_of_labels_gets_a_fresh_output_layer(tmp_path: Path) -> None:
    model = build(5, **SMALL)
    before = model.head.state_dict()["classifier.weight"].clone()
    report = import_state(model, published("medt_gated"), tmp_path)
    assert report.dropped["adjust.weight"] == "the checkpoint's classifier has 2 classes, the model 5"
    assert report.fresh.keys() == {"head.classifier.weight", "head.classifier.bias"}
    assert torch.equal(model.head.state_dict()["classifier.weight"], before)


def test_another_head_keeps_its_initialisation(tmp_path: Path) -> None:
    model = Model(build(**SMALL).backbone, OtherHead())
    report = import_state(model, published("medt_gated"), tmp_path)
    assert report.dropped["adjust.weight"] == "the model has another head"
    assert report.fresh.keys() == {"head.segmentation.weight", "head.segmentation.bias"}


def test_another_variant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"in the model, but not in the file: .*height_attention\.f_qr") as caught:
        import_state(
            build(**SMALL), {key: value for key, value in published("medt_gated").items() if ".f_" not in key}, tmp_path
        )
    assert "set the options of backbone" in caught.value.hint


def test_an_unknown_tensor_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"in the file, but not in the model: layers\.x"):
        import_state(build(**SMALL), published("medt_gated") | {"layers.x": torch.zeros(1)}, tmp_path)
