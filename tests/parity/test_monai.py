"""Options that the recorded fixtures leave out, against the installed MONAI: it writes a fixture, which is verified."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.losses import DiceCELoss
from monai.networks.nets import UNETR
from safetensors.torch import save_file
from torch import Tensor, nn

DEFAULTS: dict[str, Any] = {
    "in_channels": 1,
    "out_channels": 2,
    "img_size": [32, 16, 16],
    "feature_size": 4,
    "hidden_size": 12,
    "mlp_dim": 16,
    "num_heads": 2,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "monai's defaults": {},
    "batch norm": {"norm_name": "batch"},
    "capitals": {"norm_name": "INSTANCE"},
    "group norm": {"norm_name": ["group", {"num_groups": 2}]},
    "affine instance norm": {"norm_name": ["instance", {"affine": True}]},
    "plain blocks": {"res_block": False},
    "no blocks while lifting": {"conv_block": False},
    "neither": {"conv_block": False, "res_block": False, "proj_type": "perceptron"},
    "qkv bias": {"qkv_bias": True, "num_heads": 4},
    "as many channels in as inside": {"in_channels": 4, "out_channels": 5, "proj_type": "perceptron"},
    "one size": {"img_size": 32, "feature_size": 2},
    "images": {"spatial_dims": 2, "img_size": [48, 32], "in_channels": 3, "proj_type": "perceptron"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_unetr_agrees(verify: Callable[[list[str]], int], tmp_path: Path, options: dict[str, Any]) -> None:
    assert verify([write_fixture(tmp_path, DEFAULTS | options)]) == 0


def write_fixture(folder: Path, arguments: dict[str, Any]) -> str:
    torch.manual_seed(0)
    rank, size = arguments.get("spatial_dims", 3), arguments["img_size"]
    shape = [size] * rank if isinstance(size, int) else size
    image = torch.rand(2, arguments["in_channels"], *shape)
    target = torch.randint(arguments["out_channels"], (2, 1, *shape), dtype=torch.uint8)
    model = UNETR(**arguments)
    with torch.no_grad():
        randomise(model, image)
        output = model.eval()(image)
    state = {f"state.{key}": value.clone() for key, value in model.state_dict().items()}
    tensors = {"input": image, "output": output, "target": target}
    save_file(state | tensors, folder / "monai.safetensors")
    sidecar = {
        "model": "UNETR",
        "repo": "Project-MONAI/MONAI",
        "args": arguments,
        "n_params": sum(parameter.numel() for parameter in model.parameters()),
        "train": train(model, image, target) | {"float64": train(model.double(), image.double(), target)},
    }
    (folder / "monai.json").write_text(json.dumps(sidecar))
    return str(folder / "monai.safetensors")


def randomise(model: nn.Module, input: Tensor) -> None:
    """Away from the initialisation, so that no norm or bias is an identity and attention is not uniform."""
    for tensor in model.parameters():
        tensor.mul_(2).add_(0.1 * torch.randn_like(tensor))
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = 1.0
    model.train()(input)  # statistics that keep the output of a sensible size
    for norm in norms:
        norm.momentum = 0.1
        norm.get_buffer("running_var").mul_(1.1)


def train(model: nn.Module, input: Tensor, target: Tensor) -> dict[str, Any]:
    state = {key: value.clone() for key, value in model.state_dict().items()}
    loss_function = DiceCELoss(to_onehot_y=True, softmax=True, squared_pred=True, smooth_nr=0.0, smooth_dr=1e-6)
    loss = loss_function(model.train()(input), target)
    model.zero_grad()
    loss.backward()
    norms = {
        name: parameter.grad.norm().item() for name, parameter in model.named_parameters() if parameter.grad is not None
    }
    buffers = {name: buffer.double().norm().item() for name, buffer in model.named_buffers()}
    model.load_state_dict(state)
    return {
        "loss": loss.item(),
        "grad_norms": {name: norm for name, norm in norms.items() if norm > 1e-3 * max(norms.values())},
        "grad_norm_total": torch.tensor(list(norms.values())).norm().item(),
        "params_without_grad": [name for name, _ in model.named_parameters() if name not in norms],
        "buffers_after_one_train_forward": buffers,
    }
