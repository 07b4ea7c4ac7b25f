"""nnU-Net's plans.json from a fingerprint."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medvid.planning.nnunet.configuration import Planning, configuration
from medvid.planning.nnunet.patch import Sizing
from medvid.planning.nnunet.presets import PRESETS
from medvid.planning.nnunet.spacing import axis_order, resampled_shape, target_spacing

_LOWRES_BELOW = 0.25
"""Share of the median case that a patch has to hold for a network at full resolution to suffice."""
_STEP = 1.03
"""By which the spacing of the low resolution grows."""
_WORTH = 2
"""Times by which the low resolution has to have fewer voxels."""
_READERS = {
    "NaturalImage2DIO": (".png", ".bmp", ".tif"),
    "SimpleITKIO": (".nii.gz", ".nrrd", ".mha", ".gipl"),
    "Tiff3DIO": (".tiff",),
    "NibabelIO": (".nii",),
}


def plan(
    dataset: Mapping[str, Any],
    fingerprint: Mapping[str, Any],
    preset: str = "plain",
    *,
    memory: float | None = None,
    spacing: Sequence[float] | None = None,
    dataset_name: str = "",
    plans_name: str | None = None,
) -> dict[str, Any]:
    """Plan as nnU-Net v2.8 does.

    Args:
        dataset: dataset.json.
        fingerprint: dataset_fingerprint.json; axes z, y, x.
        preset: a key of `PRESETS`.
        memory: GB to plan for; the preset's where it is None.
        spacing: mm, z, y, x; instead of the one that the cases suggest.
        dataset_name: written into the plans.
        plans_name: of the plans; the preset's where it is None.

    Returns:
        The content of plans.json.

    Raises:
        medvid.errors.ResourceError: the memory is too small for any patch.
    """
    chosen = PRESETS[preset]
    spacings, shapes = fingerprint["spacings"], fingerprint["shapes_after_crop"]
    target = np.asarray(spacing, dtype=float) if spacing is not None else target_spacing(spacings, shapes)
    forward, backward = axis_order(target)
    at_target = [resampled_shape(shape, mm, target) for shape, mm in zip(shapes, spacings, strict=True)]
    median = np.median(at_target, 0)[forward]
    planning = Planning(dataset, fingerprint, chosen, memory or chosen.gigabytes, plans_name or chosen.plans_name)
    reader = dataset.get("overwrite_image_reader_writer") or _reader(str(dataset["file_ending"]))
    return {
        "dataset_name": dataset_name,
        "plans_name": planning.plans_name,
        "original_median_spacing_after_transp": np.median(spacings, 0)[forward].tolist(),
        "original_median_shape_after_transp": [round(voxels) for voxels in np.median(shapes, 0)[forward]],
        "image_reader_writer": reader,
        "transpose_forward": forward,
        "transpose_backward": backward,
        "configurations": _configurations(planning, target[forward], median),
        "experiment_planner_used": chosen.planner,
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": fingerprint["foreground_intensity_properties_per_channel"],
    }


def _configurations(planning: Planning, spacing: np.ndarray, median: np.ndarray) -> dict[str, Any]:
    voxels = float(np.prod(median))
    flat, _ = configuration(planning, "2d", spacing[1:], median[1:], voxels)
    found: dict[str, Any] = {"2d": flat | {"batch_dice": True}}
    if median[0] == 1:
        return found
    full, sizing = configuration(planning, "3d_fullres", spacing, median, voxels)
    low = _low_resolution(planning, spacing, median, sizing)
    if low is not None:
        found["3d_lowres"] = low | {"batch_dice": False, "next_stage": "3d_cascade_fullres"}
    # With a low resolution a patch sees a small part of a case, in which most structures may be absent.
    found["3d_fullres"] = full | {"batch_dice": low is not None}
    if low is not None:
        found["3d_cascade_fullres"] = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}
    return found


def _low_resolution(planning: Planning, spacing: np.ndarray, median: np.ndarray, full: Sizing) -> dict[str, Any] | None:
    coarse, found = spacing.copy(), None
    voxels, patch = float(np.prod(median)), np.prod(full.topology.patch)
    while patch / voxels < _LOWRES_BELOW:
        finer = coarse.max() / coarse > 2
        coarse[finer if finer.any() else slice(None)] *= _STEP
        size = spacing / coarse * median
        voxels = float(np.prod(size))
        found, sizing = configuration(planning, "3d_lowres", coarse, [round(length) for length in size], voxels)
        patch = np.prod(sizing.topology.patch)
    return None if np.prod(median) / voxels < _WORTH else found


def _reader(ending: str) -> str:
    return next((name for name, endings in _READERS.items() if ending.lower() in endings), "SimpleITKIO")


def preset_of(planner: str) -> str:
    """The key of the preset that is nnU-Net's planner of this name."""
    return next(key for key, preset in PRESETS.items() if preset.planner == planner)
