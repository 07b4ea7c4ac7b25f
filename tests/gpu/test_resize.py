"""The deterministic gradient of resizing on a GPU is that of torch's own, and has the same bits each time."""

from collections.abc import Iterator

import pytest
import torch
from tests.gpu.small import ACCELERATOR, NEEDS_GPU
from torch.nn import functional

from medvid.devices.determinism import train_deterministically
from medvid.models.resize import resize

pytestmark = NEEDS_GPU
SHAPES = [
    ((2, 5, 9), (20,)),
    ((4, 16, 28, 28), (56, 56)),
    ((2, 14, 6, 6, 6), (24, 24, 24)),
    ((2, 8, 7, 9, 8), (4, 18, 8)),
]
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2}


@pytest.fixture(autouse=True)
def mode() -> Iterator[None]:
    yield
    train_deterministically(False)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("shape", "size"), SHAPES)
def test_it_is(shape: tuple[int, ...], size: tuple[int, ...], align_corners: bool, dtype: torch.dtype) -> None:
    modes = {3: "linear", 4: "bilinear", 5: "trilinear"}
    x = torch.randn(*shape).to(ACCELERATOR, dtype).requires_grad_()
    train_deterministically(False)
    plain = functional.interpolate(x, size, mode=modes[x.ndim], align_corners=align_corners)
    grad = torch.randn_like(plain)
    (wanted,) = torch.autograd.grad(plain, x, grad)
    train_deterministically(True)
    resized = [resize(x, size, align_corners=align_corners) for _ in range(2)]
    found, again = (torch.autograd.grad(one, x, grad)[0] for one in resized)
    assert torch.equal(resized[0], plain)
    assert torch.equal(found, again)
    assert float((found - wanted).abs().max() / wanted.abs().max()) < TOLERANCE[dtype]
