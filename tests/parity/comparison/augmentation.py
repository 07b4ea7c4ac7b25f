"""nnU-Net's changes of examples and its choice of patches (fixtures ``augment_effects``, ``patch_sampling_*`` and
``schedule_rules``) against ours."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from comparison.checks import Check, max_difference
from comparison.fixture import UnknownFormatError
from medvid.data.transforms.margins import initial_size, largest_angle, slice_axis_of
from medvid.data.transforms.quality import blur, gaussian_kernel, lower_resolution
from medvid.data.transforms.resampling import cut_middle, resample_labels, resample_linearly
from medvid.data.transforms.spatial import rotation_matrix
from medvid.data.transforms.tones import brighten, change_contrast, change_gamma
from medvid.data.volumes.corners import corner_range, draw_corner, forced_share, sets_of
from medvid.data.volumes.labels import read_scheme
from medvid.data.volumes.locations import Locations, locate
from medvid.losses.deep_supervision import reduced

EFFECT_TOLERANCE, LABEL_TOLERANCE, RULE_TOLERANCE = 1e-4, 0.01, 1e-9
STANDARD_ERRORS = 5
OUTSIDE = -1
"""Label around the image, as the published code has it."""

Effect = Callable[..., Tensor]
_EFFECTS: Mapping[str, tuple[str, Effect]] = {
    "contrast": ("multipliers", change_contrast),
    "brightness": ("multipliers", brighten),
    "low_resolution": ("scales", lower_resolution),
    "blur": ("sigmas", blur),
}
"""By the name in the fixture: what it calls the parameter of each channel, and our function of a channel."""


def is_effects_fixture(path: Path) -> bool:
    """Whether there is a sidecar of such a fixture, rather than of another kind or none."""
    parameters = _sidecar(path).get("parameters")
    return isinstance(parameters, dict) and {"contrast", "spatial.crop_only"} <= parameters.keys()


def is_patches_fixture(path: Path) -> bool:
    """Likewise, of the corners of patches."""
    return "forced_elements_of_a_batch" in _sidecar(path)


def compare_effects(path: Path) -> Iterator[Check]:
    """Apply each change with the parameters of the fixture."""
    parameters, tensors = _sidecar(path)["parameters"], load_file(path.with_suffix(".safetensors"))
    for name, (key, effect) in _EFFECTS.items():
        changed = _of_channels(tensors["image"], parameters[name], effect, key)
        yield Check(name, max_difference(changed, tensors[name]), EFFECT_TOLERANCE)
    for name in (name for name in parameters if name.startswith("gamma")):
        changed = _of_channels(tensors["image"], parameters[name], _gamma, "gamma", "invert_image")
        yield Check(name, max_difference(changed, tensors[name]), EFFECT_TOLERANCE)
    lengths = parameters.get("blur_kernel_sizes_truncate_6", {}).items()
    yield Check("kernel of the blur", sum(len(gaussian_kernel(float(s))) != length for s, length in lengths), 0)
    for name in (name for name in parameters if name.startswith("spatial.")):
        yield from _compare_spatial(name, parameters[name], tensors)
    for name in sorted(name for name in tensors if name.startswith("deep_supervision.")):
        ours = reduced(tensors["segmentation"], tensors[name].shape[1:])
        yield Check(name, (ours != tensors[name]).float().mean().item(), LABEL_TOLERANCE)


def compare_patches(path: Path) -> Iterator[Check]:
    """Draw as many patches as the fixture did, and compare where they lie."""
    published, maps = _sidecar(path), load_file(path.with_suffix(".safetensors"))
    sizes = (published["shape"], published["final_patch"], published["patch"])
    for name, result in published["results"].items():
        if result["n"]:
            yield from _compare_corners(name, result, _locations(result, maps), sizes)
    for batch, forced in published["forced_elements_of_a_batch"].items():
        share = forced_share(int(batch))
        yield Check(f"forced patches of {batch}", abs(share * int(batch) - sum(forced)), RULE_TOLERANCE)


def compare_setup(path: Path) -> Iterator[Check]:
    """Compare angles, slices and the size that is cut, by the size of the patch ("20x256x256"), where there are any."""
    for text, published in _sidecar(path).get("augmentation_setup", {}).items():
        size = [int(length) for length in text.split("x")]
        slices = slice_axis_of("auto", "image" if len(size) == 2 else "volume", size)
        degrees = largest_angle(None, size, slices)
        yield Check(f"{text}: degrees", abs(degrees - published["rotation_degrees"][1]), RULE_TOLERANCE)
        yield Check(f"{text}: dummy 2D", (slices is not None) != published["dummy_2d"], 0)
        ours = initial_size(size, degrees, slices)
        yield Check(f"{text}: initial patch", max(np.abs(np.subtract(ours, published["initial_patch"]))), 0)


def _gamma(channel: Tensor, exponent: float, inverted: bool) -> Tensor:
    return change_gamma(channel, exponent, inverted=inverted)


def _of_channels(image: Tensor, parameters: Mapping[str, Any], effect: Effect, *keys: str) -> Tensor:
    """The image with its chosen channels changed, named by number, or by a yes or no for each."""
    chosen, changed = parameters["apply_to_channel"], image.clone()
    if any(isinstance(each, bool) for each in chosen):
        chosen = [number for number, is_changed in enumerate(chosen) if is_changed]
    for number, *given in zip(chosen, *(parameters[key] for key in keys), strict=True):
        changed[number] = effect(image[number], *given)
    return changed


def _compare_spatial(name: str, parameters: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Iterator[Check]:
    image, labels, size = tensors["image"], tensors["segmentation"], parameters["output"]
    if parameters["affine"] is None:
        moved, moved_labels = cut_middle(image, size), cut_middle(labels, size, OUTSIDE)
    else:
        matrix, axes = torch.tensor(parameters["affine"]), len(size)
        angles = parameters["angles"] or [0] * (3 if axes == 3 else 1)
        ours = rotation_matrix(angles[-1:] if axes == 2 else angles) * (parameters["scale"] or [1])[0]
        yield Check(f"{name}: matrix", max_difference(ours, matrix), EFFECT_TOLERANCE)
        moved, moved_labels = resample_linearly(image, ours, size), resample_labels(labels, ours, size, OUTSIDE)
    yield Check(name, max_difference(moved, tensors[f"{name}.image"]), EFFECT_TOLERANCE)
    differing = (moved_labels != tensors[f"{name}.segmentation"]).float().mean().item()
    yield Check(f"{name}: labels", differing, LABEL_TOLERANCE)


def _locations(result: Mapping[str, Any], maps: Mapping[str, Tensor]) -> Locations:
    """Where the structures lie that the fixture names by their ids, "1" or "(2, 3)", in the map that has as many."""
    ids = {key: [int(each) for each in key.strip("()").split(", ")] for key in result["class_locations"]}
    annotated = [numbers for numbers in ids.values() if 0 in numbers]
    structures = {key: numbers for key, numbers in ids.items() if 0 not in numbers}
    ignore = max(annotated[0]) + 1 if annotated else None
    wanted = {key: result["class_locations"][key] for key in structures}
    for label_map in [*maps.values(), torch.zeros_like(next(iter(maps.values())))]:
        locations = locate(label_map.numpy().astype(np.uint8), read_scheme({"background": 0, **structures}, ignore))
        if {key: len(locations.structures.get(key, ())) for key in structures} == wanted:
            return locations
    raise UnknownFormatError(f"no label map has {wanted}")


def _compare_corners(
    name: str, result: Mapping[str, Any], locations: Locations, sizes: tuple[Sequence[int], ...]
) -> Iterator[Check]:
    random, count = np.random.RandomState(0), result["n"]
    sets = sets_of(locations, is_forced=result["forced"])
    corners = np.array([draw_corner(*sizes, sets, random) for _ in range(count)])
    errors = np.maximum(np.array(result["lower_corner_std"]) / np.sqrt(count), 1e-9)
    wanted = result.get("lower_corner_mean_expected") or result["lower_corner_mean"]
    # The mean of what was drawn there has an error of its own.
    scale = 1 if result.get("lower_corner_mean_expected") else np.sqrt(2)
    apart = np.abs(corners.mean(0) - wanted) / errors / scale
    yield Check(f"{name}: standard errors", float(apart.max()), STANDARD_ERRORS)
    if not sets:
        lowest, highest = corner_range(*sizes)
        yield Check(f"{name}: lowest", float(np.abs(np.subtract(lowest, result["lower_corner_min"])).max()), 0)
        yield Check(f"{name}: highest", float(np.abs(np.subtract(highest, result["lower_corner_max"])).max()), 0)


def _sidecar(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.with_suffix(".json").read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
