"""Deep supervision: a loss at several scales of a decoder."""

from collections.abc import Sequence

import torch
from torch import Tensor

from medvid.losses.loss import Loss
from medvid.losses.sum import values_in_whole


def loss_of_scales(loss: Loss, outputs: Sequence[Tensor], target: Tensor) -> dict[str, Tensor]:
    """The weighted sum of a loss over outputs at several scales (Lee et al., AISTATS 2015).

    The weights halve from scale to scale and add up to 1 (Isensee et al., Nature Methods 2021).

    Args:
        loss: of each scale.
        outputs: logits (B, L, *S) of each scale, finest first.
        target: ids (B, *S) or labels (B, L, *S), at the finest scale or finer.

    Returns:
        What the loss returns, each scalar as the same sum over the scales, without ``weight``.
    """
    each: list[dict[str, Tensor]] = [loss(output, reduced(target, output.shape[2:])) for output in outputs]
    weights = scale_weights(len(outputs))

    def over_scales(values: Sequence[Tensor]) -> Tensor:
        return torch.stack([weight * value for weight, value in zip(weights, values, strict=True)]).sum()

    total = over_scales(values_in_whole(each, len(target)).unbind())
    parts = [name for name in each[0] if name not in ("loss", "weight")]
    return {"loss": total} | {name: over_scales([losses[name] for losses in each]) for name in parts}


def scale_weights(scales: int) -> list[float]:
    """The weights of that many scales, finest first: each half of the one before, 1 together."""
    return [2.0**-scale / (2 - 2.0 ** (1 - scales)) for scale in range(scales)]


def reduced(target: Tensor, size: Sequence[int]) -> Tensor:
    """A target (..., *S) at a coarser size (..., *size): that of the voxels at the centres, exactly.

    As torch's interpolation ``nearest-exact`` chooses them, which takes no integers; the ids of classes that are only
    partly known need all of their 64 bits.
    """
    for axis, length in enumerate(size, start=target.ndim - len(size)):
        given = target.shape[axis]
        if given == length:
            continue
        if given % length == 0:
            step = given // length
            target = target[(slice(None),) * axis + (slice(step // 2, None, step),)]
        else:
            centres = torch.arange(1, 2 * length, 2, device=target.device)
            target = target.index_select(axis, centres * given // (2 * length))
    return target
