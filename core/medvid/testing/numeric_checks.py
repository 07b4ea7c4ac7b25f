"""Checks of backbones that concern how torch runs them: precisions, memory formats, devices, compilers.

Compilers are asked whether they can follow the code: `torch.compile` with the backend "eager", which captures the graph
in full but generates no code for it (that would take a minute for each backbone), and `torch.export`.
"""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from medvid.devices.memory_format import CHANNELS_LAST
from medvid.models.backbone import Backbone
from medvid.testing.backbone_subject import BackboneSubject
from medvid.testing.check import expect
from medvid.testing.compare import HALF, ROUNDING, expect_close, gradients, random_sum, tensors
from medvid.testing.fake_gpu import GPU, META, expect_no_wait, fake_gpu


class Flat(nn.Module):
    """A backbone that returns a tuple of tensors, as `torch.export` wants it."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, input: Tensor) -> tuple[Tensor, ...]:
        """All tensors of the features."""
        return tuple(tensors(self.backbone(input)).values())


def check_bf16(subject: BackboneSubject) -> None:
    """Under bf16 autocast features are close to those of float32, and gradients finite."""
    backbone, x = subject.build(), subject.input()
    with torch.no_grad():
        wanted = tensors(backbone(x))
    with torch.autocast("cpu", torch.bfloat16):
        found = tensors(backbone(x))
    expect_close(found, wanted, HALF, "with bf16")
    torch.autograd.backward(random_sum([item.float() for item in found.values()]))
    for name, gradient in gradients(backbone).items():
        expect(bool(torch.isfinite(gradient).all()), f"with bf16 the gradient of {name} is not finite")


def check_float64(subject: BackboneSubject) -> None:
    """In float64 features are float64 and close to those of float32."""
    backbone, x = subject.build(), subject.input()
    with torch.no_grad():
        wanted = tensors(backbone(x))
        found = tensors(backbone.double()(x.double()))
    for name, item in found.items():
        expect(item.dtype == torch.float64, f"in float64 {name} is {item.dtype}: something casts")
    expect_close(found, wanted, ROUNDING, "in float64")


def check_channels_last(subject: BackboneSubject) -> None:
    """Inputs and kernels with channels last in memory give the same features."""
    backbone, x = subject.build(), subject.input()
    with torch.no_grad():
        wanted = tensors(backbone(x))
        for parameter in backbone.parameters():
            if memory_format := CHANNELS_LAST.get(parameter.ndim):
                parameter.data = parameter.data.contiguous(memory_format=memory_format)
        found = tensors(backbone(x.contiguous(memory_format=CHANNELS_LAST[x.ndim])))
    expect_close(found, wanted, ROUNDING, "with channels last")


def check_devices(subject: BackboneSubject) -> None:
    """Forward and backward make their tensors on the device of the input, and read no value back from there."""
    shape = subject.input().shape
    with expect_no_wait("on the meta device, in training,"):
        found = tensors(subject.build().to(META).train()(torch.empty(shape, device=META)))
        torch.autograd.backward([item.sum() for item in found.values()])
    _expect_device(found, META)
    if torch.cuda.is_available():  # where GPUs are, they need not be faked
        return
    backbone = subject.build()
    for training in (True, False):
        backbone.train(training)
        with expect_no_wait("on a GPU that is faked"), fake_gpu(backbone), torch.autocast("cuda", torch.bfloat16):
            _expect_device(tensors(backbone(torch.empty(shape, device=GPU))), GPU)


def check_compiles(subject: BackboneSubject) -> None:
    """torch.compile follows forward without a break of the graph."""
    backbone, x = subject.build(), subject.input()
    with torch.no_grad(), _fresh_dynamo():
        wanted = tensors(backbone(x))
        try:
            found = torch.compile(copy.deepcopy(backbone), backend="eager", fullgraph=True)(x)
        except torch._dynamo.exc.TorchDynamoException as error:
            expect(False, f"torch.compile breaks off: {_first_line(error)}")
    expect_close(tensors(found), wanted, ROUNDING, "compiled,")


def check_exports(subject: BackboneSubject) -> None:
    """torch.export gives a program that computes the same features."""
    flat, x = Flat(subject.build()), subject.input()
    with torch.no_grad(), _fresh_dynamo():
        wanted = flat(x)
        try:
            found = torch.export.export(flat, (x,)).module()(x)
        except Exception as error:
            expect(False, f"torch.export fails: {type(error).__name__}: {_first_line(error)}")
    names = tensors(subject.build()(x))
    expect_close(dict(zip(names, found, strict=True)), dict(zip(names, wanted, strict=True)), ROUNDING, "exported,")


NUMERIC_CHECKS = (check_bf16, check_float64, check_channels_last, check_devices, check_compiles, check_exports)


def _expect_device(found: Mapping[str, Tensor], device: torch.device) -> None:
    for name, item in found.items():
        expect(item.device == device, f"{name} is on {item.device}, not on {device}, where the input is")


@contextmanager
def _fresh_dynamo() -> Iterator[None]:
    torch._dynamo.reset()
    try:
        yield
    finally:
        torch._dynamo.reset()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "")
