"""Optimizers: built from options, saved and restored by parameter name."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from medvid.config.task import SGD, Adam, AdamW, TrainOptions
from medvid.errors import CheckpointError, ConfigError
from medvid.models.build import Model


def build_optimizer(model: Model, options: TrainOptions) -> torch.optim.Optimizer:
    """Build the optimizer over the model's trainable parameters, which must be on their device already.

    Fused implementations are used because they also take ``found_inf``: a step on gradients that are not finite can
    then be refused on the device, without waiting for it (see `medvid.training.loop`).

    Each group has a key ``lr_scale``, the factor on the learning rate of its layer.

    Raises:
        ConfigError: the recipe asks for a rate per layer, but the backbone does not name its layers.
    """
    groups = parameter_groups(model, options)
    match options.optimizer:
        case AdamW(lr=lr, betas=betas, eps=eps):
            return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps, fused=True)
        case Adam(lr=lr, betas=betas, eps=eps):
            return torch.optim.Adam(groups, lr=lr, betas=betas, eps=eps, fused=True)
        case SGD(lr=lr, momentum=momentum, nesterov=nesterov):
            return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov, fused=True)


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
    return options.optimizer.lr * options.batch_size * options.accumulate * world_size / options.base_batch_size


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
        if parameter is None or parameter not in index:
            raise CheckpointError(f"the optimizer state holds {name!r}, which is no trainable parameter of the model")
        state.setdefault(index[parameter], {})[slot] = _as_laid_out(value, parameter)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _as_laid_out(value: Tensor, parameter: Tensor) -> Tensor:
    """The value in the memory format of its parameter, which fused optimizers take for granted."""
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
