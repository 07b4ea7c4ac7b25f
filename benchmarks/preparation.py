"""Preparation of volumes as nnU-Net's, against nnU-Net's own functions: processor time on one core, and equal results.

    python benchmarks/preparation.py [--rounds N] [--quick]

A CT of 512 x 512 x 150 voxels and a label map with 13 organs are resampled in all axes alike and, with thicker slices,
slice by slice. Where nnunetv2 is installed, its functions are measured, and a whole case as well: both sides read it,
crop, scale, resample, find the structures and write their cache. Elsewhere it is scipy, called as nnU-Net calls it.
"""

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from common import count, print_table, take_turns
from scipy import ndimage

from medvid.data.volumes.cache import VolumeCache
from medvid.data.volumes.content import fingerprint
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.labels import LabelScheme
from medvid.data.volumes.preparation import VolumePreparation
from medvid.data.volumes.steps.options import CTOptions, ResamplingOptions
from medvid.data.volumes.steps.resampling import axis_apart, resample_image, resample_labels, resampled_shape

HAS_NNUNET = importlib.util.find_spec("nnunetv2") is not None
SHAPE, QUICK = (150, 512, 512), (12, 40, 40)
ORGANS = 13
SPACINGS = {
    "all axes alike": ((2.0, 0.7, 0.7), (1.5, 0.8, 0.8)),
    "slice by slice": ((5.0, 0.7, 0.7), (3.0, 0.8, 0.8)),
}
"""Voxel size in mm before and after, along z, y and x."""
WINDOW = {"percentile_00_5": -950.0, "percentile_99_5": 250.0, "mean": 60.0, "std": 90.0}

Spacing = tuple[float, float, float]


def phantom(shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """A noisy CT and its label map: ellipsoids in a body."""
    random = np.random.default_rng(0)
    places = np.stack(np.meshgrid(*(np.linspace(-1, 1, length, dtype=np.float32) for length in shape), indexing="ij"))
    labels = np.zeros(shape, np.uint8)
    for organ in range(1, ORGANS + 1):
        centre, radii = random.uniform(-0.5, 0.5, 3), random.uniform(0.1, 0.3, 3)
        labels[(((places - centre[:, None, None, None]) / radii[:, None, None, None]) ** 2).sum(0) < 1] = organ
    image = np.where((places[1:] ** 2).sum(0) < 0.8, 40 + 8 * labels.astype(np.int16), -1000)
    return (image + random.normal(0, 20, shape)).astype(np.int16), labels


def nnunet_image(image: np.ndarray, shape: Sequence[int], spacing: Spacing, target: Spacing) -> np.ndarray:
    """nnU-Net's resampling of (C, *S), or scipy's as nnU-Net calls it."""
    if HAS_NNUNET:
        from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape

        kwargs = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
        return resample_data_or_seg_to_shape(image, shape, spacing, target, **kwargs)
    return np.stack([_by_scipy(channel.astype(float), shape, spacing, target, _clipped) for channel in image])


def nnunet_labels(labels: np.ndarray, shape: Sequence[int], spacing: Spacing, target: Spacing) -> np.ndarray:
    """Likewise of a label map (*S)."""
    if HAS_NNUNET:
        from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape

        kwargs = {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None}
        return resample_data_or_seg_to_shape(labels[None], shape, spacing, target, **kwargs)[0]
    return _by_scipy(labels, shape, spacing, target, _largest)


def _by_scipy(
    volume: np.ndarray, shape: Sequence[int], spacing: Spacing, target: Spacing, resize: Callable[..., np.ndarray]
) -> np.ndarray:
    apart = axis_apart(spacing, target, "auto")
    if apart is None:
        return resize(volume, shape)
    within = [length for axis, length in enumerate(shape) if axis != apart]
    slices = np.stack([resize(one, within) for one in np.moveaxis(volume, apart, 0)], axis=apart)
    return _zoom(slices, shape, 0)


def _zoom(array: np.ndarray, shape: Sequence[int], order: int) -> np.ndarray:
    return ndimage.zoom(array, np.divide(shape, array.shape), order=order, mode="nearest", grid_mode=True)


def _clipped(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    return _zoom(array, shape, 3).clip(array.min(), array.max())


def _largest(labels: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    ids, nearest = np.unique(labels), _zoom(labels, shape, 0)
    scores = np.stack([_zoom((labels == one).astype(float), shape, 1) for one in ids])
    ties_nearest = np.take_along_axis(scores, np.searchsorted(ids, nearest)[None], axis=0)[0] == scores.max(axis=0)
    return np.where(ties_nearest, nearest, ids[scores.argmax(axis=0)])


def processor_time(do: Callable[[], object]) -> Callable[[], float]:
    def measure() -> float:
        began = time.process_time()
        do()
        return time.process_time() - began

    return measure


def compare(ours: Callable[[], np.ndarray], theirs: Callable[[], np.ndarray], rounds: int) -> list[str]:
    """Seconds of both, their ratio, and the share of voxels that differ by more than 1e-4."""
    results: dict[str, np.ndarray] = {}
    sides = {"ours": ours, "theirs": theirs}
    seconds = take_turns(
        {name: processor_time(lambda name=name, do=do: results.update({name: do()})) for name, do in sides.items()},
        rounds,
        warm_up=0,
    )
    difference = np.abs(results["ours"].astype(np.float32) - results["theirs"].astype(np.float32))
    cells = [f"{seconds['theirs']:.2f}", f"{seconds['ours']:.2f}", f"{seconds['ours'] / seconds['theirs']:.2f}"]
    return [*cells, f"{(difference > 1e-4).mean():.1e}"]


def whole_case(folder: Path, image: np.ndarray, labels: np.ndarray, rounds: int) -> list[str]:
    """From a file to the cache, with nnU-Net's preprocessor and ours."""
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    (z, y, x), target = SPACINGS["all axes alike"]
    paths = [folder / name for name in ("ct_0000.nii.gz", "ct.nii.gz")]
    for path, array in zip(paths, (image, labels), strict=True):  # in the order of files, x y z
        nib.save(nib.Nifti1Image(array.transpose(), np.diag([-x, -y, z, 1])), path)
    plans = _plans(target)
    described = {
        "labels": {"background": 0} | {f"organ {number}": number for number in range(1, ORGANS + 1)},
        "channel_names": {"0": "CT"},
        "file_ending": ".nii.gz",
    }
    manager = PlansManager(plans)
    preprocessor, configuration = DefaultPreprocessor(verbose=False), manager.get_configuration("3d_fullres")

    def theirs() -> None:
        arguments = [str(folder / "theirs"), [str(paths[0])], str(paths[1]), manager, configuration, described]
        preprocessor.run_case_save(*arguments)

    low, high = WINDOW["percentile_00_5"], WINDOW["percentile_99_5"]
    preparation = VolumePreparation(
        channels=1,
        scheme=LabelScheme(tuple(described["labels"])),
        spacing=(target[2], target[1], target[0]),
        normalize=(CTOptions(low=low, high=high, mean=WINDOW["mean"], std=WINDOW["std"]),),
        window=None,
        crop="nonzero",
        resampling=ResamplingOptions(),
    )
    files = CaseFiles("ct", (paths[0],), paths[1])

    def ours() -> None:
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            cache = VolumeCache(Path(fresh), preparation)
            cache.read(files, fingerprint(files, preparation.formats))

    sides = {"ours": processor_time(ours), "theirs": processor_time(theirs)}
    seconds = take_turns(sides, rounds, warm_up=0)
    ratio = seconds["ours"] / seconds["theirs"]
    return [f"{seconds['theirs']:.2f}", f"{seconds['ours']:.2f}", f"{ratio:.2f}", ""]


def _plans(spacing: Spacing) -> dict[str, object]:
    """What nnU-Net's preprocessor reads of plans."""
    orders = {"image": (3, False), "seg": (1, True), "probabilities": (1, False)}
    functions = {
        f"resampling_fn_{'data' if name == 'image' else name}{suffix}": value
        for name, (order, is_seg) in orders.items()
        for suffix, value in (
            ("", "resample_data_or_seg_to_shape"),
            ("_kwargs", {"is_seg": is_seg, "order": order, "order_z": 0, "force_separate_z": None}),
        )
    }
    configuration = {
        "preprocessor_name": "DefaultPreprocessor",
        "patch_size": [64, 160, 160],
        "spacing": list(spacing),
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "architecture": {"network_class_name": "", "arch_kwargs": {}, "_kw_requires_import": []},
        **functions,
    }
    return {
        "plans_name": "nnUNetPlans",
        "dataset_name": "phantoms",
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"3d_fullres": configuration},
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": {**WINDOW, "median": 60.0, "min": -1000.0, "max": 900.0}},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=count, default=1)
    parser.add_argument("--quick", action="store_true", help="a small volume, to see that the script works")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    ct, labels = phantom(QUICK if arguments.quick else SHAPE)
    image, signed, rows = ct[None].astype(np.float32), labels.astype(np.int16), []
    for name, (spacing, target) in SPACINGS.items():
        shape, apart = resampled_shape(labels.shape, spacing, target), axis_apart(spacing, target, "auto")
        steps = {
            "image": (
                lambda shape=shape, apart=apart: resample_image(image, shape, 3, 0, apart),
                lambda shape=shape, sizes=(spacing, target): nnunet_image(image, shape, *sizes),
            ),
            "label map": (
                lambda shape=shape, apart=apart: resample_labels(signed, shape, 1, 0, apart),
                lambda shape=shape, sizes=(spacing, target): nnunet_labels(signed, shape, *sizes),
            ),
        }
        rows += [[f"{step}, {name}", *compare(*sides, arguments.rounds)] for step, sides in steps.items()]
    if HAS_NNUNET:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(["a case, file to cache", *whole_case(Path(folder), ct, labels, arguments.rounds)])
    print(f"against {'nnunetv2' if HAS_NNUNET else 'scipy, as nnU-Net calls it'}; seconds of one core")
    print_table(["", "theirs", "ours", "ratio", "differ"], rows)


if __name__ == "__main__":
    main()
