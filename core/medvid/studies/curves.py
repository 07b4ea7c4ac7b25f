"""How the validations of a study's cells went, by configuration, as a picture."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from medvid.files import make_folder, replace_path
from medvid.runs.folder import read_metrics
from medvid.studies.folder import StudyFolder
from medvid.studies.together import Finished

SHOWN = 10
"""Configurations that are drawn: as many as there are colours."""
Curve = Mapping[int, Sequence[float]]
"""By step, the figure of each cell that was validated there."""


def curves_of(folder: StudyFolder, done: Sequence[Finished], metric: str) -> dict[str, Curve]:
    """The validations of the finished cells of each configuration; without those that have none."""
    found: dict[str, dict[int, list[float]]] = {}
    for one in done:
        for record in read_metrics(one.cell.run_folder(folder).metrics):
            value = record["values"].get(metric)
            if record["split"] in ("train", "perf") or value is None or not math.isfinite(value):
                continue
            steps = found.setdefault(one.cell.configuration, defaultdict(list))
            steps[record["step"]].append(value)
    return {name: dict(sorted(steps.items())) for name, steps in found.items()}


def draw_curves(curves: Mapping[str, Curve], metric: str, path: Path) -> Path:
    """Draw the mean over the cells of each configuration by step, and as a band from the lowest to the highest of them.

    Args:
        curves: see `curves_of`; of more than `SHOWN` the first.
        metric: what they are of.
        path: the .png to write.
    """
    figure = Figure(figsize=(7, 4.5), dpi=120, layout="constrained")
    panel = figure.subplots()
    for number, (name, curve) in enumerate([*curves.items()][:SHOWN]):
        means = [math.fsum(values) / len(values) for values in curve.values()]
        panel.plot([*curve], means, color=f"C{number}", marker="o", markersize=3, label=name)
        low, high = ([end(values) for values in curve.values()] for end in (min, max))
        panel.fill_between([*curve], low, high, color=f"C{number}", alpha=0.15, linewidth=0)
    panel.set(xlabel="step", ylabel=f"{metric} of validations: mean and range of cells")
    panel.legend()
    make_folder(path.parent)
    with replace_path(path) as draft:
        figure.savefig(draft, format="png")
    return path
