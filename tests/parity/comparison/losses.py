"""nnU-Net's losses (fixtures ``loss_*``, ``ignore_*`` and ``regions_*``) against ours: values and gradients."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from comparison.checks import Check, max_difference
from medvid.losses.deep_supervision import loss_of_scales, reduced
from medvid.losses.loss import Loss
from medvid.losses.options import DiceBCEOptions, DiceCEOptions
from medvid.plugin.host import make_host
from medvid.plugin.info import UNKNOWN, TargetInfo

LOSS_TOLERANCE, GRADIENT_TOLERANCE = 1e-5, 1e-6
NNUNET: Mapping[str, Any] = {
    "squared_pred": False,
    "smooth_nr": 1e-5,
    "smooth_dr": 1e-5,
    "average": "voxels",
}
"""The options of dice_ce and dice_bce that make them nnU-Net's, up to the sign of its Dice."""


def is_losses_fixture(path: Path) -> bool:
    """Whether there is a sidecar of such a fixture, rather than of another kind or none."""
    try:
        results = json.loads(path.with_suffix(".json").read_text())["results"]
        return all("loss_float64_input" in result for result in results.values())
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False


def compare_losses(path: Path) -> Iterator[Check]:
    """Compute the losses of all cases, of several outputs where there is deep supervision, and follow them back."""
    published = json.loads(path.with_suffix(".json").read_text())
    tensors = load_file(path.with_suffix(".safetensors"))
    for case, result in published["results"].items():
        names = sorted(name for name in tensors if name.startswith(f"{case}.logits"))
        logits = [tensors[name].requires_grad_() for name in names]
        target = tensors.get(f"{case}.target", tensors.get(f"{case}.target.0"))
        criterion, target = _criterion(published, logits[0], target.long(), batch="batch_dice_false" not in case)
        weights = result.get("weights", [1])
        for scale, output in enumerate(logits[1:], start=1):
            wanted = tensors[f"{case}.target.{scale}"][:, 0]
            yield Check(f"{case}: target {scale}", max_difference(reduced(target, output.shape[2:]), wanted), 0)
        supervised = [output for output, weight in zip(logits, weights, strict=True) if weight]
        # Its Dice is subtracted, ours one less it is added.
        total = loss_of_scales(criterion, supervised, target)["loss"] - 1
        yield Check(f"{case}: loss", abs(total.item() - result["loss"]), LOSS_TOLERANCE)
        gradients = torch.autograd.grad(total, logits, allow_unused=True)
        differences = [
            max_difference(torch.zeros_like(output) if ours is None else ours, tensors[name.replace("logits", "grad")])
            for name, output, ours in zip(names, logits, gradients, strict=True)
        ]
        yield Check(f"{case}: gradient", max(differences), GRADIENT_TOLERANCE)


def _criterion(published: Mapping[str, Any], output: Tensor, target: Tensor, *, batch: bool) -> tuple[Loss, Tensor]:
    """The loss of logits (B, L, *S), and what it takes as a target.

    Given are ids (B, 1, *S) or regions (B, L, *S), after which may come what is to be ignored.
    """
    names = tuple(map(str, range(output.shape[1])))
    if "regions" in published:
        is_ignoring = target.shape[1] > output.shape[1]
        target = target[:, : len(names)].masked_fill(target[:, len(names) :].any(1, keepdim=True), UNKNOWN)
        regions = DiceBCEOptions(batch=batch, ignore_scaling_fault=is_ignoring, **NNUNET)
        return make_host().build(regions, TargetInfo("voxel", "labels", names, has_unknown=is_ignoring)), target
    ignored = published.get("ignore_label")
    ids = target[:, 0].masked_fill(target[:, 0] == (UNKNOWN if ignored is None else ignored), UNKNOWN)
    classes = TargetInfo("voxel", "class", names, has_unknown=ignored is not None)
    return make_host().build(DiceCEOptions(batch=batch, include_background=False, **NNUNET), classes), ids
