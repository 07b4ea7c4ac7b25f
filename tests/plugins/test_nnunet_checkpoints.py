"""Whole checkpoints of nnU-Net, with its plans: networks predict what they did, in medvid's order of axes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.parity.recorded import published, sidecar
from torch import Tensor

from medvid.errors import CheckpointError
from medvid.models.build import build_head
from medvid.models.model import Model
from medvid.models.options import NNUNetWeights
from medvid.models.weights import Translate
from medvid.models.weights.loading import ImportReport, import_weights
from medvid.models.weights.nnunet import order_of_axes
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_primus.config import PrimusDecoderOptions, PrimusOptions
from medvid_primus.model import Primus
from medvid_primus.weights import translate as translate_primus
from medvid_unet.config import UNetDecoderOptions, UNetOptions
from medvid_unet.model import UNet
from medvid_unet.weights import translate as translate_unet

HOST = make_host()
TARGET = TargetInfo("voxel", "class", ("background", "a", "b"))
ORDER = (2, 0, 1)
"""For each of R, A, S the axis of the fixture, whose plan has put y in front of z and x."""
PLANS = {"transpose_forward": [1, 0, 2], "image_reader_writer": "SimpleITKIO"}


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """The folder of a training, in nnU-Net's layout."""
    (tmp_path / "fold_0").mkdir()
    (tmp_path / "plans.json").write_text(json.dumps(PLANS))
    return tmp_path


def repeated(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state with examples of the two ways in which nnU-Net repeats tensors under other names."""
    blocks = {key.replace(".conv.", ".all_modules.0."): value for key, value in state.items() if ".conv." in key}
    encoder = {f"decoder.{key}": value for key, value in state.items() if key.startswith("encoder.")}
    return state | blocks | encoder


def checkpoint(folder: Path, state: dict[str, Tensor]) -> Path:
    """As nnU-Net's trainer writes it."""
    path = folder / "fold_0" / "checkpoint_final.pth"
    content = {
        "network_weights": repeated(state),
        "optimizer_state": {"state": {0: {"momentum_buffer": torch.zeros(2)}}, "param_groups": [{"lr": 0.01}]},
        "grad_scaler_state": {"scale": 65536.0},
        "logging": {"mean_fg_dice": [np.float64(0.5)], "train_losses": [np.float32(0.1)], "lrs": [0.01]},
        "_best_ema": np.float64(0.7),
        "current_epoch": 1000,
        "init_args": {"plans": PLANS, "configuration": "3d_fullres", "fold": 0, "device": torch.device("cuda")},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1, 2),
    }
    torch.save(content, path)
    return path


def ours(axes: Any) -> tuple[Any, ...]:
    return tuple(axes[axis] for axis in ORDER)


def unet(name: str, weights: NNUNetWeights, **head: Any) -> Model:
    arguments = sidecar(name)["args"]
    kernels = [ours(kernel) for kernel in arguments["kernel_sizes"]]
    options = UNetOptions(
        name="unet",
        encoder="plain" if arguments["cls"] == "PlainConvUNet" else "resenc",
        features=arguments["features_per_stage"],
        strides=[ours(stride) for stride in arguments["strides"]],
        kernels=kernels,
        blocks=arguments.get("n_conv_per_stage") or arguments["n_blocks_per_stage"],
        weights=weights,
    )
    given = {"kernels": kernels[:-1], "convs": arguments["n_conv_per_stage_decoder"][0]} | head
    info = InputInfo("volume", arguments["input_channels"], ours((6, 12, 16)))
    backbone = UNet(options, info)
    decoder = UNetDecoderOptions(name="unet_decoder", **given)
    return Model(backbone, build_head(HOST.build, decoder, backbone.feature_info, info, TARGET))


def primus(name: str, weights: NNUNetWeights) -> Model:
    size = ours(sidecar(name)["args"]["input_shape"])
    info = InputInfo("volume", 1, size)
    options = PrimusOptions(
        name="primus", stem="v1", img_size=size, hidden_size=24, num_layers=2, num_heads=2, weights=weights
    )
    backbone = Primus(options, info)
    decoder = PrimusDecoderOptions(name="primus_decoder")
    return Model(backbone, build_head(HOST.build, decoder, backbone.feature_info, info, TARGET))


def load(model: Model, path: Path, translate: Translate) -> ImportReport:
    return import_weights(model, path, translate, "nnunet")


@pytest.mark.parametrize(
    ("name", "build", "translate"),
    [
        ("nnunet_net_plain", unet, translate_unet),
        ("nnunet_net_resenc", unet, translate_unet),
        ("nnunet_net_primus_v1", primus, translate_primus),
    ],
)
def test_a_checkpoint_predicts_what_it_did(training: Path, name: str, build: Any, translate: Translate) -> None:
    path = checkpoint(training, published(name))
    model = build(name, NNUNetWeights(source="nnunet", path=path))
    report = load(model, path, translate)
    assert not report.fresh
    tensors = published(name, "")
    wanted = tensors["output" if "output" in tensors else "output.0"]
    axes = (0, 1, *(2 + axis for axis in ORDER))
    with torch.no_grad():
        found = model.eval()(tensors["input"].permute(axes))
    assert torch.allclose(found, wanted.permute(axes), atol=1e-4)


def test_coarser_classifiers_are_dropped_where_they_are_not_trained(training: Path) -> None:
    path = checkpoint(training, published("nnunet_net_plain"))
    model = unet("nnunet_net_plain", NNUNetWeights(source="nnunet", path=path), deep_supervision=False)
    dropped = load(model, path, translate_unet).dropped
    assert "head.deep_supervision is off" in dropped["decoder.seg_layers.0.weight"]


def test_plans_are_asked_for(training: Path) -> None:
    path = checkpoint(training, published("nnunet_net_plain"))
    model = unet("nnunet_net_plain", NNUNetWeights(source="nnunet", path=path))
    (training / "plans.json").write_text('{"transpose_forward": 3}')
    with pytest.raises(CheckpointError, match="is not nnU-Net's plans"):
        load(model, path, translate_unet)
    (training / "plans.json").rename(training / "elsewhere.json")
    with pytest.raises(CheckpointError, match=r"plans.json: no such file; .* axes of checkpoint_final.pth"):
        load(model, path, translate_unet)
    (training / "elsewhere.json").write_text(json.dumps(PLANS))
    weights = NNUNetWeights(source="nnunet", path=path, plans=training / "elsewhere.json")
    assert load(unet("nnunet_net_plain", weights), path, translate_unet).matched == 48


@pytest.mark.parametrize(
    ("plans", "rank", "order"),
    [
        ({"transpose_forward": [0, 1, 2]}, 3, (2, 1, 0)),
        ({"transpose_forward": [2, 0, 1]}, 3, (0, 2, 1)),
        ({"transpose_forward": [0, 1, 2]}, 2, (1, 0)),
        ({"transpose_forward": [0, 2, 1]}, 2, (0, 1)),
        ({"transpose_forward": [0, 1, 2], "image_reader_writer": "NaturalImage2DIO"}, 2, (0, 1)),
    ],
)
def test_axes_are_those_of_the_plan(plans: dict[str, Any], rank: int, order: tuple[int, ...]) -> None:
    assert order_of_axes(plans, rank) == order


@pytest.mark.parametrize(
    ("forward", "message"), [([1, 0, 2], "slices across axis y of its files"), ([0, 1], "not 0, 1 and 2")]
)
def test_slices_across_other_axes_and_odd_plans_are_refused(forward: list[int], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        order_of_axes({"transpose_forward": forward}, 2)
