"""Optimizers: built from options, saved and restored by parameter name."""

from collections.abc import Mapping
from fnmatch import fnmatch
from itertools import islice

import torch
from torch import Tensor, nn

from medvid.config.task import SGD, Adam, AdamW, TrainOptions
from medvid.errors import CheckpointError, ConfigError


def build_optimizer(model: nn.Module, options: TrainOptions) -> torch.optim.Optimizer:
    """Build the optimizer over the model's trainable parameters, which must be on their device already.

    Fused implementations are used because they also take ``found_inf``: a step on gradients that are not finite can
    then be refused on the device, without waiting for it (see `medvid.training.loop`).
    """
    groups = parameter_groups(model, options.optimizer.weight_decay, options.decay_norms_and_biases)
    match options.optimizer:
        case AdamW(lr=lr, betas=betas, eps=eps):
            return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps, fused=True)
        case Adam(lr=lr, betas=betas, eps=eps):
            return torch.optim.Adam(groups, lr=lr, betas=betas, eps=eps, fused=True)
        case SGD(lr=lr, momentum=momentum, nesterov=nesterov):
            return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov, fused=True)


def freeze_parameters(model: nn.Module, options: TrainOptions) -> list[tuple[int, list[nn.Parameter]]]:
    """Exclude the parameters that are frozen for good, and find those that are for a while.

    Returns:
        For each temporary freeze, the step at which it ends and its parameters.

    Raises:
        ConfigError: no parameter has such a name.
    """
    temporary = []
    for number, freeze in enumerate(options.freeze):
        matched = [parameter for name, parameter in model.named_parameters() if fnmatch(name, freeze.parameters)]
        if not matched:
            raise ConfigError(
                f"train.freeze[{number}].parameters is {freeze.parameters!r}, which no parameter of the model matches",
                hint=f"the model's parameters are called e.g. {', '.join(islice(dict(model.named_parameters()), 3))}",
            )
        if freeze.steps is None:
            for parameter in matched:
                parameter.requires_grad_(False)
        else:
            temporary.append((freeze.steps, matched))
    return temporary


def parameter_groups(model: nn.Module, weight_decay: float, decay_norms_and_biases: bool) -> list[dict[str, object]]:
    """Split parameters into those with weight decay and those without: norms and biases, unless asked for."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    decayed = [p for p in parameters if decay_norms_and_biases or p.ndim > 1]
    plain = [p for p in parameters if not (decay_norms_and_biases or p.ndim > 1)]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


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
