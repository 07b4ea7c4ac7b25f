"""The published networks' recorded outputs and gradients, computed on a GPU in each precision."""

import copy
import importlib
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tests.gpu.small import ACCELERATOR, NEEDS_GPU
from torch import Tensor

from medvid.devices.memory_format import lay_out_channels_last
from medvid.devices.precision import precision_plugin, use_tf32
from medvid.models.model import Model
from medvid.models.weights.loading import import_weights

pytestmark = NEEDS_GPU

PARITY = Path(__file__).parents[1] / "parity"
NAMES = sorted(path.stem for path in (PARITY / "fixtures").glob("*.safetensors") if path.stem != "transunet_npz")
LARGEST = {"fp32": 1e-4, "tf32": 1e-2, "bf16": 6e-2}
"""Difference of outputs, as a part of the largest recorded one; float32 also has the published code's own rounding."""
NORMS = {"fp32": 2e-3, "tf32": 3e-2}
"""Relative difference of the loss and of the norm of all gradients."""


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(PARITY)
    return importlib.import_module("verify")


def build(verify: Any, name: str) -> tuple[Any, Any, Model]:
    """A fixture, its adapter, and our model with the published weights."""
    fixture = verify.read_fixture(PARITY / "fixtures" / f"{name}.safetensors")
    adapter = verify._adapter(fixture)
    model = adapter.build()
    with tempfile.TemporaryDirectory() as folder:
        save_file(dict(fixture.state), Path(folder) / "state.safetensors")
        import_weights(model, Path(folder) / "state.safetensors", adapter.translate, adapter.source)
    lay_out_channels_last(model)
    return fixture, adapter, model


@pytest.mark.parametrize("precision", LARGEST)
@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_those_of_the_published_code(verify: Any, name: str, precision: Any) -> None:
    fixture, adapter, model = build(verify, name)
    use_tf32(precision == "tf32")
    images, published = adapter.arrange(fixture.tensors["input"]), fixture.tensors["output"]
    with precision_plugin(precision, ACCELERATOR).forward_context(), torch.no_grad():
        output = model.to(ACCELERATOR).eval()(images.to(ACCELERATOR))
    largest = published.abs().max()
    difference = float((output.float().cpu() - published).abs().max() / largest)
    assert difference <= max(LARGEST[precision], 2 * fixture.rounding / float(largest))


@pytest.mark.parametrize("precision", NORMS)
@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_a_cpu(verify: Any, name: str, precision: Any) -> None:
    fixture, adapter, model = build(verify, name)
    if fixture.gradients is None:
        pytest.skip("none were recorded")
    use_tf32(precision == "tf32")
    wanted = loss_and_norm(fixture, adapter, copy.deepcopy(model), "cpu")
    assert wanted[0] == pytest.approx(fixture.gradients.loss, abs=1e-4)
    found = loss_and_norm(fixture, adapter, model, ACCELERATOR)
    assert found == pytest.approx(wanted, rel=NORMS[precision])


def loss_and_norm(fixture: Any, adapter: Any, model: Model, device: str) -> tuple[float, float]:
    """The loss, and the norm of all its gradients."""
    output = model.to(device).train(fixture.gradients.training)(adapter.arrange(fixture.tensors["input"]).to(device))
    loss: Tensor = adapter.losses(model, output, fixture.tensors["target"].to(device))["loss"]
    torch.autograd.backward(loss)
    norms = [parameter.grad.norm() for parameter in model.parameters() if parameter.grad is not None]
    return loss.item(), torch.stack(norms).norm().item()
