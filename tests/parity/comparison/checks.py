"""The comparisons: outputs, intermediates, loss and gradients of our model against the published code's."""

import copy
import math
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.func import functional_call

from comparison.adapter import Adapter
from comparison.fixture import Fixture, Gradients
from medvid.models.model import Model
from medvid.models.weights.loading import ImportReport, import_weights

OUTPUT_TOLERANCE = 1e-4
"""Absolute, of outputs, intermediates and losses."""
GRADIENT_TOLERANCE = {torch.float64: 1e-4, torch.float32: 2e-3}
"""Relative, of gradient norms; in float32 the published code's own rounding is of the order of 1e-3."""
ROUNDING = {torch.float64: 1e-12, torch.float32: 1e-4}
"""Part of the norm of all gradients below which one is compared with this, not with itself: it may be an exact zero
that was rounded, such as that of the bias of keys."""
NONE = r"(?!)"
"""The pattern that nothing matches."""


@dataclass(frozen=True)
class Check:
    """One comparison.

    Args:
        name: what was compared.
        difference: largest difference, absolute or relative as the name says.
        tolerance: largest difference that passes.
    """

    name: str
    difference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """False for a NaN as well."""
        return self.difference <= self.tolerance


def compare(fixture: Fixture, adapter: Adapter) -> Iterator[Check]:
    """Build our model, import the fixture's weights as a user would, and compare everything that was recorded.

    Raises:
        medvid.errors.CheckpointError: the weights do not fit.
    """
    model = adapter.build()
    report = _import(fixture, adapter, model)
    yield from _parameters(fixture, model, report)
    yield from _outputs(fixture, adapter, model.eval())
    if fixture.gradients:
        yield from _gradients(fixture, fixture.gradients, adapter, model.train(fixture.gradients.training))


def _import(fixture: Fixture, adapter: Adapter, model: Model) -> ImportReport:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / fixture.path.name
        save_file(dict(fixture.state), file)
        return import_weights(model, file, adapter.translate, adapter.source)


def _parameters(fixture: Fixture, model: Model, report: ImportReport) -> Iterator[Check]:
    if fixture.parameters is None:
        return
    ours = sum(parameter.numel() for parameter in model.parameters())
    dropped = sum(fixture.state[key].numel() for key in report.dropped if _is_parameter(key, fixture.state[key]))
    yield Check("parameters, with the dropped ones", abs(ours + dropped - fixture.parameters), 0)


@torch.no_grad()
def _outputs(fixture: Fixture, adapter: Adapter, model: Model) -> Iterator[Check]:
    seen: dict[str, Tensor] = {}
    # What the published code computes in float32 is taken for its float64 result and an error of its own, which is
    # recorded. Where that matters, ours is computed in float64, so that no second error comes to it.
    tolerance, dtype = max(OUTPUT_TOLERANCE, 2 * fixture.rounding), torch.float32
    if tolerance > OUTPUT_TOLERANCE:
        model, dtype = copy.deepcopy(model).double(), torch.float64
    for name, module in adapter.modules(model).items():
        module.register_forward_hook(lambda _module, _args, output, name=name: seen.__setitem__(name, output))
    seen["output"] = model(adapter.arrange(fixture.tensors["input"]).to(dtype))
    for name, ours in seen.items():
        if name in fixture.tensors:
            yield Check(name, max_difference(ours, fixture.tensors[name]), tolerance)


def _gradients(fixture: Fixture, recorded: Gradients, adapter: Adapter, model: Model) -> Iterator[Check]:
    """Compare the loss and the gradients with respect to the published tensors, taken through their translation."""
    dtype = torch.float64 if recorded.double else torch.float32
    published = {key: _leaf(key, value, dtype) for key, value in fixture.state.items()}
    tensors = adapter.translate(published, adapter.source, model).tensors
    output = functional_call(model, tensors, (adapter.arrange(fixture.tensors["input"]).to(dtype),))
    losses = adapter.losses(model, output, fixture.tensors["target"])
    for name, value in {"loss": recorded.loss, **recorded.parts}.items():
        yield Check(f"{name} with gradients", abs(losses[name].item() - value), OUTPUT_TOLERANCE)

    leaves = {key: value for key, value in published.items() if value.requires_grad}
    gradients = torch.autograd.grad(losses["loss"], list(leaves.values()), allow_unused=True)
    norms = {key: None if grad is None else grad.norm().item() for key, grad in zip(leaves, gradients, strict=True)}
    inert = adapter.inert or NONE
    yield from _norms(recorded, norms, dtype, inert)
    expected = {key: norm for key, norm in recorded.buffers.items() if not re.search(inert, key)}
    buffers = {key: published[key].detach().double().norm().item() for key in expected}
    yield worst("buffers after a training step", buffers, expected, OUTPUT_TOLERANCE)


def _norms(recorded: Gradients, norms: Mapping[str, float | None], dtype: torch.dtype, inert: str) -> Iterator[Check]:
    ours = {key: norm or 0.0 for key, norm in norms.items()}
    expected = recorded.double["grad_norms"] if recorded.double else recorded.norms
    expected = {key: norm for key, norm in expected.items() if not re.search(inert, key)}
    yield worst("gradient norms", ours, expected, GRADIENT_TOLERANCE[dtype], ROUNDING[dtype] * recorded.total)
    total = math.hypot(*ours.values())  # recorded in float32 only
    rounding = recorded.double.get("max_rel_diff_f32", 0) if recorded.double else 0
    tolerance = max(GRADIENT_TOLERANCE[torch.float32], rounding)
    yield Check("total gradient norm (relative)", _relative(total, recorded.total), tolerance)
    if recorded.without is None:
        return
    # The published code may get an exact zero, which is not listed, where ours gets one, or nothing at all.
    unused = {key for key, norm in norms.items() if norm is None} - recorded.without
    used = {key for key in recorded.without if ours[key] > ROUNDING[torch.float32] * total}
    differing = [key for key in unused | used if not re.search(inert, key)]
    yield Check("parameters with and without gradient", len(differing), 0)


def worst(
    name: str, ours: Mapping[str, float], published: Mapping[str, float], tolerance: float, least: float = 1e-12
) -> Check:
    """The largest relative difference, where what is published to be less than `least` counts as that much."""
    differences = [_relative(ours[key], value, least) for key, value in published.items()]
    return Check(f"{name} (relative, of {len(published)})", max(differences, default=0), tolerance)


def _leaf(key: str, value: Tensor, dtype: torch.dtype) -> Tensor:
    """A copy to differentiate by, or a plain one of a buffer."""
    if not value.is_floating_point():
        return value.clone()
    return value.to(dtype, copy=True).requires_grad_(_is_parameter(key, value))


def _is_parameter(key: str, value: Tensor) -> bool:
    """Rather than a buffer: norms' statistics and whole numbers."""
    return value.is_floating_point() and "running_" not in key


def max_difference(ours: Tensor, published: Tensor) -> float:
    return (ours - published).abs().max().item() if ours.shape == published.shape else math.inf


def _relative(ours: float, published: float, least: float = 1e-12) -> float:
    return abs(ours - published) / max(abs(published), least)
