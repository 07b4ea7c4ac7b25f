"""What a picture of a case shows: a few upright slices of the image and its label maps, small enough to keep."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from scipy import ndimage

from medvid.data.grid import Grid
from medvid.evaluation.aggregate import mean
from medvid.plugin.specs import Layout

SLICES = 3
"""Slices of a volume that a picture shows, at most."""

LONGEST = 1024
"""Pixels along the longer side of a slice, at most; larger ones are thinned out."""

_PICTURE_AXES: dict[tuple[Layout, int], tuple[int, ...]] = {
    ("volume", 3): (2, 1, 0),
    ("video", 3): (0, 1, 2),
    ("image", 3): (2, 0, 1),
    ("image", 2): (0, 1),
}
"""By layout and number of axes of a prepared array: those that become slices (not of an image), rows and columns."""


@dataclass(frozen=True, slots=True)
class View:
    """Slices of one case, row 0 at the top.

    Args:
        case: id of the case.
        image: (N, rows, columns) float32, in the units of the file; or with red, green and blue on a last axis.
        prediction: (N, rows, columns) label ids.
        truth: the same, or None.
        slices: index of each of the N slices on the file's slice axis; empty for an image.
        pixel: height and width of a pixel, in mm or relative to each other.
        radiological: rows run from anterior to posterior, columns from the patient's right to the left.
        window: the image values that are drawn darkest and brightest.
        dice: Dice of the whole case per label id, NaN where undefined; empty without truth.
    """

    case: str
    image: np.ndarray
    prediction: np.ndarray
    truth: np.ndarray | None
    slices: tuple[int, ...]
    pixel: tuple[float, float]
    radiological: bool
    window: tuple[float, float]
    dice: tuple[float, ...]

    @property
    def colour(self) -> bool:
        """Whether the image has colours."""
        return self.image.ndim == 4

    @property
    def mean_dice(self) -> float:
        """Mean Dice over the labels that have one."""
        return mean(self.dice)

    def save(self, path: Path) -> None:
        """Write as a compressed .npz without pickled objects."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        np.savez_compressed(path, **{name: value for name, value in values.items() if value is not None})

    @staticmethod
    def load_mean_dice(path: Path) -> float:
        """Read only the mean Dice of what `save` wrote; -1 where no label has one."""
        with np.load(path) as file:
            return float(np.nan_to_num(mean(file["dice"].tolist()), nan=-1.0))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path) as file:
            return cls(
                case=str(file["case"]),
                image=file["image"],
                prediction=file["prediction"],
                truth=file.get("truth"),
                slices=tuple(file["slices"].tolist()),
                pixel=tuple(file["pixel"].tolist()),
                radiological=bool(file["radiological"]),
                window=tuple(file["window"].tolist()),
                dice=tuple(file["dice"].tolist()),
            )


def make_view(
    case: str,
    grid: Grid,
    layout: Layout,
    *,
    image: np.ndarray,
    prediction: np.ndarray,
    truth: np.ndarray | None = None,
    dice: Sequence[float] = (),
) -> View:
    """Choose slices and turn them upright.

    A volume is shown in axial slices, from head to feet, in the radiological convention: the patient's right is on
    the left of the picture, anterior is up. Images are shown as they are, also those of a stack.

    Args:
        case: id of the case.
        grid: how the file's axes lie to those of the prepared array, which are RAS+ in a volume.
        layout: of the prepared array, see `medvid.data.dataset.SegmentationCase.layout`.
        image: on the file's grid, as are prediction and truth; colours may be on a last axis.
        prediction: label ids.
        truth: label ids.
        dice: Dice of the whole case per label id, NaN where undefined.
    """
    order = _PICTURE_AXES[layout, len(grid.axes)]
    # Down, right and towards the feet are against the axes of RAS+.
    signs = [grid.scale[axis] * (-1 if layout == "volume" else 1) for axis in order]
    axes = [grid.axes[axis] for axis in order]

    def upright(array: np.ndarray) -> np.ndarray:
        others = range(len(axes), array.ndim)
        turned = array.transpose(*axes, *others)[tuple(slice(None, None, -1 if sign < 0 else 1) for sign in signs)]
        return turned if len(axes) == 3 else turned[None]

    labels = upright(prediction if truth is None else truth)
    chosen = choose_slices(labels)
    step = -(-max(labels.shape[1:]) // LONGEST)

    def picked(array: np.ndarray) -> np.ndarray:
        return upright(array)[chosen, ::step, ::step]

    shown = picked(image).astype(np.float32)
    *_, height, width = (grid.native_spacing[axis] for axis in axes)
    return View(
        case=case,
        image=shown,
        prediction=picked(prediction),
        truth=None if truth is None else picked(truth),
        slices=tuple(i if signs[0] > 0 else len(labels) - 1 - i for i in chosen) if len(axes) == 3 else (),
        pixel=(height, width),
        radiological=layout == "volume",
        window=display_window(shown, labels[chosen, ::step, ::step] > 0),
        dice=tuple(dice),
    )


def choose_slices(labels: np.ndarray) -> list[int]:
    """Find the slices (at most `SLICES`) of (N, rows, columns) that together show every label at its largest.

    Greedy: each choice adds the most to what is already shown of the labels, a label counting as fully shown by the
    slice in which it is largest. The middle slice if there is no label.
    """
    count = int(labels.max()) + 1
    areas = np.stack([np.bincount(plane.ravel(), minlength=count)[1:] for plane in labels])  # (N, labels)
    shares = areas / np.maximum(areas.max(axis=0, initial=0), 1)
    hidden = np.ones(count - 1)
    chosen: list[int] = []
    while len(chosen) < SLICES and (gains := shares @ hidden).max(initial=0) > 0:
        best = int(gains.argmax())
        chosen.append(best)
        hidden *= 1 - shares[best]
    return sorted(chosen) or [len(labels) // 2]


def display_window(image: np.ndarray, foreground: np.ndarray) -> tuple[float, float]:
    """Choose the image values to draw black and white, for contrast in and right around the foreground.

    So soft tissue is told apart in a CT whatever air and metal are further off, with no knowledge of the modality.

    Colours span their whole range, so that they look as they do elsewhere.

    Args:
        image: (N, rows, columns), or with colours on a last axis.
        foreground: (N, rows, columns) what matters; the whole image if nothing does.
    """
    if image.ndim == 4:
        return 0.0, float(image.max()) or 1.0
    around = ndimage.maximum_filter(foreground, size=(1, 11, 11))
    values = image[around & np.isfinite(image)]
    if not values.size:
        values = image[np.isfinite(image)]
    low, high = np.percentile(values, (5, 95)).tolist() if values.size else (0.0, 1.0)
    margin = (high - low) / 4 or 0.5
    return low - margin, high + margin
