"""What was recorded of the published code, for tests of imports and of the comparison itself."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medvid.models.model import Model
from medvid.models.weights import Translate, Translation
from medvid.models.weights.loading import ImportReport, import_weights

FIXTURES = Path(__file__).parent / "fixtures"
Edit = Callable[[dict[str, Tensor], dict[str, Any]], object]
"""Changes a fixture's tensors and what its .json says, in place."""


def sidecar(name: str) -> dict[str, Any]:
    """A .json of the fixtures."""
    content: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    return content


def published(name: str, kind: str = "state.") -> dict[str, Tensor]:
    """A small published state, or the other tensors whose names start likewise."""
    tensors = load_file(FIXTURES / f"{name}.safetensors")
    return {key.removeprefix(kind): value for key, value in tensors.items() if key.startswith(kind)}


def import_state(
    model: Model, state: Mapping[str, Tensor], translate: Translate, source: str, folder: Path
) -> ImportReport:
    """Import a state from a file in the folder."""
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "state.safetensors")
    return import_weights(model, folder / "state.safetensors", translate, source)


# Full size, on the meta device


def empty_state(listed: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Tensors of these shapes without memory."""
    return {key: torch.empty(tuple(shape), device="meta") for key, shape in listed.items()}


def count(model: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Of tensors, such as a model's and an import's, to see whether the latter fills the former."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def assert_full_size(name: str, model: Model, translate: Translate, source: str, parameters: int) -> None:
    """The keys in NAME_fullsize_keys.json fill a model of published size one by one, and nothing is left over."""
    listed = sidecar(f"{name}_fullsize_keys")
    translation = translate(empty_state(listed["tensors"]), source, model)
    assert shapes(translation.tensors) == shapes(model.state_dict())
    assert translation == Translation(translation.tensors)  # nothing resized, dropped or fresh
    assert count(model) == listed["n_params"] == parameters


# Running the comparison


@dataclass(frozen=True)
class Comparison:
    """Runs ``verify.py`` in this process.

    Args:
        verify: its main function.
        folder: where changed copies of fixtures go.
        captured: what it prints.
    """

    verify: Callable[[Sequence[str]], int]
    folder: Path
    captured: pytest.CaptureFixture[str]

    def assert_agrees(self, name: str, checks: int) -> None:
        """A fixture passes so many checks."""
        assert self.verify([str(FIXTURES / f"{name}.safetensors")]) == 0
        assert self.captured.readouterr().out.count("ok\n") == checks

    def assert_notices(self, name: str, key: str, by: float = 0.1) -> None:
        """A fixture does not pass once the first element of a tensor is changed."""

        def perturb(tensors: dict[str, Tensor], _: dict[str, Any]) -> None:
            tensors[key].view(-1)[0] += by

        assert self.run_changed(name, perturb) == 1

    def assert_refuses(self, name: str, edit: Edit, message: str) -> None:
        """A changed fixture is told apart as not understood, for this reason."""
        assert self.run_changed(name, edit) == 2
        assert message in self.captured.readouterr().err

    def differing(self, name: str, edit: Edit) -> list[str]:
        """The checks that a changed fixture fails, by their first word."""
        assert self.run_changed(name, edit) == 1
        return [line.split()[0] for line in self.captured.readouterr().out.splitlines() if "DIFFERS" in line]

    def run_changed(self, name: str, edit: Edit) -> int:
        """Exit code for a changed copy of a fixture."""
        tensors, content = load_file(FIXTURES / f"{name}.safetensors"), sidecar(name)
        edit(tensors, content)
        return self.run_written(tensors, content)

    def run_written(self, tensors: Mapping[str, Tensor], content: Mapping[str, Any]) -> int:
        """Exit code for a new fixture."""
        save_file(dict(tensors), self.folder / "fixture.safetensors")
        (self.folder / "fixture.json").write_text(json.dumps(content))
        return self.verify([str(self.folder / "fixture.safetensors")])

    def run_classifier(
        self, model: str, reference: str, arguments: Mapping[str, Any], network: nn.Module, input: Tensor
    ) -> int:
        """Exit code for what an installed library's network of at least 5 classes computes with a batch of two.

        Args:
            model: its name, for the adapter.
            reference: the library.
            arguments: of the published constructor.
            network: the network, with weights that leave no norm an identity and no attention uniform.
            input: as the network takes it.
        """
        target, output = torch.tensor([1, 4]), network.eval()(input)
        output = getattr(output, "logits", output)  # transformers'
        loss = nn.functional.cross_entropy(output, target)
        torch.autograd.backward(loss)
        norms = {name: value.grad.norm().item() for name, value in network.named_parameters() if value.grad is not None}
        state = {f"state.{key}": value.clone() for key, value in network.state_dict().items()}
        content = {
            "model": model,
            "reference": reference,
            "constructor": arguments,
            "n_params": count(network),
            "loss_ce": loss.item(),
            "grad_norms": {name: norm for name, norm in norms.items() if norm > 1e-5},  # what is less is rounding
            "grad_norm_total": torch.tensor(list(norms.values())).norm().item(),
            "params_without_grad": [name for name, norm in norms.items() if norm == 0],
        }
        return self.run_written(state | {"input": input, "output": output.detach(), "target": target}, content)
