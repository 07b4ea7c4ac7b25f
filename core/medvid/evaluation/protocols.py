"""What a protocol is: how a model's outputs become answers, and answers figures. And medvid's own.

The target of a `medvid.plugin.specs.ProtocolSpec` makes one of the classes below, by where the target is. A published
model's protocol is a value of it, in that model's plugin: its figures, and the sentences that travel with them.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
from torch import Tensor

from medvid.config.evaluation import TOLERANCE, MedvidProtocolOptions
from medvid.config.options import ProtocolOptions
from medvid.data.dataset import SegmentationCase
from medvid.data.grid import Grid
from medvid.data.placement import Placement
from medvid.evaluation import mask_figures
from medvid.evaluation.mask_figures import MaskFigures, Masks, in_units
from medvid.evaluation.metrics import masks, surface_means
from medvid.evaluation.metrics.aggregate import State
from medvid.evaluation.metrics.figure import Figure
from medvid.evaluation.metrics.label_maps import LabelMaps
from medvid.evaluation.native_values import NativeValues, as_they_are
from medvid.evaluation.patients import PatientFigure
from medvid.evaluation.restore import Decision, NativeLabels, PreparedLabels, best_label, likely_labels
from medvid.evaluation.videos import VideoFigures
from medvid.plugin.info import TargetInfo
from medvid.plugin.specs import What

Distances = tuple[np.ndarray, np.ndarray]
"""Those of each surface's points to the other surface, see `medvid.evaluation.metrics.masks.surface_distances`."""
Collector = NativeLabels | PreparedLabels


class Protocol:
    """Base of all protocols."""


@dataclass(frozen=True, slots=True)
class CaseFigures:
    """Figures over all cases, or frames, that a protocol has besides medvid's.

    Args:
        figures: columns, with the sentences that travel with them.
        of: from probabilities (N, classes or labels) and the truth: ids (N,), all known; or 0 and 1 (N, labels), NaN
            where unknown.
        monitor: the column that chooses the best weights; higher is better.
    """

    figures: tuple[Figure, ...]
    of: Callable[[np.ndarray, np.ndarray], Mapping[str, float]]
    monitor: str


@dataclass(frozen=True, slots=True)
class ViewProtocol(Protocol):
    """How the views of a case, or the windows that see a frame, become one answer.

    Args:
        placement: where the clips lie in time.
        average: what is averaged over the views, or that the largest probability counts; values are averaged as they
            are.
        what: what is predicted.
        figures: of classes, labels or values, besides medvid's.
        videos: figures of videos that have a class per frame, likewise.
    """

    placement: Placement
    average: Literal["probabilities", "logits", "maximum"]
    what: What = "class"
    figures: CaseFigures | None = None
    videos: VideoFigures | None = None

    def combine(self, outputs: Tensor) -> Tensor:
        """Reduce the outputs of all views (V, ..., N) to one answer (..., N).

        Returns:
            Log-probabilities of classes: unlike probabilities, those of unlikely ones are not rounded to one number.
            Probabilities of labels. Values.
        """
        if self.what == "value":
            return outputs.mean(dim=0)
        if self.what == "labels":
            if self.average == "logits":
                return outputs.mean(dim=0).sigmoid()
            probabilities = outputs.sigmoid()
            return probabilities.amax(dim=0) if self.average == "maximum" else probabilities.mean(dim=0)
        if self.average == "logits":
            return outputs.mean(dim=0).log_softmax(dim=-1)
        return outputs.log_softmax(dim=-1).logsumexp(dim=0) - math.log(len(outputs))


@dataclass(frozen=True, slots=True)
class Overlap:
    """A figure of a label map's overlap with the truth.

    Args:
        figure: its column and heading.
        of: figures per label from a confusion matrix [true label, predicted label]; NaN where undefined.
    """

    figure: Figure
    of: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Surface:
    """A figure of the distances between a label's surfaces.

    Args:
        figure: its column and heading; both end with the unit if it is a length.
        of: the figure, from the distances of a label; NaN where undefined.
        is_length: whether it has the unit of the distances.
    """

    figure: Figure
    of: Callable[[Distances], float]
    is_length: bool = False

    def column(self, unit: str) -> str:
        """Its column in rows whose distances have this unit."""
        return f"{self.figure.column}_{unit}" if self.is_length else self.figure.column

    def figures(self) -> Iterator[Figure]:
        """The figure in each of the units that it may have."""
        yield from in_units(self.figure) if self.is_length else (self.figure,)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMapProtocol(Protocol):
    """From a model's scores to the figures of a label map: for a class per voxel, or labels that may overlap.

    Of values per voxel it says only the grid, and how they get there; their figures are always the same.

    Args:
        grid: the grid that is scored on: that of the file, or that of the prepared array.
        decide: how scores become labels.
        restore: how labels get to the grid of the file.
        overlap: figures of overlap; the column of one of them is ``dice``.
        validation: the Dice that weights are chosen by: by MedT's own, a model that finds nothing would win.
        surfaces: figures of surfaces, with the definitions that travel with them.
        further: figures of masks, with the definitions that travel with them.
        patients: figures of patients, where cases say whose they are.
        regions: ids of the labels that each region unites, by its name; regions are scored in place of labels.
        in_voxels: surfaces are measured in voxels, whatever the spacing.
        empty: what a case scores for a label that is not in both masks, where that needs saying.
        definition: the sentence on grid and overlap that travels with the figures.
    """

    grid: Literal["native", "prepared"]
    decide: Decision = best_label
    restore: Callable[[Grid, Decision], Collector] = NativeLabels
    overlap: tuple[Overlap, ...]
    validation: Callable[[np.ndarray], np.ndarray] = masks.dice
    surfaces: tuple[Surface, ...] = ()
    further: tuple[MaskFigures, ...] = ()
    patients: tuple[PatientFigure, ...] = ()
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    in_voxels: bool = False
    empty: Mapping[State, str]
    definition: str

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All columns that rows may have figures in, in their order."""
        return (
            *(one.figure for one in self.overlap),
            *(figure for one in self.surfaces for figure in one.figures()),
            *(figure for one in self.further for figure in one.figures),
        )

    def native_labels(self, grid: Grid) -> Collector:
        """Collects the label map on the grid of the file."""
        return self.restore(grid, self.decide)

    def prepared_labels(self) -> PreparedLabels:
        """Collects the label map on the prepared grid."""
        return PreparedLabels(self.decide)

    def rows(
        self, case: SegmentationCase, prediction: np.ndarray, labels: Sequence[str], *, final: bool
    ) -> list[dict[str, Any]]:
        """Score a prediction on `grid`, one row per foreground label, or per region.

        Args:
            case: the case.
            prediction: label ids; or of labels that may overlap (L, *S), 1 where they are.
            labels: name of each label id; or of the labels that may overlap.
            final: asks for all figures, else `validation` alone.
        """
        truth = case.native_truth() if self.grid == "native" else case.prepared_truth()
        rows = [
            row for part in self._parts(case, prediction, truth, labels) for row in self._rows(case, part, final=final)
        ]
        return [row | {"label_id": number} for number, row in enumerate(rows, start=1)]

    def _parts(
        self, case: SegmentationCase, prediction: np.ndarray, truth: np.ndarray, labels: Sequence[str]
    ) -> list[LabelMaps]:
        """The label maps that are scored one by one: one of all labels, or one of each that may overlap, or region."""
        if truth.ndim > len(case.grid.axes):
            pairs = zip(prediction, truth, labels, strict=True)
            return [LabelMaps.of(mask, true, ("", name)) for mask, true, name in pairs]
        maps = LabelMaps.of(prediction, truth, labels)
        return [maps.united(name, ids) for name, ids in self.regions.items()] or [maps]

    def _rows(self, case: SegmentationCase, maps: LabelMaps, *, final: bool) -> list[dict[str, Any]]:
        confusion = masks.confusion_matrix(maps.prediction, maps.truth, len(maps.names), maps.unknown)
        overlap = {one.figure.column: one.of for one in self.overlap} if final else {"dice": self.validation}
        figures = {column: of(confusion) for column, of in overlap.items()}
        true, predicted = confusion.sum(axis=1).tolist(), confusion.sum(axis=0).tolist()
        rows: list[dict[str, Any]] = [
            {
                "case": case.id,
                "label": maps.names[label],
                "label_id": label,
                "state": _state(true[label], predicted[label]),
                **{column: float(values[label]) for column, values in figures.items()},
                "voxels_true": true[label],
                "voxels_predicted": predicted[label],
            }
            for label in range(1, len(maps.names))
        ]
        if final:
            self._measure(case, maps, rows)
        if maps.unknown is not None:
            unknown = int(maps.unknown.sum())
            for label, row in enumerate(rows, start=1):
                row["voxels_unknown"] = unknown
                if not maps.is_annotated(label):
                    self._leave_out(row)
        return rows

    def _measure(self, case: SegmentationCase, maps: LabelMaps, rows: Sequence[dict[str, Any]]) -> None:
        """Add the figures of surfaces and masks to the rows of labels."""
        unit, spacing = self._unit(case), self._spacing(case)
        if self.surfaces:
            found = self._distances(maps, spacing)
            for row, distances in zip(rows, found, strict=True):
                row.update({one.column(unit): one.of(distances) for one in self.surfaces})
        for label, row in enumerate(rows, start=1) if self.further else ():
            both = Masks(*maps.masks(label), spacing, unit, maps.unknown)
            for one in self.further:
                row.update(one.row(both))

    def _distances(self, maps: LabelMaps, spacing: Sequence[float]) -> list[Distances]:
        maps, spacing = maps.in_plane(spacing)
        points = (
            masks.surface_points(label_map, len(maps.names), spacing, maps.unknown)
            for label_map in (maps.prediction, maps.truth)
        )
        return [masks.surface_distances(predicted, true) for predicted, true in zip(*points, strict=True)]

    def _leave_out(self, row: dict[str, Any]) -> None:
        """A label that nobody has annotated has no figures."""
        row |= {"state": "unknown"} | {figure.column: math.nan for figure in self.figures if figure.column in row}

    def _spacing(self, case: SegmentationCase) -> tuple[float, ...]:
        spacing = case.grid.native_spacing if self.grid == "native" else case.grid.prepared_spacing
        return (1.0,) * len(spacing) if self.in_voxels else tuple(spacing)

    def _unit(self, case: SegmentationCase) -> str:
        """The unit of surface distances: only volumes have a physical size."""
        if self.in_voxels:
            return "voxel"
        return "mm" if case.axes == "volume" else "px"


def _state(voxels_true: int, voxels_predicted: int) -> State:
    if voxels_true:
        return "scored" if voxels_predicted else "missed"
    return "false positive" if voxels_predicted else "absent"


DICE = Overlap(Figure("dice", "Dice", better="higher"), masks.dice)
HD95 = Surface(Figure("hd95", "HD95", 2, masks.HD95_DEFINITION, better="lower"), masks.hd95, is_length=True)
UNDEFINED: Mapping[State, str] = {
    "missed": "Dice 0, HD95 undefined",
    "false positive": "Dice 0, HD95 undefined",
}
"""What our Dice and HD95 are of a label that one of the masks does not have."""


def surface_dice(tolerance: float) -> Surface:
    """The surface Dice at a tolerance in mm, or in pixels where files have no physical size."""
    definition = f"{masks.SURFACE_DICE_DEFINITION}; the tolerance is {tolerance:g} {{unit}}"
    return Surface(
        Figure("surface_dice", "surface Dice", definition=definition, better="higher"),
        partial(masks.surface_dice, tolerance=tolerance),
    )


ASSD = Surface(
    Figure("assd", "ASSD", 2, surface_means.ASSD_DEFINITION, better="lower"), surface_means.assd, is_length=True
)
MASD = Surface(
    Figure("masd", "MASD", 2, surface_means.MASD_DEFINITION, better="lower"), surface_means.masd, is_length=True
)


def medvid_protocol(options: MedvidProtocolOptions, target_info: TargetInfo) -> Protocol:
    """Scored on the grid of the files, which are what counts; undefined figures are left out of means, and counted."""
    if target_info.where != "voxel":
        return ViewProtocol("spread", "probabilities", target_info.what)
    if target_info.what == "value":
        definition = "scored on the grid of the files"
        return LabelMapProtocol(
            grid="native", decide=as_they_are, restore=NativeValues, overlap=(), empty={}, definition=definition
        )
    tolerance = options.tolerance or TOLERANCE
    further = {
        "volume": mask_figures.VOLUME,
        "surfels": mask_figures.by_surfels(tolerance),
        "lesions": mask_figures.LESIONS,
        "instances": mask_figures.INSTANCES,
        "centre_line": mask_figures.CENTRE_LINE,
    }
    return LabelMapProtocol(
        grid="native",
        decide=best_label if target_info.what == "class" else likely_labels,
        overlap=(DICE,),
        surfaces=(HD95, surface_dice(tolerance), *((ASSD, MASD) if "average_distance" in options.further else ())),
        further=tuple(further[name] for name in options.further if name in further),
        regions=options.regions,
        empty=UNDEFINED,
        definition="scored on the grid of the files; a label in neither mask is left out of the means",
    )


def tools_protocol(options: ProtocolOptions, target_info: TargetInfo) -> ViewProtocol:  # noqa: ARG001 (it has none)
    """As medvid's own, but EndoNet's mAP chooses the weights: `average_precision` over all frames, mean over labels."""
    figures = CaseFigures((), lambda _answers, _truth: {}, monitor="average_precision")
    return ViewProtocol("spread", "probabilities", target_info.what, figures)
