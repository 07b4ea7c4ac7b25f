"""Which rules a case is compared by: its inputs say."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from comparison.checks import Check
from comparison.figures import binary, classes, detection, frames, label_maps, numbers, objects, several, voxels
from comparison.figures.cases import Case, Rules, compare_case, compare_refusal, read_cases
from comparison.fixture import UnknownFormatError

RULES: Mapping[frozenset[str], Rules] = {
    frozenset({"score_a", "score_b", "label"}): binary.TWO_MODELS,
    frozenset({"score", "label", "resample"}): binary.RESAMPLED,
    frozenset({"probability", "label"}): classes.CLASSES,
    frozenset({"logits", "label"}): several.CLIPS,
    frozenset({detection.TRUTH, detection.DETECTIONS}): detection.DETECTION,
    frozenset({"truth", "prediction"}): numbers.NUMBERS,
    frozenset({"truth", "clip_video", "clip_prediction"}): numbers.NUMBERS,
    frozenset({"truth", "prediction", "resample"}): numbers.RESAMPLED,
    frozenset({"mask"}): voxels.COMPONENTS,
    frozenset({"truth", "zeros"}): objects.INSTANCES,
    frozenset({"truth", "probability"}): voxels.SOFT_CENTRE_LINES,
    frozenset({"truth", "prediction", "skeleton_truth", "skeleton_prediction"}): voxels.CENTRE_LINES,
}
"""By the names of a case's inputs; labels with scores, frames and masks are told apart by `_rules`."""
MASKS: Mapping[str, Rules] = {
    "dilation": objects.BRATS,
    "lesions_truth": objects.ISLES,
    "regions": label_maps.REGIONS,
    "ignored_voxels": label_maps.IGNORE,
    "annotated": label_maps.PARTIAL,
    "volume_ml": voxels.SURFACES,
}
"""Of a true and a predicted mask, by a key that such a case has; what is left has instances."""


def is_figures_fixture(path: Path) -> bool:
    """Whether there is such a fixture, rather than one of another kind or none."""
    try:
        cases = read_cases(path)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, SafetensorError):
        return False
    return any(_is_known(case) for case in cases)


def _is_known(case: Case) -> bool:
    inputs = frozenset(case.arrays)
    return "gt0" in inputs or inputs == {"score", "label"} or inputs in RULES


def compare_figures(path: Path) -> Iterator[Check]:
    """Compute all figures of all cases.

    Raises:
        UnknownFormatError: a case or a figure that is not known.
    """
    for case in read_cases(path):
        if score := _refusing(case):
            yield compare_refusal(case, score)
        else:
            yield from compare_case(case, _rules(case))


def _refusing(case: Case) -> Callable[[Case], object] | None:
    """What has to refuse the case, if its scores are not finite."""
    if "truth" in case.arrays and case["truth"].ndim > 1:
        return None
    for name, score in (("score", binary.score_all), ("prediction", numbers.score_all)):
        if name in case.arrays and not np.isfinite(case[name]).all():
            return score
    return None


def _rules(case: Case) -> Rules:
    inputs = frozenset(case.arrays)
    if "gt0" in inputs:
        return frames.FRAMES
    if inputs == {"score", "label"}:
        return _scored(case)
    if inputs == {"truth", "prediction"} and case["truth"].ndim > 1:
        return next((rules for key, rules in MASKS.items() if key in {**case.said, **case.expected}), objects.INSTANCES)
    if inputs not in RULES:
        raise UnknownFormatError(f"{case.name}: nothing compares {', '.join(sorted(inputs))}")
    return RULES[inputs]


def _scored(case: Case) -> Rules:
    if case["label"].ndim == 1:
        return binary.BINARY
    if np.isnan(case["label"]).any() or (case["label"] < 0).any():
        return several.UNCERTAIN
    return several.CLIPS if "ap_per_class" in case.expected else several.LABELS
