"""Pictures of answers along the frames of a video, or the slices of a volume."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure  # not pyplot, which keeps global state

PANELS = 12
"""Names in a picture; of more, those with the largest answers."""


def draw_frames(
    where: np.ndarray,
    column: str,
    answers: np.ndarray,
    truth: np.ndarray | None,
    names: Mapping[str, str],
    title: str,
    path: Path,
) -> Path:
    """Draw the answers for each name as a line, one above the other, and the truth where it is known.

    Args:
        where: place of each frame (N,).
        column: what that is: its name in tables, with the unit at the end.
        answers: probabilities or values (N, names); NaN where there is none.
        truth: (N, names), NaN where unknown; None for a new case.
        names: of the N names, each with its unit; probabilities have none.
        title: what stands above.
        path: the .png to write.
    """
    most = np.max(answers, axis=0, where=~np.isnan(answers), initial=-np.inf)
    shown = sorted(np.argsort(-most, kind="stable")[:PANELS].tolist())
    figure = Figure(figsize=(8, 1 + 1.1 * len(shown)), dpi=100, layout="constrained")
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False).flat
    for panel, number in zip(panels, shown, strict=True):
        name, unit = [*names.items()][number]
        if truth is not None:
            panel.step(where, truth[:, number], where="mid", color="0.2", linewidth=1.2, label="truth")
        panel.plot(where, answers[:, number], marker=".", markersize=3, linewidth=1, label="predicted")
        panel.set_ylabel(f"{name[:16]} ({unit})" if unit else name[:16], rotation=0, ha="right", fontsize="small")
        if not any(names.values()) and not np.nanmax(answers, initial=0) > 1 and not np.nanmin(answers, initial=0) < 0:
            panel.set_ylim(-0.05, 1.05)
    label, _, unit = column.rpartition("_")
    figure.axes[-1].set_xlabel(f"{label} ({unit})")
    figure.axes[0].legend(fontsize="small", ncols=2, loc="upper right")
    figure.suptitle(title, fontsize="medium", wrap=True)
    figure.savefig(path)
    return path
