"""Figures of a label's masks that protocols may add to those of overlap and surface."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from medvid.evaluation.metrics import centre_line, instances, lesions, surfels, volume
from medvid.evaluation.metrics.components import components
from medvid.evaluation.metrics.figure import Figure

UNITS = {"mm": "mm", "px": "px", "voxel": "voxels"}
"""Of distances: in the names of columns, and in words."""


def in_units(figure: Figure) -> Iterator[Figure]:
    """A length in each of the units that it may have."""
    for unit, word in UNITS.items():
        yield replace(figure, column=f"{figure.column}_{unit}", heading=f"{figure.heading} ({word})", unit=unit)


@dataclass(frozen=True, slots=True)
class Masks:
    """The masks of a label, or of a region.

    Args:
        prediction: (*S) bool, false at unknown voxels.
        truth: likewise.
        spacing: voxel size on each axis, in the unit.
        unit: one of `UNITS`.
        unknown: (*S) bool, voxels that nobody has annotated, if there may be any.
    """

    prediction: np.ndarray
    truth: np.ndarray
    spacing: tuple[float, ...]
    unit: str
    unknown: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class MaskFigures:
    """Figures of masks that are computed together.

    Args:
        of: values by column; NaN where undefined. What is left out is not asked for.
        plain: the figures that have no unit.
        lengths: those in the unit of the masks; columns and headings end with it.
    """

    of: Callable[[Masks], Mapping[str, float]]
    plain: tuple[Figure, ...] = ()
    lengths: tuple[Figure, ...] = ()

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All columns that rows may have."""
        return (*self.plain, *(figure for length in self.lengths for figure in in_units(length)))

    def row(self, masks: Masks) -> dict[str, float]:
        """The columns of a row."""
        found = {length.column for length in self.lengths}
        return {
            (f"{column}_{masks.unit}" if column in found else column): float(value)
            for column, value in self.of(masks).items()
        }


def _volume(masks: Masks) -> dict[str, float]:
    sizes = [volume.millilitres(mask, masks.spacing) for mask in (masks.prediction, masks.truth)]
    absolute = {"volume_error_ml": volume.volume_error(*sizes)} if masks.unit == "mm" else {}
    return absolute | {
        "relative_volume_error": volume.relative_volume_error(*sizes),
        "volumetric_similarity": volume.volumetric_similarity(*sizes),
    }


def _lesions(masks: Masks) -> dict[str, float]:
    found = lesions.count_lesions(masks.prediction, masks.truth)
    return {"lesion_f1": found.f1, "lesions_true": found.true, "lesions_predicted": found.predicted}


def _instances(masks: Masks) -> dict[str, float]:
    overlaps = instances.find_overlaps(components(masks.prediction), components(masks.truth))
    found = instances.match(overlaps)
    return {
        "pq": found.panoptic_quality,
        "sq": found.segmentation_quality,
        "rq": found.recognition_quality,
        "aji": instances.aggregated_jaccard(overlaps),
        "instance_ap": found.average_precision,
    }


def _centre_line(masks: Masks) -> dict[str, float]:
    lines = centre_line.centre_line(masks.prediction), centre_line.centre_line(masks.truth)
    return {"cldice": centre_line.score_centre_lines(masks.prediction, masks.truth, *lines).cldice}


VOLUME = MaskFigures(
    _volume,
    (
        Figure("volume_error_ml", "volume error (ml)", 2, volume.ERROR_DEFINITION),
        Figure("relative_volume_error", "rel. volume error"),
        Figure("volumetric_similarity", "vol. similarity", definition=volume.SIMILARITY_DEFINITION, better="higher"),
    ),
)
LESIONS = MaskFigures(
    _lesions,
    (
        Figure("lesion_f1", "lesion F1", definition=lesions.F1_DEFINITION, better="higher"),
        Figure("lesions_true", "lesions true", 1),
        Figure("lesions_predicted", "predicted", 1),
    ),
)
INSTANCES = MaskFigures(
    _instances,
    (
        Figure("pq", "PQ", definition=f"{instances.PQ_DEFINITION}; objects are connected components", better="higher"),
        Figure("sq", "SQ", better="higher"),
        Figure("rq", "RQ", better="higher"),
        Figure("aji", "AJI", definition=instances.AJI_DEFINITION, better="higher"),
        Figure("instance_ap", "instance AP", definition=instances.AP_DEFINITION, better="higher"),
    ),
)
CENTRE_LINE = MaskFigures(
    _centre_line, (Figure("cldice", "clDice", definition=centre_line.CLDICE_DEFINITION, better="higher"),)
)


def by_surfels(tolerance: float) -> MaskFigures:
    """HD95 and surface Dice as DeepMind's surface-distance has them, at a tolerance in the unit of distances."""

    def of(masks: Masks) -> dict[str, float]:
        found = surfels.surfel_distances(masks.prediction, masks.truth, masks.spacing, masks.unknown)
        hd95 = surfels.hausdorff(found)
        return {
            "hd95_surfels": hd95 if math.isfinite(hd95) else math.nan,
            "surface_dice_surfels": surfels.surface_dice(found, tolerance),
        }

    dice = f"{surfels.SURFACE_DICE_DEFINITION}; the tolerance is {tolerance:g} {{unit}}"
    return MaskFigures(
        of,
        (Figure("surface_dice_surfels", "surfel Dice", definition=dice, better="higher"),),
        (Figure("hd95_surfels", "surfel HD95", 2, surfels.HD95_DEFINITION, better="lower"),),
    )
