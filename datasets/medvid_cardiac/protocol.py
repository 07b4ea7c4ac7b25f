"""Scoring hearts as ACDC does: by structure and phase, and by what clinicians measure."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from medvid.evaluation.mask_figures import MaskFigures, Masks
from medvid.evaluation.metrics.figure import Figure
from medvid.evaluation.metrics.groups import groups_of
from medvid.evaluation.metrics.volume import millilitres
from medvid.evaluation.patients import PatientFigure
from medvid.evaluation.protocols import DICE, HD95, UNDEFINED, Distances, LabelMapProtocol, Surface
from medvid.evaluation.restore import best_label
from medvid.plugin.info import TargetInfo
from medvid_cardiac.config import ACDCProtocolOptions

DENSITY = 1.05
"""Of the myocardium, in g/ml."""

Rows = Sequence[Mapping[str, Any]]
_TRUE, _PREDICTED = "volume_true_ml", "volume_predicted_ml"


def hausdorff(distances: Distances) -> float:
    """The Hausdorff distance; NaN if a surface is empty."""
    return float(max(map(np.max, distances))) if all(map(len, distances)) else math.nan


def ejection_fraction(end_diastolic: float, end_systolic: float) -> float:
    """The share of the volume that is ejected, in percent; NaN where there is no volume at end diastole."""
    return 100 * (end_diastolic - end_systolic) / end_diastolic if end_diastolic else math.nan


def acdc_protocol(options: ACDCProtocolOptions, target_info: TargetInfo) -> LabelMapProtocol:  # noqa: ARG001
    """Scored on the grid of the files; figures of patients where both their phases were scored."""
    return LabelMapProtocol(
        grid="native",
        decide=best_label,
        overlap=(DICE,),
        surfaces=(HAUSDORFF, HD95),
        further=(VOLUMES,),
        patients=tuple(_figures_of(options)),
        empty=UNDEFINED,
        definition="scored on the grid of the files; a label in neither mask is left out of the means (protocol acdc)",
    )


def _volumes(label: Masks) -> dict[str, float]:
    if label.unit != "mm":
        return {}
    return {_TRUE: millilitres(label.truth, label.spacing), _PREDICTED: millilitres(label.prediction, label.spacing)}


HAUSDORFF = Surface(
    Figure("hd", "HD", 2, "HD is the largest distance of a surface voxel to the other surface", better="lower"),
    hausdorff,
    is_length=True,
)
VOLUMES = MaskFigures(_volumes, (Figure(_TRUE, "true ml", 1), Figure(_PREDICTED, "predicted ml", 1)))


def _figures_of(options: ACDCProtocolOptions) -> list[PatientFigure]:
    figures = []
    for cavity in options.cavities:
        ef = Figure(f"ef_{cavity}", f"ejection fraction of {cavity} (%)", 2, _EF)
        volume = Figure(f"edv_{cavity}_ml", f"volume of {cavity} at ED (ml)", 2)
        figures += [_figure(ef, partial(_ejected, label=cavity)), _figure(volume, partial(_volume_at_ed, label=cavity))]
    if options.myocardium:
        mass = Figure("mass_g", f"mass of {options.myocardium} at ED (g)", 2, _MASS)
        figures.append(_figure(mass, partial(_mass, label=options.myocardium)))
    return figures


_EF = "the ejection fraction is (volume at ED - volume at ES) / volume at ED, of the voxels of the label"
_MASS = f"the mass is the volume at ED times {DENSITY} g/ml"


def _figure(figure: Figure, of: Any) -> PatientFigure:
    def both(rows: Rows) -> tuple[float, float]:
        return of(rows, column=_TRUE), of(rows, column=_PREDICTED)

    return PatientFigure(figure, both, (_TRUE, _PREDICTED))


def _ejected(rows: Rows, label: str, column: str) -> float:
    return ejection_fraction(_volume(rows, label, "ED", column), _volume(rows, label, "ES", column))


def _volume_at_ed(rows: Rows, label: str, column: str) -> float:
    return _volume(rows, label, "ED", column)


def _mass(rows: Rows, label: str, column: str) -> float:
    return DENSITY * _volume(rows, label, "ED", column)


def _volume(rows: Rows, label: str, phase: str, column: str) -> float:
    """The volume of a label in the one case of a phase; NaN where there is none."""
    found = [float(row[column]) for row in rows if row["label"] == label and phase in groups_of(row)]
    return found[0] if len(found) == 1 else math.nan
