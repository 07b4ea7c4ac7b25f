"""nnU-Net's plans (fixtures ``plan_*``), which ours have to equal, and the size of the networks they name."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from comparison.checks import Check
from medvid.data.volumes.formats.format import Geometry, Volume
from medvid.planning.nnunet.estimate import feature_map_elements, parameters
from medvid.planning.nnunet.plans import plan, preset_of
from medvid.planning.nnunet.topology import topology_of
from medvid.planning.volumes.facts import facts_of
from medvid.planning.volumes.fingerprint import as_fingerprint

TOLERANCE = 1e-9
"""Relative, of numbers with a fraction; everything else is equal or not."""
FIGURES = 1e-6
"""Relative, of figures of intensities, which nnU-Net adds up in float32."""


def is_plans_fixture(path: Path) -> bool:
    """Whether it is a file of a fingerprint and plans."""
    try:
        return {"dataset_json", "fingerprint", "plans"} <= json.loads(path.with_suffix(".json").read_text()).keys()
    except (OSError, ValueError, AttributeError):
        return False


def compare_plans(path: Path) -> Iterator[Check]:
    """Plan as each of the plans says that it was, and compare all of it."""
    recorded = json.loads(path.with_suffix(".json").read_text())
    dataset, fingerprint = recorded["dataset_json"], recorded["fingerprint"]
    for name, expected in recorded["plans"].items():
        ours = plan(
            dataset,
            fingerprint,
            preset_of(expected["experiment_planner_used"]),
            memory=_memory(name),
            spacing=_given_spacing(name, expected),
            dataset_name=expected["dataset_name"],
            plans_name=expected["plans_name"],
        )
        ours = {key: value for key, value in ours.items() if key in expected or key != _INTENSITIES}
        yield Check(f"{name} (relative)", difference(ours, expected), TOLERANCE)
        for configuration, block in ours["configurations"].items():
            figures = recorded.get("estimate", {}).get(f"{name}/{configuration}")
            if figures is not None:
                yield from _sizes(f"{name}/{configuration}", block, len(dataset["labels"]), figures)


_INTENSITIES = "foreground_intensity_properties_per_channel"
"""A copy of the fingerprint's, which the recorded plans may lack."""


def _sizes(name: str, block: Mapping[str, Any], classes: int, figures: Mapping[str, float]) -> Iterator[Check]:
    arguments = block["architecture"]["arch_kwargs"]
    topology = topology_of(arguments["strides"], arguments["kernel_sizes"], block["patch_size"])
    residual = "Residual" in block["architecture"]["network_class_name"]
    elements = feature_map_elements(topology, classes, residual)
    weights = parameters(topology, len(block["normalization_schemes"]), classes, residual)
    yield Check(f"{name}, elements", abs(elements - figures["feature_map_elements"]), 0)
    yield Check(f"{name}, weights", abs(weights - figures["parameters_with_len_labels_outputs"]), 0)


def compare_fingerprint(published: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Iterator[Check]:
    """The fingerprint of cases (fixtures ``preprocess_*``) with its draws, and the plans that follow from it.

    Args:
        published: of the fixture; 40000 draws stand for 10^8 in it.
        arrays: ``CASE.image`` (C, z, y, x) and ``CASE.label`` (z, y, x).
    """
    dataset, facts = published["dataset_json"], []
    ids = max(np.max(ids) for ids in dataset["labels"].values()) + 1
    for case, spacing in published["spacing"].items():
        affine = np.diag([*np.float32(spacing[::-1]), 1.0])  # as NIfTI holds it
        geometry = Geometry(arrays[f"{case}.label"].shape[::-1], affine)
        image = Volume(np.transpose(arrays[f"{case}.image"], (3, 2, 1, 0)), geometry)
        label = Volume(np.transpose(arrays[f"{case}.label"], (2, 1, 0)), geometry)
        facts.append(facts_of(image, label, int(ids), 40_000 // len(published["spacing"])))
    ours = as_fingerprint(facts)
    yield Check("fingerprint (relative)", difference(ours, published["fingerprint_40000_samples"]), FIGURES)
    full, name = published["fingerprint_1e8_samples"], published["plans"]["dataset_name"]
    yield Check("plans (relative)", difference(plan(dataset, full, dataset_name=name), published["plans"]), TOLERANCE)


def _memory(name: str) -> float | None:
    """GB, of which nothing but the name tells."""
    found = re.search(r"(\d+(?:\.\d+)?)\s?GB", name)
    return float(found[1]) if found else None


def _given_spacing(name: str, expected: Mapping[str, Any]) -> list[float] | None:
    """The spacing that was asked for: in the fixture it is that of the plan, which is otherwise found by us."""
    if "spacing" not in name:
        return None
    full = expected["configurations"]["3d_fullres"]["spacing"]
    return [full[axis] for axis in expected["transpose_backward"]]


def difference(ours: Any, expected: Any) -> float:
    """The largest relative difference of numbers; infinite where anything else differs."""
    if isinstance(expected, Mapping) and isinstance(ours, Mapping) and ours.keys() == expected.keys():
        return max((difference(ours[key], value) for key, value in expected.items()), default=0.0)
    if isinstance(expected, list) and isinstance(ours, list) and len(ours) == len(expected):
        return max((difference(*pair) for pair in zip(ours, expected, strict=True)), default=0.0)
    if _is_number(ours) and _is_number(expected):
        return abs(ours - expected) / max(abs(expected), 1e-12)
    return 0.0 if type(ours) is type(expected) and ours == expected else math.inf


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
