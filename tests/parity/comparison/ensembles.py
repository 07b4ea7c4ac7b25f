"""nnU-Net's means over models and folds (fixture ``ensemble_mean``) against ours."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from comparison.checks import Check, max_difference
from medvid.data.volumes.truth import paint
from medvid.evaluation.inference.ensemble import Average, mean_of
from medvid.evaluation.restore import best_label, likely_labels

LOGIT_TOLERANCE = 2e-3
"""Of probabilities that were stored in half precision, and so were the logits."""


def is_ensembles_fixture(path: Path) -> bool:
    """Whether there is a sidecar of such a fixture, rather than of another kind or none."""
    try:
        return {"regions_class_order", "region_rule"} <= json.loads(path.with_suffix(".json").read_text()).keys()
    except (OSError, ValueError, AttributeError):
        return False


def compare_ensembles(path: Path) -> Iterator[Check]:
    """Average probabilities and logits, of classes and of regions, and make label maps of them."""
    tensors, recorded = load_file(path.with_suffix(".safetensors")), json.loads(path.with_suffix(".json").read_text())
    for name in ("softmax", "regions"):
        yield from _compare_kind(name, tensors, recorded)


def _compare_kind(name: str, tensors: Mapping[str, Tensor], recorded: Mapping[str, Any]) -> Iterator[Check]:
    probabilities, logits = (_members(tensors, f"{name}.{what}.") for what in ("probabilities", "logits"))
    mean = mean_of(probabilities)
    yield Check(f"{name}: mean of probabilities", max_difference(mean, tensors[f"{name}.average"]), 1e-6)
    what = "class" if name == "softmax" else "labels"
    scores = Average(len(logits), "probabilities", what).scores(torch.cat(logits).float())
    ours = scores.softmax(dim=0) if what == "class" else scores.sigmoid()
    yield Check(f"{name}: the same, of logits", max_difference(ours, tensors[f"{name}.average"]), LOGIT_TOLERANCE)
    decided = mean if what == "class" else mean - 0.5
    yield _maps_agree(f"{name}: label map", decided, tensors[f"{name}.segmentation"], what, recorded)
    folds = Average(len(logits), "logits", what).scores(torch.cat(logits).float())
    yield Check(f"{name}: mean of logits", max_difference(folds, tensors[f"{name}.folds.logits_mean"]), 1e-6)
    yield _maps_agree(f"{name}: label map of folds", folds, tensors[f"{name}.folds.segmentation"], what, recorded)


def _members(tensors: Mapping[str, Tensor], start: str) -> Sequence[Tensor]:
    return [tensors[name] for name in sorted(tensors) if name.startswith(start)]


def _maps_agree(name: str, scores: Tensor, expected: Tensor, what: str, recorded: Mapping[str, Any]) -> Check:
    if what == "class":
        ours = best_label(scores).numpy()
    else:
        ours = paint(likely_labels(scores).numpy(), tuple(recorded["regions_class_order"]))
    return Check(name, float(np.sum(ours != expected.numpy())), 0)
