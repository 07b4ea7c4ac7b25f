"""Mean average precisions of several labels per case, each as a benchmark has it, and their protocol."""

from collections.abc import Mapping

import numpy as np

from medvid.config.multilabel import LabelFigure, MultilabelProtocolOptions
from medvid.evaluation.metrics.aggregate import mean
from medvid.evaluation.metrics.figure import Figure
from medvid.evaluation.metrics.multilabel import (
    average_precision_per_case,
    charades_average_precision,
)
from medvid.evaluation.metrics.ranking import average_precision
from medvid.evaluation.protocols import CaseFigures, ViewProtocol
from medvid.plugin.info import TargetInfo

MAP = Figure(
    "map",
    "mAP",
    3,
    "map is PySlowFast's and mmaction2's: the mean of the average precisions of the labels that any case has",
    better="higher",
)
MMIT_MAP = Figure(
    "mmit_map",
    "MMIT mAP",
    3,
    "mmit_map is that of Multi-Moments in Time: the mean over cases of the average precision of a case over its "
    "labels; cases without a label, and those with an unknown one, are left out",
    better="higher",
)
CHARADES_MAP = Figure(
    "charades_map",
    "Charades mAP",
    3,
    "charades_map is as Charades' script has it: cases without any label come last, and of equal scores the first case "
    "in the list; labels without a case, where the script has no figure, and cases with an unknown one are left out",
    better="higher",
)
CHARADES_WEIGHTED_MAP = Figure(
    "charades_weighted_map",
    "Charades w. mAP",
    3,
    "charades_weighted_map is the same, weighted by how many cases have a label",
    better="higher",
)
FIGURES = (MAP, MMIT_MAP, CHARADES_MAP, CHARADES_WEIGHTED_MAP)


def multilabel_protocol(options: MultilabelProtocolOptions, target_info: TargetInfo) -> ViewProtocol:
    """Views as the options say, from the first to the last frame."""
    return ViewProtocol("spread", options.views, target_info.what, label_figures(options.monitor))


def label_figures(monitor: LabelFigure) -> CaseFigures:
    """All figures of this module; one of them chooses the best weights."""
    return CaseFigures(FIGURES, figures_of, monitor)


def figures_of(probabilities: np.ndarray, truth: np.ndarray) -> Mapping[str, float]:
    """All figures; `MAP` counts each label in the cases where it is known, the others compare whole sets of labels.

    Args:
        probabilities: (N, L).
        truth: 0 or 1 (N, L), NaN where unknown.
    """
    known = ~np.isnan(truth)
    each = [average_precision(truth[rows, one] == 1, probabilities[rows, one]) for one, rows in enumerate(known.T)]
    whole = known.all(axis=1)
    scores, labels = probabilities[whole].astype(np.float64), truth[whole].astype(np.int64)
    charades, positives = charades_average_precision(labels, scores), labels.sum(axis=0)
    found = positives > 0
    return {
        MAP.column: mean(each),
        MMIT_MAP.column: mean(average_precision_per_case(labels, scores).tolist()),
        CHARADES_MAP.column: mean(charades.tolist()),
        CHARADES_WEIGHTED_MAP.column: (
            float(np.average(charades[found], weights=positives[found])) if found.any() else float("nan")
        ),
    }
