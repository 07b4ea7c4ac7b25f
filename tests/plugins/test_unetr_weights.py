"""Published UNETR states of all key axes, at full size, and what happens where the model differs."""

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
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_unetr.config import UnetrDecoderOptions, UNETROptions
from medvid_unetr.decoder import UnetrDecoder
from medvid_unetr.model import UNETR
from medvid_unetr.weights import translate

FULL_SIZE = sidecar("unetr_fullsize_keys")
SMALL = {"hidden_size": 24, "mlp_dim": 48, "num_heads": 3}


class OtherHead(Head):
    """A head that happens to have a layer of the same name."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Conv3d(24, 3, 1)

    def forward(self, features: Features, input: Tensor) -> Tensor:
        return self.out(features.maps[-1]) + 0 * input.mean()  # type: ignore[no-any-return]


def build(size: tuple[int, int, int], labels: int, feature_size: int, **options: Any) -> Model:
    info = InputInfo("volume", 1, size)
    backbone = UNETR(UNETROptions(name="unetr", img_size=size, **options), info)
    target = TargetInfo("voxel", "class", tuple(map(str, range(labels))))
    head = UnetrDecoderOptions(name="unetr_decoder", feature_size=feature_size)
    return Model(backbone, UnetrDecoder(head, backbone.feature_info, info, target))


@pytest.mark.parametrize("variant", FULL_SIZE["variants"].values(), ids=FULL_SIZE["variants"])
def test_full_size_states_match_tensor_by_tensor(variant: dict[str, Any]) -> None:
    state = empty_state(FULL_SIZE["base"] | variant["extra"])
    state = {key: value for key, value in state.items() if key not in variant["missing"]}
    with torch.device("meta"):
        model = build((96, 96, 96), 14, 16)
    translation = translate(state, "monai", model)
    assert shapes(translation.tensors) == shapes(model.state_dict())
    assert not translation.fresh
    assert not translation.resized
    unused = sum(state[key].numel() for key in translation.dropped)
    assert count(model) + unused == variant["n_params"]


def test_full_size_has_as_many_parameters_as_monai_before_cross_attention() -> None:
    with torch.device("meta"):
        model = build((96, 96, 96), 14, 16)
    unused_norms = 12 * 2 * 768
    assert count(model) == 92_784_046 == 92_802_478 - unused_norms


def test_unused_tensors_are_dropped_with_their_reason() -> None:
    dropped = translate(published("unetr_rc"), "research_contributions", build((32, 32, 48), 3, 4, **SMALL)).dropped
    assert "class token" in dropped["vit.patch_embedding.cls_token"]
    assert {reason.partition(" made a ")[2] for key, reason in dropped.items() if ".conv3." in key} == {
        "shortcut convolution also where the identity is used"
    }
    assert len(dropped) == 4


def import_state(model: Model, state: Mapping[str, Tensor], folder: Path) -> str:
    return str(recorded.import_state(model, state, translate, "monai", folder))


def test_positions_are_resized_from_a_cubic_grid(tmp_path: Path) -> None:
    cube = torch.randn(1, 8, 24)  # a grid of 2 x 2 x 2
    model = build((32, 48, 64), 3, 4, **SMALL)
    report = import_state(model, published("unetr") | {"vit.patch_embedding.position_embeddings": cube}, tmp_path)
    assert "resized backbone.patch_embedding.positions: [1, 8, 24] to [1, 24, 24]" in report
    assert isinstance(model.backbone, UNETR)
    table = model.backbone.patch_embedding.positions.reshape(2, 3, 4, 24)
    assert torch.allclose(table[0, 0, 0], cube[0, 0])  # linear, and constant beyond the outermost centres
    assert torch.allclose(table[1, 2, 3], cube[0, 7])
    assert torch.allclose(table[1, 1, 0], (cube[0, 4] + cube[0, 6]) / 2)


def test_positions_of_an_unknown_grid_are_refused() -> None:
    state = published("unetr") | {"vit.patch_embedding.position_embeddings": torch.zeros(1, 13, 24)}
    with pytest.raises(CheckpointError, match="for 13 patches, the model for 2 x 2 x 3; their grid cannot") as caught:
        translate(state, "monai", build((32, 32, 48), 3, 4, **SMALL))
    assert "img_size" in caught.value.hint


def test_another_number_of_labels_gets_a_fresh_output_layer(tmp_path: Path) -> None:
    model = build((32, 32, 48), 5, 4, **SMALL)
    before = model.head.state_dict()["out.weight"].clone()
    report = import_state(model, published("unetr"), tmp_path)
    assert (
        "newly initialised head.out.weight, head.out.bias: the checkpoint's classifier has 3 classes, the model 5"
        in report
    )
    assert torch.equal(model.head.state_dict()["out.weight"], before)


def test_another_head_keeps_its_initialisation(tmp_path: Path) -> None:
    model = Model(build((32, 32, 48), 3, 4, **SMALL).backbone, OtherHead())
    before = model.head.state_dict()["out.weight"].clone()
    report = import_state(model, published("unetr"), tmp_path)
    assert "and 30 more: the model has another head" in report
    assert "newly initialised head.out.weight, head.out.bias: the file has no weights for this head" in report
    assert torch.equal(model.head.state_dict()["out.weight"], before)


def test_a_plain_decoder_refuses_residual_weights(tmp_path: Path) -> None:
    backbone = build((32, 32, 48), 3, 4, **SMALL).backbone
    assert isinstance(backbone, UNETR)
    options = UnetrDecoderOptions(name="unetr_decoder", feature_size=4, res_block=False)
    target = TargetInfo("voxel", "class", ("a", "b", "c"))
    head = UnetrDecoder(options, backbone.feature_info, InputInfo("volume", 1, (32, 32, 48)), target)
    with pytest.raises(CheckpointError, match=r"not in the model: .*decoder2\.conv_block\.conv3\.conv\.weight"):
        import_state(Model(backbone, head), published("unetr"), tmp_path)


def test_a_convolution_kernel_projects_patches(tmp_path: Path) -> None:
    model = build((32, 32, 48), 3, 4, **SMALL)
    linear = published("unetr")
    kernel = linear.pop("vit.patch_embedding.patch_embeddings.1.weight").reshape(24, 16, 16, 16, 1).movedim(-1, 1)
    bias = linear.pop("vit.patch_embedding.patch_embeddings.1.bias")
    names = {"weight": kernel.contiguous(), "bias": bias}
    convolution = linear | {f"vit.patch_embedding.patch_embeddings.{name}": value for name, value in names.items()}
    volume = torch.rand(1, 1, 32, 32, 48)
    import_state(model, published("unetr"), tmp_path)
    expected = model(volume)
    import_state(model, convolution, tmp_path)
    assert torch.equal(model(volume), expected)
