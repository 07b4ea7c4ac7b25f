"""Pictures of maps of values: a slice of the image, of truth and prediction, and of their difference."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from medvid.data.dataset import SegmentationCase
from medvid.data.grid import Grid
from medvid.files import replace_file


@dataclass(frozen=True, slots=True)
class ValueSlice:
    """The axial slice of a volume, or the image, in which most is known, row 0 at the top.

    Args:
        case: id of the case.
        image: (rows, columns), in the units of the file.
        truth: (V, rows, columns), NaN where it is not known.
        prediction: likewise, NaN where nothing is predicted.
        aspect: height of a pixel relative to its width.
    """

    case: str
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    aspect: float

    @classmethod
    def of(cls, case: SegmentationCase, truth: np.ndarray, prediction: np.ndarray) -> Self:
        """That of a case; truth and prediction (V, *S) are on the grid of its file."""
        grid = case.grid
        known = _upright(~np.isnan(truth).all(axis=0), grid)
        index = int(known.sum(axis=(1, 2)).argmax())
        image, *maps = (_upright(each, grid)[index] for each in (case.native_input(), *truth, *prediction))
        height, width = (grid.native_spacing[axis] for axis in _planes_first(grid)[-2:])
        return cls(case.id, image, np.stack(maps[: len(truth)]), np.stack(maps[len(truth) :]), height / width)

    def save(self, path: Path) -> None:
        """Write as a compressed .npz without pickled objects."""
        with replace_file(path) as file:
            np.savez_compressed(
                file,
                case=np.array(self.case),
                image=self.image.astype(np.float32),
                truth=self.truth,
                prediction=self.prediction,
                aspect=np.array(self.aspect),
            )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path) as file:
            return cls(str(file["case"]), file["image"], file["truth"], file["prediction"], float(file["aspect"]))


def draw(shown: ValueSlice, names: tuple[str, ...], units: tuple[str, ...], path: Path, reason: str) -> Path:
    """Draw image, truth, prediction and difference, a row for each value.

    Args:
        shown: the slice.
        names: of the values.
        units: of the values.
        path: the .png to write.
        reason: why this case is shown, for the title.
    """
    from matplotlib.figure import Figure  # not pyplot, which keeps global state

    figure = Figure(figsize=(13, 3.2 * len(names)), dpi=150, layout="constrained")
    panels = figure.subplots(len(names), 4, squeeze=False)
    for row, name, unit, truth, found in zip(panels, names, units, shown.truth, shown.prediction, strict=True):
        low, high = _range(truth)
        error = max(map(abs, _range(found - truth)))
        columns = (
            ("image", shown.image, "gray", (None, None)),
            (f"{name}, truth", truth, "viridis", (low, high)),
            ("prediction", found, "viridis", (low, high)),
            ("prediction - truth", found - truth, "coolwarm", (-error, error)),
        )
        for panel, (title, array, colours, (darkest, brightest)) in zip(row, columns, strict=True):
            drawn = panel.imshow(array, colours, vmin=darkest, vmax=brightest, aspect=shown.aspect)
            panel.set(title=title, xticks=[], yticks=[])
            if title != "image":
                figure.colorbar(drawn, ax=panel, label=unit)
    figure.suptitle(f"{shown.case}, {reason}")
    figure.savefig(path)
    return path


def _range(values: np.ndarray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)


def _planes_first(grid: Grid) -> tuple[int, ...]:
    """The file's axes as slices (of a volume), rows and columns."""
    return tuple(grid.axes[::-1]) if len(grid.axes) == 3 else tuple(grid.axes)


def _upright(array: np.ndarray, grid: Grid) -> np.ndarray:
    """(slices, rows, columns); of a volume axial, the patient's right on the left and the front at the top."""
    if len(grid.axes) == 2:
        return array.transpose(grid.axes)[None]
    turned = array.transpose(_planes_first(grid))
    return turned[tuple(slice(None, None, 1 if scale < 0 else -1) for scale in grid.scale[::-1])]
