"""nnU-Net's networks (fixtures ``net_*``): outputs, loss and gradients of small ones, keys of those of full size."""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.func import functional_call

from comparison.checks import Check, max_difference, worst
from comparison.fixture import STATE, UnknownFormatError
from comparison.losses import NNUNET
from comparison.primus import PrimusNetwork
from comparison.unet import UNetNetwork
from medvid.losses.options import DiceCEOptions
from medvid.models.model import Model
from medvid.models.weights import Translate
from medvid.models.weights.loading import import_weights

TOLERANCE = 1e-4
ROUNDING = 1e-10
"""Share of the norm of all gradients below which a gradient may be an exact zero that was rounded."""
LOSS = DiceCEOptions(batch=True, include_background=False, **NNUNET)
"""What the networks are trained with; nnU-Net's Dice is one less."""


class Network(Protocol):
    """One kind of published network."""

    source: str
    translate: Translate

    def from_arguments(self, arguments: Mapping[str, Any], size: tuple[int, ...]) -> Model:
        """Ours for the published constructor's arguments and an input of some size."""
        ...

    def knows(self, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """Whether shapes are of a state of such a network."""
        ...

    def from_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> Model:
        """Ours, on the meta device, for the shapes of a published state."""
        ...

    def outputs(self, model: Model, input: Tensor) -> Mapping[str, Tensor]:
        """The logits by their names in the fixture."""
        ...


NETWORKS: Mapping[str, Network] = {
    "PlainConvUNet": UNetNetwork("plain", LOSS),
    "ResidualEncoderUNet": UNetNetwork("resenc", LOSS),
    "Primus": PrimusNetwork("v1", LOSS),
    "PrimusV2": PrimusNetwork("v2", LOSS),
    "PrimusV3": PrimusNetwork("v3", LOSS),
}
"""By the name of the published class."""


def is_network_fixture(path: Path) -> bool:
    """Whether there is a sidecar of such a fixture, rather than of another kind or none."""
    try:
        sidecar = json.loads(path.with_suffix(".json").read_text())
        arguments, items = sidecar.get("args"), sidecar.values()
        if isinstance(arguments, dict):
            return "cls" in arguments and "model" not in sidecar
        return any(isinstance(item, dict) and "state_keys_with_aliases" in item for item in items)
    except (OSError, ValueError, TypeError, AttributeError):
        return False


def compare_network(path: Path) -> Iterator[Check]:
    """Compare a small network, or the keys of several of full size."""
    sidecar = json.loads(path.with_suffix(".json").read_text())
    if "args" in sidecar:
        return _compare_small(path, sidecar)
    return _compare_keys(path, sidecar)


def _compare_small(path: Path, sidecar: Mapping[str, Any]) -> Iterator[Check]:
    tensors = load_file(path.with_suffix(".safetensors"))
    state = {key.removeprefix(STATE): value for key, value in tensors.items() if key.startswith(STATE)}
    arguments = dict(sidecar["args"])
    name = arguments.pop("cls")
    if name not in NETWORKS:
        raise UnknownFormatError(f"{path}: no adapter for {name!r}, only for {', '.join(NETWORKS)}")
    network = NETWORKS[name]
    model = network.from_arguments(arguments, tuple(tensors["input"].shape[2:])).eval()
    with tempfile.TemporaryDirectory() as folder:
        save_file(aliased(state), Path(folder) / "state.safetensors")
        import_weights(model, Path(folder) / "state.safetensors", network.translate, network.source)
    yield Check("parameters", abs(count(model) - sidecar["parameters"]), 0)
    with torch.no_grad():
        for key, output in network.outputs(model, tensors["input"]).items():
            yield Check(key, max_difference(output, tensors[key]), TOLERANCE)
    yield from _compare_training(sidecar["train"], network, model, state, tensors)


def _compare_training(
    train: Mapping[str, Any], network: Network, model: Model, state: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> Iterator[Check]:
    """Follow the loss back to the published tensors, in float64, without what is random in training."""
    model.head.train()
    published = {key: value.double().requires_grad_() for key, value in state.items()}
    translated = network.translate(published, network.source, model).tensors
    output = functional_call(model.double(), translated, (tensors["input"].double(),))
    loss = model.head.loss(output, tensors["target"][:, 0].long())["loss"]
    yield Check("loss", abs(loss.item() - 1 - train["loss_float64"]), TOLERANCE)
    gradients = torch.autograd.grad(loss, list(published.values()), allow_unused=True)
    norms = {key: grad.norm().item() for key, grad in zip(published, gradients, strict=True) if grad is not None}
    expected = train["grad_norms_float64"]
    least = ROUNDING * torch.tensor(list(expected.values())).norm().item()
    found = {key: norms.get(key, 0.0) for key in expected}
    yield worst("gradient norms", found, expected, TOLERANCE, least)
    yield Check("parameters without gradient", len({*expected} ^ {*norms}), 0)


def _compare_keys(path: Path, sidecar: Mapping[str, Any]) -> Iterator[Check]:
    for name, listed in sidecar.items():
        if not (isinstance(listed, dict) and "keys" in listed):
            continue
        shapes = {key: _shape(value) for key, value in listed["keys"].items()}
        network = next((network for network in NETWORKS.values() if network.knows(shapes)), None)
        if network is None:
            raise UnknownFormatError(f"{path}: {name} is of no network that is known")
        model = network.from_shapes(shapes)
        state = aliased({key: torch.empty(shape, device="meta") for key, shape in shapes.items()})
        yield Check(f"{name}: keys with their repetitions", abs(len(state) - listed["state_keys_with_aliases"]), 0)
        yield Check(f"{name}: parameters", abs(count(model) - listed["parameters"]), 0)
        ours = {key: value.shape for key, value in model.state_dict().items()}
        theirs = {key: value.shape for key, value in network.translate(state, network.source, model).tensors.items()}
        yield Check(f"{name}: tensors that differ", len({*ours.items()} ^ {*theirs.items()}), 0)


def aliased(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state with the tensors that nnU-Net repeats under other names."""
    blocks = {
        f"{match[1]}.all_modules.{int(match[2] == 'norm')}.{match[3]}": value.clone()
        for key, value in state.items()
        if (match := re.fullmatch(r"((?!eva\.).*)\.(conv|norm)\.(weight|bias)", key))
    }
    whole = {**state, **blocks}
    encoder = {f"decoder.{key}": value.clone() for key, value in whole.items() if key.startswith("encoder.")}
    return whole | encoder


def count(model: Model) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def _shape(text: str) -> tuple[int, ...]:
    return () if text == "scalar" else tuple(map(int, text.split("x")))
