"""Optimizers: built from options, saved and restored by parameter name."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from medvid.config.task import SGD, Adam, AdamW, TrainOptions
from medvid.errors import CheckpointError


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


def parameter_groups(model: nn.Module, weight_decay: float, decay_norms_and_biases: bool) -> list[dict[str, object]]:
    """Split parameters into those with weight decay and those without: norms and biases, unless asked for."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    decayed = [p for p in parameters if decay_norms_and_biases or p.ndim > 1]
    plain = [p for p in parameters if not (decay_norms_and_biases or p.ndim > 1)]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The optimizer's state as ``{"<parameter name>/<slot>": tensor}``."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {
        f"{names[parameter]}/{slot}": value
        for parameter, slots in optimizer.state.items()
        for slot, value in slots.items()
        if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` took; the groups' options stay those of the task.

    Raises:
        CheckpointError: the state belongs to other parameters.
    """
    names = {parameter: name for name, parameter in model.named_parameters()}
    ordered = [names[p] for group in optimizer.param_groups for p in group["params"]]
    index = {name: number for number, name in enumerate(ordered)}
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, slot = key.rsplit("/", 1)
        if name not in index:
            raise CheckpointError(f"the optimizer state holds {name!r}, which is not a trainable parameter of the model")
        state.setdefault(index[name], {})[slot] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
