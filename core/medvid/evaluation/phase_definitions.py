"""The figures of phases, and the sentences that travel with them."""

from collections.abc import Mapping

from medvid.evaluation.metrics.figure import Figure

OVERLAPS = (10, 25, 50)
"""Least intersection over union of a predicted segment and a true one, in percent."""
PUBLISHED_RATE = 1.0
"""Frames per second of all published figures with a relaxed border."""
PER_PHASE = ("precision", "recall", "jaccard", "f1")
"""Figures of each phase of a video."""

MATLAB = "relaxed_matlab"
"""With what the names of figures begin that are as the published script computes them."""


def heading(column: str) -> str:
    """A column for people."""
    return column.replace("_", " ")


def _figures(prefix: str, definitions: Mapping[str, str]) -> tuple[Figure, ...]:
    """Those of frames whose names begin so."""
    names = ("accuracy", *PER_PHASE, *(f"{figure}_by_video" for figure in PER_PHASE[:-1]))
    return tuple(
        Figure(f"{prefix}_{name}", heading(f"{prefix}_{name}"), 3, definitions.get(name, ""), better="higher")
        for name in names
    )


PLAIN = _figures(
    "phase",
    {
        "accuracy": "phase_accuracy is the mean over videos of the share of right frames",
        "precision": "phase_precision, phase_recall and phase_jaccard are means over videos of each phase, and then "
        "over phases; where their names end in _by_video, over the phases of each video, and then over videos",
        "recall": "a phase that is not in a video's truth is left out of its means, even if it is predicted; one that "
        "is in the truth but never predicted has recall, Jaccard and F1 0, and no precision",
        "f1": "phase_f1 is the mean over the phases of each video of 2PR / (P + R), and then over videos",
    },
)


def relaxed_figures(prefix: str, seconds: float) -> tuple[Figure, ...]:
    """Those with a border of some seconds."""
    right = (
        "what is late in the first frames of a run of the truth counts as right if something early is as far from the "
        "beginning of its last frames: a fault of the published script, kept for comparison with its figures alone"
        if prefix == MATLAB
        else "what is late in the first frames of a run of the truth, or early in its last, counts as right"
    )
    return _figures(prefix, {"accuracy": f"{prefix}_ figures have a border of {seconds:g} s: {right}"})


SEGMENTS = (
    Figure(
        "edit_score",
        "edit score",
        3,
        "edit_score is the mean over videos of 1 - d / n, d the edit distance of the true and the predicted sequence "
        "of segments and n the longer one's length",
        better="higher",
    ),
    *(
        Figure(f"segment_f1_{least}", f"F1@{least}", 3, definition, better="higher")
        for least, definition in zip(
            OVERLAPS,
            ("segment_f1 at 10, 25 and 50 % overlap is over the segments of all videos together", "", ""),
            strict=True,
        )
    ),
)
