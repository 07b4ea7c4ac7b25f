"""nnU-Net's rules of training and inference (fixtures ``schedule_rules`` and ``sliding_window``) against ours."""

import json
from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from comparison.checks import Check, max_difference
from medvid.config.mirroring import SPATIAL
from medvid.config.task import Poly
from medvid.data.folds import folds_of, random_split
from medvid.evaluation.inference.mirrored import mirrored
from medvid.evaluation.inference.sliding_window import stream_scores
from medvid.evaluation.inference.window_layout import importance_map, window_starts
from medvid.losses.deep_supervision import scale_weights
from medvid.plugin.specs import Axes
from medvid.training.progress import moving_average
from medvid.training.schedule import rate_factor

EPOCH = 250
"""Steps."""
CPU = torch.device("cpu")


def is_recipe_fixture(path: Path) -> bool:
    """Whether there is a sidecar of one of these fixtures."""
    return "poly_lr" in _sidecar(path) or "starts" in _sidecar(path)


def compare_recipe(path: Path) -> Iterator[Check]:
    """Compare everything that the fixture holds."""
    rules = _sidecar(path)
    yield from _compare_windows(path, rules) if "starts" in rules else _compare_training(rules)


def _sidecar(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.with_suffix(".json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _compare_windows(path: Path, rules: Mapping[str, Any]) -> Iterator[Check]:
    tensors = load_file(path.with_suffix(".safetensors"))
    for given in rules["starts"]:
        axes = zip(given["image"], given["tile"], strict=True)
        ours = [window_starts(length, window, 1 - given["step"], "nnunet") for length, window in axes]
        yield Check(f"starts {given['tile']} in {given['image']}", float(ours != given["starts"]), 0)
    for name in sorted(name for name in tensors if name.startswith("gaussian.")):
        size = [int(length) for length in name.removeprefix("gaussian.").split("x")]
        yield Check(name, max_difference(importance_map(size, "gaussian", CPU, "nnunet"), tensors[name]), 1e-5)
    model = _network(tensors)
    axes: Axes = "volume" if tensors["input"].ndim == 4 else "image"
    for mirror, names in (("mirror_false", ""), ("mirror_true", SPATIAL[axes])):
        ours = _infer(mirrored(model, names, axes), tensors["input"], rules)
        yield Check(f"output, {mirror}", max_difference(ours, tensors[f"output_float32.{mirror}"]), 1e-4)


def _network(tensors: Mapping[str, Tensor]) -> nn.Module:
    state = {name.removeprefix("state."): value for name, value in tensors.items() if name.startswith("state.")}
    model = nn.Sequential(_convolution(state["0.weight"]), nn.Tanh(), _convolution(state["2.weight"]))
    model.load_state_dict(state)
    return model.eval()


def _convolution(weight: Tensor) -> nn.Module:
    kind = nn.Conv2d if weight.ndim == 4 else nn.Conv3d
    return kind(weight.shape[1], weight.shape[0], weight.shape[-1], padding="same")


@torch.inference_mode()
def _infer(model: nn.Module, input: Tensor, rules: Mapping[str, Any]) -> Tensor:
    slabs = stream_scores(
        model,
        input,
        rules["tile"],
        overlap=1 - rules["step"],
        blending="gaussian",
        window_batch=2,
        layout="nnunet",
    )
    return torch.cat([*slabs], dim=-1)


def _compare_training(rules: Mapping[str, Any]) -> Iterator[Check]:
    poly = rules["poly_lr"]
    schedule = Poly(name="poly", power=poly["exponent"], hold=EPOCH)
    for name, rates in poly.items():
        if name.startswith("epochs_"):
            steps = EPOCH * int(name.removeprefix("epochs_"))
            for place in (0, EPOCH - 1):
                ours = [poly["base"] * rate_factor(schedule, EPOCH * int(epoch) + place, steps) for epoch in rates]
                yield _close(f"rates, {name}, step {place} of each", ours, list(rates.values()))
    dice = rules["ema_pseudo_dice"]
    first, *others = dice["mean_fg_dice"]
    ours = accumulate(others, lambda before, value: moving_average(before, value, 0.9), initial=first)
    yield _close("moving average", list(ours), dice["ema"])
    for strides, published in rules["deep_supervision"].items():
        *weights, coarsest = published[
            "weights"
        ]  # nnU-Net predicts at the coarsest scale too, but learns nothing there
        yield _close(f"weights, {strides.count('[') - 1} stages", scale_weights(len(weights)), weights)
        yield Check("weight of the coarsest", coarsest, 0)
    yield from _compare_folds(rules)


def _compare_folds(rules: Mapping[str, Any]) -> Iterator[Check]:
    for count, folds in rules["splits_val"]["n"].items():
        cases = [f"case_{number:03}" for number in range(int(count))]
        ours = [fold["val"] for fold in folds_of(cases, len(folds))]
        theirs = [[f"case_{number}" for number in fold] for fold in folds]
        yield Check(f"folds of {count} cases", float(ours != theirs), 0)
    random = rules["random_80_20"]
    cases = [f"case_{number:03}" for number in range(random["n"])]
    yield Check("random 80 : 20", float(random_split(cases, random["fold"])["train"] != random["train"]), 0)


def _close(name: str, ours: Any, theirs: Any) -> Check:
    return Check(name, float(np.abs(np.asarray(ours) - np.asarray(theirs)).max()), 1e-9)
