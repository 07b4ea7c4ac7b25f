"""Actions in time: segments (video, class, start, end), and detections with a score."""

import re

import numpy as np

from comparison.figures.cases import Case, Rules
from medvid.evaluation.metrics.temporal_detection import detection_average_precision

TRUTH, DETECTIONS = "truth (video, class, start, end)", "prediction (video, class, start, end, score)"


def _precision(case: Case, match: re.Match[str]) -> np.ndarray:
    return detection_average_precision(case[TRUTH], case[DETECTIONS], case.expected[match["of"]]["thresholds"])


DETECTION: Rules = {
    r"(?P<of>.+) > ap per class, threshold": _precision,
    r"(?P<of>.+) > map per threshold": lambda c, m: _precision(c, m).mean(axis=0),
    r"(?P<of>.+) > average map": lambda c, m: _precision(c, m).mean(),
}
