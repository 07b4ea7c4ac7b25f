"""How answers with numbers per case are scored."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medvid.evaluation.metrics.of_values import figures_of_values
from medvid.evaluation.metrics.target_figures import Resampling, TargetFigures
from medvid.evaluation.report import file_name
from medvid.evaluation.scoring.entries import EntryScorer


class ValueScorer(EntryScorer):
    """Values per case: errors in their units, and R2, which has none and so chooses the best weights."""

    usual_monitor = "r2"
    answer = "prediction"
    table_of = "values"
    shown = ("mae", "rmse", "bias", "r2", "pearson")

    def found(
        self, answers: np.ndarray, truth: np.ndarray, cases: Sequence[str], resampling: Resampling | None = None
    ) -> TargetFigures:
        """As `EntryScorer.found`."""
        return figures_of_values(
            answers, truth, self.names, self.info.units, cases=cases, counted=self.counted, resampling=resampling
        )

    def draw(self, answers: np.ndarray, truth: np.ndarray, folder: Path) -> list[Path]:
        """Agreement of each value with the truth."""
        from medvid.evaluation.agreement import draw_bland_altman

        files = []
        for one, name in enumerate(self.names):
            known = ~np.isnan(truth[:, one])
            path = folder / f"agreement_{file_name(name)}.png"
            files.append(draw_bland_altman(truth[known, one], answers[known, one], name, self.info.units[one], path))
        return files

    def lines(self, answers: np.ndarray) -> tuple[str, ...]:
        """Each value with its unit."""
        return tuple(f"{answer:8.4g} {unit}  {name}" for name, unit, answer in self._with_units(answers))

    def entry(self, name: int, answer: float) -> dict[str, Any]:
        """Name, value and unit."""
        return {"value": self.names[name], "prediction": answer, "unit": self.info.units[name]}

    def _with_units(self, answers: np.ndarray) -> list[tuple[str, str, float]]:
        return [*zip(self.names, self.info.units, answers.tolist(), strict=True)]
