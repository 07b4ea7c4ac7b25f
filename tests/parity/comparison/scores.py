"""The published scoring code, learning rates and resampling (fixture ``med_metrics``) against ours."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from comparison.checks import Check
from medvid.config.task import Poly
from medvid.evaluation.metrics import masks
from medvid.training.schedule import rate_factor
from medvid_btcv.zoom import zoom_image, zoom_labels
from medvid_medt import protocol as medt
from medvid_transunet import protocol as transunet
from medvid_unetr import protocol as unetr

TOLERANCE = 1e-6
"""Both sides compute in double precision."""

Arrays = Mapping[str, np.ndarray]


def is_scores_fixture(path: Path) -> bool:
    """Whether there is a sidecar of such a fixture, rather than of another kind or none."""
    try:
        return "transunet_percase_dice_hd95" in json.loads(path.with_suffix(".json").read_text())
    except (OSError, ValueError, TypeError):
        return False


def compare_scores(path: Path) -> Iterator[Check]:
    """Score, rate and resample what the fixture holds, as each of the published codes does."""
    arrays, published = load_file(path), json.loads(path.with_suffix(".json").read_text())
    yield from _volume_scores(arrays, published)
    yield from _image_scores(arrays, published)
    yield _check(
        "zoom, image", zoom_image(arrays["zoom_in"], _shape(arrays["zoom_out_order3"])), arrays["zoom_out_order3"]
    )
    labels = zoom_labels(arrays["zoom_label_in"], _shape(arrays["zoom_label_out_order0"]))
    yield _check("zoom, labels", labels, arrays["zoom_label_out_order0"])
    rates = published["transunet_poly_lr"]
    schedule, steps = Poly(name="poly", power=rates["power"], lag=1), rates["max_iterations"]
    ours = [rates["base_lr"] * rate_factor(schedule, step, steps) for step in range(steps)]
    yield _check("transunet: learning rates", ours, rates["lr_used_at_step"])


def _volume_scores(arrays: Arrays, published: Mapping[str, Any]) -> Iterator[Check]:
    """Dice and HD95 (in voxels) of TransUNet's test script, and Dice of UNETR's, per label."""
    prediction, truth = arrays["pred3d"], arrays["gt3d"]
    labels = 1 + len(published["transunet_percase_dice_hd95"])
    confusion = masks.confusion_matrix(prediction, truth, labels)
    points = (masks.surface_points(volume, labels, (1.0, 1.0, 1.0)) for volume in (prediction, truth))
    surfaces = zip(*points, strict=True)
    dice, hd95 = zip(*published["transunet_percase_dice_hd95"].values(), strict=True)
    yield _check("transunet: Dice", transunet.dice(confusion)[1:], dice)
    distances = [transunet.hd95(masks.surface_distances(ours, theirs)) for ours, theirs in surfaces]
    yield _check("transunet: HD95", distances, hd95)
    yield _check("unetr: Dice", unetr.dice(confusion)[1:], list(published["unetr_testpy_dice"].values()))


def _image_scores(arrays: Arrays, published: Mapping[str, Any]) -> Iterator[Check]:
    """F1 and IoU of MedT's script, per image and their means."""
    prediction = (arrays["medt_logits"][:, 1] >= 0.5).astype(np.uint8)
    pairs = zip(prediction, arrays["medt_gt"], strict=True)
    confusions = [masks.confusion_matrix(ours, truth, 2) for ours, truth in pairs]
    scores = [[medt.dice(one)[1], medt.iou(one)[1]] for one in confusions]
    yield _check("medt: predictions", prediction, arrays["medt_pred"])
    yield _check("medt: F1 and IoU", scores, published["medt_matlab_f1_iou_per_image"])
    yield _check("medt: means", np.mean(scores, axis=0), published["medt_matlab_mean"])


def _check(name: str, ours: Any, theirs: Any) -> Check:
    difference = np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)).max()
    return Check(name, float(difference), TOLERANCE)


def _shape(array: np.ndarray) -> tuple[int, int]:
    height, width = array.shape
    return height, width
