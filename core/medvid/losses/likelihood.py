"""The likelihood of classes of which it may not be known which one of several it is (marginal likelihood)."""

import torch
from torch import Tensor

from medvid.plugin.info import TargetInfo


def candidates(target: Tensor, classes: int) -> Tensor:
    """The classes that each entry of a target may have: a mask (B, classes, *S) of ids (B, *S).

    Below 0 the ids are read as `medvid.plugin.info.none_of` makes them: those whose bit is set are possible.
    """
    ids = torch.arange(classes, device=target.device).view(-1, *[1] * (target.ndim - 1))
    target = target.unsqueeze(1)
    return ((target >> ids) & 1).bool().where(target < 0, target == ids)


def log_likelihood(log_probability: Tensor, target: Tensor, info: TargetInfo) -> Tensor:
    """Log-probability (B, *S) of what the target says, from those of all classes (B, classes, *S).

    Args:
        log_probability: of each class.
        target: ids (B, *S). What it gives where they are unknown means nothing.
        info: says whether several classes may be possible.
    """
    if not info.has_partial:
        return log_probability.gather(1, target.clamp_min(0).unsqueeze(1)).squeeze(1)
    return log_probability.where(candidates(target, log_probability.shape[1]), -torch.inf).logsumexp(1)
