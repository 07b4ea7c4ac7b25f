"""Parity fixtures: the weights of a small published model, and what its published code computed with them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

STATE = "state."


class UnknownFormatError(Exception):
    """The file is no fixture that these adapters understand."""


@dataclass(frozen=True)
class Gradients:
    """What the published code got from one backward pass.

    Args:
        training: the forward pass was in training mode (without dropout).
        loss: the loss.
        parts: its parts by name.
        norms: L2 norms of gradients, by published parameter name.
        total: L2 norm of all gradients together.
        without: parameters that got no gradient, or an exact zero, where recorded.
        buffers: L2 norms of buffers after that forward pass.
        double: loss and norms of the same pass in float64, where recorded.
    """

    training: bool
    loss: float
    parts: Mapping[str, float]
    norms: Mapping[str, float]
    total: float
    without: frozenset[str] | None
    buffers: Mapping[str, float]
    double: Mapping[str, Any] | None


@dataclass(frozen=True)
class Fixture:
    """One fixture.

    Args:
        path: its .safetensors file.
        model: name of the published model.
        reference: the published code.
        arguments: of the published constructor.
        state: the published state dict.
        tensors: input, output (in evaluation mode), target and intermediates.
        parameters: number of parameters of the published model, where recorded.
        rounding: how far its output in float32 is from that in float64, where recorded.
        gradients: of the loss of output and target, where the latter was recorded.
    """

    path: Path
    model: str
    reference: str
    arguments: Mapping[str, Any]
    state: Mapping[str, Tensor]
    tensors: Mapping[str, Tensor]
    parameters: int | None
    rounding: float
    gradients: Gradients | None


def read_fixture(path: Path) -> Fixture:
    """Read a .safetensors file and the .json beside it, in either of the two forms that fixtures have.

    Raises:
        UnknownFormatError: one of the two is missing or not of that form.
    """
    try:
        sidecar = json.loads(path.with_suffix(".json").read_text())
        tensors = load_file(path)
        return Fixture(
            path=path,
            model=sidecar["model"],
            reference=sidecar.get("repo") or sidecar["reference"],
            arguments=_arguments(sidecar),
            state={key.removeprefix(STATE): value for key, value in tensors.items() if key.startswith(STATE)},
            tensors={key: value for key, value in tensors.items() if not key.startswith(STATE)},
            parameters=sidecar.get("n_params"),
            rounding=sidecar.get("f32_vs_f64", {}).get("max_abs_diff", 0.0),
            gradients=_gradients(sidecar) if "target" in tensors else None,
        )
    except KeyError as error:
        raise UnknownFormatError(f"{path.with_suffix('.json')} has no {error}") from error
    except Exception as error:
        raise UnknownFormatError(f"{path} is no fixture: {error}") from error


def _arguments(sidecar: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of the constructor, or a configuration file's name beside what is set otherwise than in it."""
    if "base_config" in sidecar:
        return {"base_config": sidecar["base_config"], **sidecar["overrides"]}
    arguments: Mapping[str, Any] = sidecar["args"] if "args" in sidecar else sidecar["constructor"]
    return arguments


def _gradients(sidecar: Mapping[str, Any]) -> Gradients:
    return _of_training(sidecar["train"]) if "train" in sidecar else _of_evaluation(sidecar)


def _of_training(train: Mapping[str, Any]) -> Gradients:
    return Gradients(
        training=True,
        loss=train["loss"],
        parts=train.get("loss_parts", {}),
        norms=train["grad_norms"],
        total=train["grad_norm_total"],
        without=frozenset([*train["params_without_grad"], *train.get("params_zero_grad", [])]),
        buffers=train.get("buffers_after_one_train_forward", {}),
        double=train.get("float64"),
    )


def _of_evaluation(sidecar: Mapping[str, Any]) -> Gradients:
    without = sidecar.get("params_without_grad")
    return Gradients(
        training=False,
        loss=sidecar["loss_ce"],
        parts={},
        norms=sidecar["grad_norms"],
        total=sidecar["grad_norm_total"],
        without=None if without is None else frozenset(without),
        buffers={},
        double=None,
    )
