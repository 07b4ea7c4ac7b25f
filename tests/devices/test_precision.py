import logging
from collections.abc import Iterator

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from medvid.config.task import TrainOptions
from medvid.devices.precision import Precision, cudnn_note, precision_of, resolve_precision, use_tf32
from medvid.training.device import describe_device, make_fabric
from medvid.training.optimizers.options import AdamWOptions

OPTIONS = TrainOptions(steps=1, batch_size=1, optimizer=AdamWOptions(lr=0.1), accelerator="cpu", devices=1)


@pytest.fixture
def tf32_restored() -> Iterator[None]:
    matmul, convolution = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    yield
    torch.set_float32_matmul_precision(matmul)
    torch.backends.cudnn.allow_tf32 = convolution


class Recorder(nn.Module):
    """Tells in which type it multiplies."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.dtype = torch.float64

    def forward(self, input: Tensor) -> Tensor:
        product: Tensor = self.linear(input)
        self.dtype = product.dtype
        return product


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_a_step_multiplies_in_the_precision_and_steps_in_float32(precision: str, dtype: torch.dtype) -> None:
    fabric = make_fabric(OPTIONS.model_copy(update={"precision": precision}))
    assert precision_of(fabric) == precision
    assert describe_device(fabric) == f"1 x CPU, {precision}"
    module = Recorder()
    model, optimizer = fabric.setup(module, torch.optim.SGD(module.parameters(), lr=1.0))
    before = module.linear.bias.detach().clone()
    output = model(torch.ones(2, 4))
    fabric.backward(output.sum())
    optimizer.step()
    assert (module.dtype, output.dtype, module.linear.bias.dtype) == (dtype, torch.float32, torch.float32)
    torch.testing.assert_close(before - module.linear.bias, torch.full((4,), 2.0))  # no hidden factor


def test_of_a_gpu_without_bf16_it_is_said_that_there_is_fp16(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    with caplog.at_level(logging.INFO, "medvid"):
        assert resolve_precision("auto", "cuda") == "fp32"
        assert resolve_precision("bf16", "cuda") == "bf16"
        assert resolve_precision("tf32", "cuda") == "fp32"
        assert resolve_precision("fp16", "cuda") == "fp16"
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "WARNING"]
    assert all("train.precision=fp16" in record.message for record in caplog.records[:2])


def test_one_with_it_has_all_precisions_and_needs_no_words(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    found = {option: resolve_precision(option, "cuda") for option in ("auto", "fp32", "tf32", "bf16", "fp16")}
    assert found == {"auto": "bf16", "fp32": "fp32", "tf32": "tf32", "bf16": "bf16", "fp16": "fp16"}
    assert not caplog.records


@pytest.mark.parametrize("accelerator", ["cpu", "mps"])
def test_tf32_is_float32_elsewhere_which_is_said(accelerator: str, caplog: pytest.LogCaptureFixture) -> None:
    assert resolve_precision("tf32", accelerator) == "fp32"
    assert "Ampere" in caplog.text


@pytest.mark.usefixtures("tf32_restored")
@pytest.mark.parametrize("enabled", [True, False])
def test_all_of_torch_agrees_on_tf32(enabled: bool) -> None:
    """Readers of the older and of the newer switches: a mixture makes torch raise, as under torch.compile."""
    use_tf32(enabled)
    backends = torch.backends
    for owner in (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn):
        assert (owner.fp32_precision == "tf32") is enabled
    assert backends.cuda.matmul.allow_tf32 is backends.cudnn.allow_tf32 is enabled
    assert torch.get_float32_matmul_precision() == ("high" if enabled else "highest")


@pytest.mark.parametrize(
    ("version", "precision", "layer", "told"),
    [
        (91002, "bf16", nn.Conv3d, True),
        (91500, "bf16", nn.Conv3d, False),
        (92400, "bf16", nn.Conv3d, False),
        (None, "bf16", nn.Conv3d, False),
        (91002, "fp32", nn.Conv3d, False),
        (91002, "bf16", nn.Conv2d, False),
    ],
)
def test_an_old_cudnn_is_told_where_it_matters(
    version: int | None, precision: Precision, layer: type[nn.Module], told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: version)
    fabric = make_fabric(OPTIONS.model_copy(update={"precision": precision}))
    model = nn.Sequential(layer(1, 1, 1))
    assert not cudnn_note(model, fabric), "this one is on the CPU"
    monkeypatch.setattr(Fabric, "device", torch.device("cuda"))
    assert ("cuDNN 9.10.2" in cudnn_note(model, fabric)) is told
