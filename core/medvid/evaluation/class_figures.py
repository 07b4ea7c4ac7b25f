"""Pictures of classified cases: the confusion matrix, and contact sheets of single cases."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure  # not pyplot, which keeps global state

NAMED = 40
"""Classes up to which the matrix has their names at its sides."""
COLUMNS = 4
"""Pictures side by side on a contact sheet."""


def draw_confusion(truth: np.ndarray, predicted: np.ndarray, labels: Sequence[str], path: Path) -> Path:
    """Draw which classes are taken for which: each row adds up to 1, over the cases of that true class.

    Args:
        truth: label ids (N,).
        predicted: the predicted one.
        labels: names of the labels.
        path: the .png to write.
    """
    count = len(labels)
    counts = np.zeros((count, count))
    np.add.at(counts, (truth, predicted), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(14.0, 3.0 + 0.35 * count)
    figure = Figure(figsize=(side + 1, side), dpi=150, layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted", ylabel="true")
    if count <= NAMED:
        axes.set_xticks(range(count), labels, rotation=90)
        axes.set_yticks(range(count), labels)
    if count <= NAMED // 2:
        for row, column in np.argwhere(counts):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, f"{counts[row, column]:g}", ha="center", va="center", color=colour)
    figure.colorbar(picture, label="share of the class's cases", shrink=0.8)
    figure.savefig(path)
    return path


def draw_contact_sheet(pictures: np.ndarray, title: str, path: Path) -> Path:
    """Draw the pictures of a case (N, H, W, 3) uint8 in the order of time.

    Args:
        pictures: of the case.
        title: what stands above them.
        path: the .png to write.
    """
    columns = min(COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    ratio = pictures.shape[1] / pictures.shape[2]
    figure = Figure(figsize=(2.5 * columns, 2.5 * ratio * rows + 0.5), dpi=100, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for panel in panels:
        panel.axis("off")
    for panel, picture in zip(figure.axes, pictures, strict=False):
        panel.imshow(picture)
    figure.suptitle(title, fontsize="medium", wrap=True)
    figure.savefig(path)
    return path
