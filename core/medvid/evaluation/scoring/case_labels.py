"""How answers with any of several labels per case are scored."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medvid.evaluation.metrics.calibration import calibration_bins
from medvid.evaluation.metrics.of_labels import figures_of_labels
from medvid.evaluation.metrics.target_figures import Resampling, TargetFigures
from medvid.evaluation.scoring.entries import EntryScorer
from medvid.plugin.info import UNKNOWN

TOP = 5
"""Labels that are named for each case."""


class LabelsScorer(EntryScorer):
    """Labels per case: the figures of each over the cases in which it is annotated, and their means."""

    usual_monitor = "auroc"
    answer = "probability"
    table_of = "labels"
    shown = ("auroc", "average_precision", "f1", "sensitivity", "specificity")

    def found(
        self, answers: np.ndarray, truth: np.ndarray, cases: Sequence[str], resampling: Resampling | None = None
    ) -> TargetFigures:
        """As `EntryScorer.found`."""
        known = np.where(np.isnan(truth), UNKNOWN, truth).astype(np.int64)
        return figures_of_labels(answers, known, self.names, cases=cases, counted=self.counted, resampling=resampling)

    def draw(self, answers: np.ndarray, truth: np.ndarray, folder: Path) -> list[Path]:
        """Curves and calibration of each label over the cases in which it is annotated."""
        from medvid.evaluation.curves import draw_calibration, draw_precision_recall, draw_roc

        known = ~np.isnan(truth)
        scored = {
            name: (truth[known[:, one], one] == 1, answers[known[:, one], one]) for one, name in enumerate(self.names)
        }
        bins = {name: calibration_bins(score, positive) for name, (positive, score) in scored.items()}
        return [
            draw_roc(scored, folder / "roc.png"),
            draw_precision_recall(scored, folder / "precision_recall.png"),
            draw_calibration(bins, folder / "calibration.png"),
        ]

    def lines(self, answers: np.ndarray) -> tuple[str, ...]:
        """The likeliest labels."""
        best = np.argsort(-answers, kind="stable")[:TOP]
        return tuple(f"{answers[index]:6.1%}  {self.names[index]}" for index in best)

    def entry(self, name: int, answer: float) -> dict[str, Any]:
        """Label and probability."""
        return {"label": self.names[name], "probability": answer}
