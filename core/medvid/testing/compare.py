"""Tensors of features and gradients, and how far apart they may be."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from medvid.models.features import Features
from medvid.testing.check import expect
from medvid.training.parts import batch_norms

EXACT = 0.0
FLOAT64 = 1e-6
"""Of float64, and of constants in float32."""
ROUNDING = 1e-4
"""Of float32, accumulated over a small network."""
HALF = 0.1
"""Of bf16."""


def tensors(features: Features) -> dict[str, Tensor]:
    """All tensors of features, by what they are."""
    found = {f"map {index}": item for index, item in enumerate(features.maps)}
    return found | ({} if features.embedding is None else {"embedding": features.embedding})


def gradients(module: nn.Module) -> dict[str, Tensor]:
    """The gradients of the parameters that have one, by name."""
    return {name: item.grad for name, item in module.named_parameters() if item.grad is not None}


def expect_close(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], tolerance: float, when: str) -> None:
    """Fail unless the same tensors are there, and each deviates by at most this share of its norm.

    Args:
        found: tensors by name.
        wanted: what they should be.
        tolerance: largest norm of the difference, as a share of the norm of what is wanted; 0: bit by bit.
        when: how the sentence of a failure goes on, e.g. ``"with bf16"``.
    """
    expect(found.keys() == wanted.keys(), f"{when} there are {list(found)} instead of {list(wanted)}")
    for name, tensor in found.items():
        expect(tensor.shape == wanted[name].shape, f"{when} {name} has shape {_shape(tensor)}, {_shape(wanted[name])}")
        expect(bool(torch.isfinite(tensor).all()), f"{when} {name} is not finite")
        error = _deviation(tensor, wanted[name])
        expect(error <= tolerance, f"{when} {name} deviates by {error:.2g} of its norm; {tolerance:g} is allowed")


def _deviation(found: Tensor, wanted: Tensor) -> float:
    found, wanted = found.detach().double(), wanted.detach().double()
    norm = float((found - wanted).norm())
    return norm / max(float(wanted.norm()), 1e-3 * wanted.numel() ** 0.5) if norm else 0.0


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape))


def perturb(module: nn.Module, seed: int = 0) -> None:
    """Move all parameters a little, so that none is zero as some are when a training starts."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.02)


def as_in_training_but_still(module: nn.Module) -> None:
    """Training mode, in which nothing is dropped at random and no example depends on the others of its batch."""
    module.train()
    for part in module.modules():
        for name, value in vars(part).items():
            if isinstance(value, float) and (name == "p" or "drop" in name):
                vars(part)[name] = 0.0
    for name in [*batch_norms(module)]:
        module.get_submodule(name).eval()


def random_sum(items: Sequence[Tensor], seed: int = 0) -> Tensor:
    """A scalar that depends on every entry of the tensors in another way."""
    generator = torch.Generator().manual_seed(seed)
    terms = [(item * torch.randn(item.shape, generator=generator).to(item.dtype)).mean() for item in items]
    return torch.stack(terms).sum()


def expect_gradients(module: nn.Module, scalar: Tensor) -> None:
    """Fail unless the scalar depends on every parameter, by finite gradients."""
    torch.autograd.backward(scalar)
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        gradient = parameter.grad
        expect(
            gradient is not None and bool(gradient.any()), f"nothing depends on parameter {name} ({_shape(parameter)})"
        )
        assert gradient is not None, "just checked"
        expect(bool(torch.isfinite(gradient).all()), f"the gradient of {name} is not finite")
