"""Optimizers: built from options, saved and restored by parameter name."""

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from medvid.config.task import TrainOptions
from medvid.errors import CheckpointError, ConfigError
from medvid.models.model import Model
from medvid.plugin.specs import Build

logger = logging.getLogger("medvid")


def build_optimizer(model: Model, options: TrainOptions, build: Build) -> torch.optim.Optimizer:
    """Build the optimizer over the model's trainable parameters.

    Each group has a key ``lr_scale``, the factor on the learning rate of its layer.

    Args:
        model: on its device already.
        options: the training recipe.
        build: makes the optimizer that the recipe names.

    Raises:
        ConfigError: the recipe asks for a rate per layer, but the backbone does not name its layers.
    """
    optimizer: torch.optim.Optimizer = build(options.optimizer, parameter_groups(model, options))
    return optimizer


def take_step(optimizer: torch.optim.Optimizer, refused: Tensor) -> None:
    """Step, unless it is refused; only an optimizer that is not fused makes the host wait for the answer.

    Args:
        optimizer: from `build_optimizer`.
        refused: scalar on the device, 1 to leave parameters and state as they are, else 0.
    """
    if optimizer.defaults.get("fused"):
        optimizer.found_inf = refused  # type: ignore[attr-defined]
        optimizer.step()
    elif not refused.item():
        optimizer.step()


def parameter_groups(model: Model, options: TrainOptions) -> list[dict[str, Any]]:
    """Group the trainable parameters by weight decay and by the learning rate of their layer.

    Norms, biases and the backbone's tables (`Backbone.no_weight_decay`) are not decayed, unless asked for.
    """
    tables = {f"backbone.{name}" for name in model.backbone.no_weight_decay}
    depths = layer_depths(model) if options.layer_decay < 1 else {}
    top = max(depths.values(), default=0)
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decayed = options.decay_norms_and_biases or (parameter.ndim > 1 and name not in tables)
            groups.setdefault((depths.get(name, top), decayed), []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": options.optimizer.weight_decay if decayed else 0.0,
            "lr_scale": options.layer_decay ** (top - depth),
        }
        for (depth, decayed), parameters in groups.items()
    ]


def layer_depths(model: Model) -> dict[str, int]:
    """How far from the input each parameter is: 0 for the embedding, i + 1 in layer i, one more for the output.

    A parameter between two layers, as of a norm, counts with the layer before it.

    Raises:
        ConfigError: the backbone does not name its layers.
    """
    layers = model.backbone.layers
    if not layers:
        raise ConfigError(
            f"train.layer_decay is set, but {type(model.backbone).__name__} does not say what its layers are",
            hint="set train.layer_decay to 1, or use a backbone that has `layers`",
        )
    of_layer = {parameter: depth for depth, layer in enumerate(layers, start=1) for parameter in layer.parameters()}
    depths, reached = {}, 0
    for name, parameter in model.named_parameters():
        reached = max(reached, of_layer.get(parameter, 0))
        is_output = name.startswith("head.") or (reached == len(layers) and parameter not in of_layer)
        depths[name] = len(layers) + 1 if is_output else of_layer.get(parameter, reached)
    return depths


def scaled_rate(options: TrainOptions, world_size: int) -> float:
    """The peak learning rate for the number of cases per optimizer step, see `TrainOptions.base_batch_size`."""
    if options.base_batch_size is None:
        return options.optimizer.lr
    return options.optimizer.lr * (_cases_per_step(options, world_size) / options.base_batch_size)


def log_rate(options: TrainOptions, world_size: int) -> None:
    """Log it where a step has, or may have, another number of cases than the recipe's rate is for."""
    cases, base = _cases_per_step(options, world_size), options.base_batch_size
    counts = f"{options.batch_size} per device x {world_size} devices x {options.accumulate} accumulated"
    if base is None and world_size > 1:
        logger.warning("%d cases per step (%s); train.base_batch_size is not set: the rate is as given", cases, counts)
    elif base not in (None, cases):
        scale = scaled_rate(options, world_size) / options.optimizer.lr
        logger.info("%d cases per step (%s); the rate is for %d: scaled by %.4g", cases, counts, base, scale)


def _cases_per_step(options: TrainOptions, world_size: int) -> int:
    return options.batch_size * options.accumulate * world_size


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The optimizer's state as ``{"<parameter name>/<slot>": tensor}``."""
    return {
        f"{name}/{slot}": value
        for name, parameter in model.named_parameters()
        for slot, value in optimizer.state.get(parameter, {}).items()
        if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` took; the groups' options stay those of the task.

    Raises:
        CheckpointError: the state belongs to other parameters.
    """
    parameters = dict(model.named_parameters())
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    index = {parameter: number for number, parameter in enumerate(trained)}
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, slot = key.rsplit("/", 1)
        parameter = parameters.get(name)
        if parameter is None:
            raise CheckpointError(f"the optimizer state holds {name!r}, which is not a parameter of the model")
        if parameter in index:  # one that the loss does not depend on is left out where there are several processes
            state.setdefault(index[parameter], {})[slot] = _as_laid_out(value, parameter)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _as_laid_out(value: Tensor, parameter: Tensor) -> Tensor:
    """The value in the memory format of its parameter, which fused optimizers take for granted."""
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
