"""nnU-Net's preparation of volumes (fixtures ``norm_schemes``, ``resample_*`` and ``preprocess_*``) against ours."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nibabel.affines import from_matvec
from safetensors.numpy import load_file

from comparison.checks import Check
from comparison.plans import compare_fingerprint
from medvid.data.grid import Grid
from medvid.data.output import PROBABILITY_STEPS
from medvid.data.volumes.labels import LabelScheme, read_scheme
from medvid.data.volumes.locations import locate
from medvid.data.volumes.preparation import VolumePreparation
from medvid.data.volumes.relation import relate
from medvid.data.volumes.steps.normalization import scale
from medvid.data.volumes.steps.options import (
    ChannelOptions,
    CTOptions,
    NoneOptions,
    ResamplingOptions,
    RescaleOptions,
    RGBOptions,
    ZScoreOptions,
)
from medvid.data.volumes.steps.resampling import axis_apart, resample_image, resample_labels, resampled_shape
from medvid.data.volumes.steps.scan import Scan
from medvid.data.volumes.steps.spacing import nearest_axes
from medvid.data.volumes.truth import paint
from medvid.evaluation.probabilities import NativeProbabilities
from medvid.evaluation.restore import NativeLabels, best_label, likely_labels

SCALED, RESAMPLED, PREPARED = 1e-5, 1e-4, 1e-4
TORCH = 1e-3  # that of nnU-Net's resampling with torch
OUTSIDE = -1

Arrays = Mapping[str, np.ndarray]


def is_preparation_fixture(path: Path) -> bool:
    """Whether there is a sidecar of such a fixture, rather than of another kind or none."""
    try:
        found = json.loads(path.with_suffix(".json").read_text())
        return any(key in found for key in ("scheme_of_channel_name", "separate_z_decision", "preprocessed"))
    except (OSError, ValueError, TypeError):
        return False


def compare_preparation(path: Path) -> Iterator[Check]:
    """Scale, resample or prepare what the fixture holds."""
    published = json.loads(path.with_suffix(".json").read_text())
    arrays = load_file(path.with_suffix(".safetensors"))
    if "scheme_of_channel_name" in published:
        yield from _scalings(arrays, published["intensity_properties"])
    elif "separate_z_decision" in published:
        yield from _resamplings(arrays, published)
    else:
        yield from compare_fingerprint(published, arrays)
        for name, made in published["preprocessed"].items():
            if f"{name}.data" in arrays:
                yield from _Case(arrays, published, name).checks(made)


def _scalings(arrays: Arrays, properties: Mapping[str, float]) -> Iterator[Check]:
    mask = arrays["seg"] >= 0
    for name, expected in arrays.items():
        scheme, _, masked = name.partition(".mask_")
        if not masked:
            continue
        given = arrays["image_uint8"] if scheme.startswith("rgb") else arrays["image"]
        ours = scale(_scaling(scheme, properties, masked=masked == "true"), given.astype(np.float32), mask)
        yield _near(name, ours, expected, SCALED)
    yield _near("constant", scale(ZScoreOptions(), arrays["constant"]), arrays["constant.zscore"], SCALED)


def _scaling(scheme: str, properties: Mapping[str, float], *, masked: bool) -> ChannelOptions:
    """By the name of nnU-Net's class, in small letters."""
    if scheme.startswith("ct"):
        low, high = properties["percentile_00_5"], properties["percentile_99_5"]
        return CTOptions(low=low, high=high, mean=properties["mean"], std=max(properties["std"], 1e-8))
    others = {"nonorm": NoneOptions(), "rescale": RescaleOptions(), "rgb": RGBOptions()}
    found = (options for start, options in others.items() if scheme.startswith(start))
    return next(found, ZScoreOptions(masked=masked))


def _resamplings(arrays: Arrays, published: Mapping[str, Any]) -> Iterator[Check]:
    for name, job in published["jobs"].items():
        given, expected, how = arrays[f"{name}.in"], arrays[f"{name}.out"], job["kwargs"]
        apart = axis_apart(job["current_spacing"], job["new_spacing"], _auto(how.get("force_separate_z")))
        yield _equal(f"{name}: axis apart", apart, job["axis"])
        order, order_z = how.get("order", 1), how.get("order_z", 0)  # that with torch is linear
        title = f"{name}: {job['kind']}"
        if how["is_seg"]:
            ours = [resample_labels(channel, job["new_shape"], order, order_z, apart) for channel in given]
            yield _labels(title, np.stack(ours), expected)
        else:
            values = resample_image(given, job["new_shape"], order, order_z, apart)
            yield _near(title, values, expected, TORCH if "function" in how else RESAMPLED)
    decisions = published["separate_z_decision"]
    axes = [axis_apart(one["current"], one["new"], "auto") for one in decisions]
    yield _equal("axes apart", axes, [one["axis"] for one in decisions])
    shapes = [list(resampled_shape(one["shape"], one["current"], one["new"])) for one in published["new_shape"]]
    yield _equal("new shapes", shapes, [one["new_shape"] for one in published["new_shape"]])


@dataclass(frozen=True)
class _Case:
    """A case of ``preprocess_*`` with a configuration: its arrays have the axes of files, z y x."""

    arrays: Arrays
    published: Mapping[str, Any]
    name: str

    def checks(self, made: Mapping[str, Any]) -> Iterator[Check]:
        scan = self._preparation.run(self._read, self.name)
        assert scan.label is not None
        assert scan.content is not None
        expected = self.arrays[f"{self.name}.seg"][0]
        yield _near(f"{self.name}: image", scan.image, self.arrays[f"{self.name}.data"], PREPARED)
        yield _labels(f"{self.name}: label map", np.where(scan.content, scan.label, OUTSIDE), expected)
        found = locate(np.where(scan.content, scan.label, 0).astype(np.uint8), self._scheme)
        every = [*found.structures.values(), *([] if found.annotated is None else [found.annotated])]
        there = {name: count for name, count in made["class_locations_counts"].items() if count}
        yield _equal(f"{self.name}: voxels of structures", [len(one) for one in every], list(there.values()))
        first = [np.transpose(np.unravel_index(one[:5], scan.shape)).tolist() for one in every]
        theirs = [[place[1:] for place in made["class_locations_first5"][name]] for name in there]
        yield _equal(f"{self.name}: their first ones", first, theirs)
        if f"{self.name}.logits" in self.arrays:
            yield from self._exports(scan)

    def _exports(self, scan: Scan) -> Iterator[Check]:
        scores = torch.from_numpy(self.arrays[f"{self.name}.logits"].astype(np.float32))
        overlap = bool(self._scheme.regions)
        labels = NativeLabels(self._grid(scan), likely_labels if overlap else best_label)
        labels.add(scores)
        ours = paint(labels.labels(), self._scheme.painted) if overlap else labels.labels()
        yield _labels(f"{self.name}: exported", ours, self.arrays[f"{self.name}.exported"])
        if (expected := self.arrays.get(f"{self.name}.probabilities")) is not None:
            probabilities = NativeProbabilities(self._grid(scan), self._scheme.target_info())
            probabilities.add(scores)
            steps = probabilities.values() / PROBABILITY_STEPS
            yield _near(f"{self.name}: probabilities, in bytes", steps, expected, 0.6 / PROBABILITY_STEPS)

    @cached_property
    def _read(self) -> Scan:
        """The case as read, with the axes in the order of the plan."""
        case, turn = self.name.split(".")[0], self._turn
        image = self.arrays[f"{case}.image"].transpose(0, *(1 + axis for axis in turn))
        label = self.arrays[f"{case}.label"].transpose(turn)
        return Scan(image, from_matvec(np.diag(self._native)), label)

    def _grid(self, scan: Scan) -> Grid:
        """How what was prepared lies on the arrays of the file."""
        shape = self.arrays[f"{self.name.split('.')[0]}.label"].shape
        native = np.zeros((4, 4))
        native[[0, 1, 2], self._turn] = self._native
        native[3, 3] = 1
        grid = relate(native, shape, scan.affine, scan.shape)
        return replace(grid, nearest_axes=nearest_axes(self._spacing, self._native, self._resampling))

    @cached_property
    def _preparation(self) -> VolumePreparation:
        plan, properties = self._plan, self.published["plans"]["foreground_intensity_properties_per_channel"]
        schemes = zip(plan["normalization_schemes"], properties.values(), plan["use_mask_for_norm"], strict=True)
        normalize = tuple(_scaling(scheme.lower(), values, masked=masked) for scheme, values, masked in schemes)
        x, y, z = self._spacing
        return VolumePreparation(
            len(normalize), self._scheme, (x, y, z), normalize, None, "nonzero", resampling=self._resampling
        )

    @property
    def _resampling(self) -> ResamplingOptions:
        orders = {
            ours: {key: self._plan[f"resampling_fn_{theirs}_kwargs"][key] for key in ("order", "order_z")}
            for ours, theirs in (("image", "data"), ("label", "seg"), ("scores", "probabilities"))
        }
        forced = self._plan["resampling_fn_data_kwargs"]["force_separate_z"]
        return ResamplingOptions.model_validate({**orders, "separate_z": _auto(forced)})

    @property
    def _plan(self) -> Mapping[str, Any]:
        configuration: Mapping[str, Any] = self.published["plans"]["configurations"][self.name.split(".")[1]]
        return configuration

    @property
    def _turn(self) -> tuple[int, ...]:
        return tuple(self.published["plans"]["transpose_forward"])

    @property
    def _native(self) -> Sequence[float]:
        """Voxel size of the file, in the order of the plan, as nnU-Net has read it."""
        number = sorted(self.published["spacing"]).index(self.name.split(".")[0])
        spacing = self.published["fingerprint_1e8_samples"]["spacings"][number]
        return [spacing[axis] for axis in self._turn]

    @property
    def _spacing(self) -> Sequence[float]:
        """That of the plan; a plan for slices leaves the first axis as it is."""
        target = self._plan["spacing"]
        return [*self._native[: 3 - len(target)], *target]

    @property
    def _scheme(self) -> LabelScheme:
        described = self.published["dataset_json"]
        return read_scheme(described["labels"], painted=described.get("regions_class_order", ()))


def _auto(force: bool | None) -> bool | str:
    return "auto" if force is None else force


def _near(name: str, ours: np.ndarray, expected: np.ndarray, tolerance: float) -> Check:
    if ours.shape != expected.shape:
        return Check(f"{name}: shape", np.inf, 0)
    return Check(name, float(np.abs(ours.astype(np.float64) - expected).max()), tolerance)


def _labels(name: str, ours: np.ndarray, expected: np.ndarray) -> Check:
    """Compare label maps."""
    if ours.shape != expected.shape:
        return Check(f"{name}: shape", np.inf, 0)
    return Check(f"{name} (voxels)", int((ours != expected).sum()), 0)


def _equal(name: str, ours: Any, expected: Any) -> Check:
    return Check(name, float(ours != expected), 0)
